package main

import (
	"bytes"
	"fmt"
	"strings"
)

// page is the manual page of command i in the language of man(7).
func page(all []command, i int, date string) []byte {
	var b bytes.Buffer
	c := all[i]
	fmt.Fprintf(&b, ".TH \"%s\" 1 \"%s\" \"%s\" \"repfuse\"\n", roff(strings.ToUpper(c.name)), date, roff(c.version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(c.name), roff(c.short))
	b.WriteString(".SH SYNOPSIS\n.nf\n")
	for line := range strings.SplitSeq(c.sections["Usage"], "\n") {
		b.WriteString(roff(strings.TrimSpace(line)) + "\n")
	}
	b.WriteString(".fi\n.SH DESCRIPTION\n")
	prose(&b, c.sections[""])
	b.WriteString(".SH OPTIONS\n")
	for line := range strings.SplitSeq(c.sections["Flags"], "\n") {
		option(&b, line)
	}
	const exit = "Exit status: "
	if examples, _, _ := strings.Cut(c.sections["Examples"], exit); examples != "" {
		b.WriteString(".SH EXAMPLES\n")
		verbatim(&b, strings.Split(strings.TrimRight(examples, "\n"), "\n"))
	}
	if !strings.Contains(c.sections[""], exit) {
		_, status, _ := strings.Cut(all[0].sections["Examples"], exit)
		fmt.Fprintf(&b, ".SH EXIT STATUS\n%s\n", roff(status))
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

// roff is text that means nothing to roff but itself.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
