package main

import (
	"bytes"
	"fmt"
	"strings"
)

// page is the manual page of command i, of which the first is repfuse itself, in the language of man(7).
func page(all []command, i int, date string) []byte {
	var b bytes.Buffer
	c := all[i]
	const exit = "Exit status: "
	about, status, own := strings.Cut(c.sections[""], exit)
	examples, common, _ := strings.Cut(c.sections["Examples"], exit)
	if !own {
		_, status, _ = strings.Cut(all[0].sections["Examples"], exit)
	}
	fmt.Fprintf(&b, ".TH \"%s\" 1 \"%s\" \"%s\" \"repfuse\"\n", roff(strings.ToUpper(c.name)), date, roff(c.version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(c.name), roff(c.short))
	b.WriteString(".SH SYNOPSIS\n.nf\n")
	for line := range strings.SplitSeq(c.sections["Usage"], "\n") {
		b.WriteString(roff(strings.TrimSpace(line)) + "\n")
	}
	b.WriteString(".fi\n.SH DESCRIPTION\n")
	prose(&b, strings.TrimRight(about, "\n"))
	if commands := listed.FindAllStringSubmatch(c.sections["Available Commands"], -1); len(commands) > 0 {
		b.WriteString(".SH COMMANDS\n")
		for _, m := range commands {
			item(&b, m[1], m[2])
		}
	}
	b.WriteString(".SH OPTIONS\n")
	for line := range strings.SplitSeq(c.sections["Flags"], "\n") {
		option(&b, line)
	}
	if examples != "" {
		b.WriteString(".SH EXAMPLES\n")
		verbatim(&b, strings.Split(strings.TrimRight(examples, "\n"), "\n"))
	}
	fmt.Fprintf(&b, ".SH EXIT STATUS\n%s\n", roff(status))
	if common != "" {
		for _, s := range surroundings {
			fmt.Fprintf(&b, ".SH %s\n%s\n", s.title, roff(s.text))
			for _, m := range s.items {
				item(&b, m[0], m[1])
			}
		}
	}
	var others []string
	for k, other := range all {
		if k != i {
			others = append(others, fmt.Sprintf("\\fB%s\\fR(1)", roff(other.name)))
		}
	}
	b.WriteString(".SH SEE ALSO\n" + strings.Join(others, ",\n") + "\n")
	return b.Bytes()
}

// surroundings is what the commands read and write besides what is named to them.
var surroundings = []struct {
	title, text string
	items       [][2]string
}{
	{"FILES", "These lie in a directory of tensors.", [][2]string{
		{"repfuse.json", "The record that fuse leaves in DST, and as DST.repfuse.json beside a DST that is a file: what was assumed, what was made, and a checksum of each tensor. verify reads it, and plan and fuse of what is fused already."},
		{"modules.json", "What the exporter's Python knows of a model and its keys do not say: epsilon, groups, strides, classes. Read where it lies beside the tensors."},
		{"graph.json", "The operators that the model ran, from the exporter too. Read where it lies beside the tensors, or as --graph names it."},
		{".DST.repfuse-tmp-N, .DST.repfuse-old-N", "DST while process N writes it, and what it replaces. What a run that was killed leaves of them is removed by the next one that writes the same DST."},
	}},
	{"ENVIRONMENT", "The bytes that are written depend on none of these. What is written lies beside DST until it is whole.", [][2]string{
		{"TMPDIR", "Where compressed arrays of a .npz are inflated while it is read. Default: /tmp."},
		{"REPFUSE_CPU", "generic or avx2: which instructions compute. Default: those that the processor has."},
		{"GOMAXPROCS", "How many processors are used at most."},
		{"GOGC", "How much garbage may lie about, in percent, as for any program in Go."},
		{"TERM", "With dumb, no line of progress is shown on a terminal."},
	}},
}

// prose writes paragraphs; lines that are indented stand as they are.
func prose(b *bytes.Buffer, text string) {
	var fixed []string
	flush := func() {
		if len(fixed) > 0 {
			verbatim(b, fixed)
			fixed = nil
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, " ") {
			fixed = append(fixed, line)
			continue
		}
		flush()
		if line == "" {
			b.WriteString(".PP\n")
		} else {
			b.WriteString(roff(line) + "\n")
		}
	}
	flush()
}

// verbatim writes lines that are not filled.
func verbatim(b *bytes.Buffer, lines []string) {
	b.WriteString(".RS 2\n.nf\n")
	for _, line := range lines {
		b.WriteString(roff(strings.TrimPrefix(line, "  ")) + "\n")
	}
	b.WriteString(".fi\n.RE\n")
}

// option writes a flag from its line in the table of flags.
func option(b *bytes.Buffer, line string) {
	m := flag.FindStringSubmatch(line)
	if m == nil {
		return
	}
	b.WriteString(".TP\n")
	if m[1] != "" {
		fmt.Fprintf(b, "\\fB%s\\fR, ", roff(m[1]))
	}
	fmt.Fprintf(b, "\\fB%s\\fR", roff(m[2]))
	if m[3] != "" {
		fmt.Fprintf(b, " \\fI%s\\fR", roff(m[3]))
	}
	b.WriteString("\n" + roff(m[4]) + "\n")
}

// item writes a name and what is said of it.
func item(b *bytes.Buffer, name, text string) {
	fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n%s\n", roff(name), roff(text))
}

// roff is text that means nothing to roff but itself.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
