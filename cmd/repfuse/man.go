package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newMan is for those who package repfuse; it is not in the list of commands.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages",
		Long:   "Man writes a manual page of every command to DIR. They bear the date of\nSOURCE_DATE_EPOCH or, without it, of the commit that repfuse was built from.",
		Hidden: true,
		Args:   arguments(1, 1, "DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			date, err := pageDate()
			if err != nil {
				return err
			}
			return writePages(c.Root(), args[0], date)
		},
	}
}

// pageDate is a date that does not depend on when the pages are made; "" where
// there is none.
func pageDate() (string, error) {
	if text := os.Getenv("SOURCE_DATE_EPOCH"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "", fmt.Errorf("SOURCE_DATE_EPOCH %q, want seconds since 1970", text)
		}
		return time.Unix(seconds, 0).UTC().Format(time.DateOnly), nil
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t.UTC().Format(time.DateOnly), nil
			}
		}
	}
	return "", nil
}

// writePages writes the page of the root and one of each command.
func writePages(root *cobra.Command, dir, date string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, c := range append([]*cobra.Command{root}, visible(root)...) {
		file := filepath.Join(dir, pageName(c)+".1")
		if err := os.WriteFile(file, page(c, date), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// visible is the commands that have a page.
func visible(root *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			list = append(list, c)
		}
	}
	return list
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// page is a command's manual page in the language of man(7).
func page(c *cobra.Command, date string) []byte {
	var b bytes.Buffer
	name := pageName(c)
	fmt.Fprintf(&b, ".TH \"%s\" 1 \"%s\" \"%s\" \"repfuse\"\n", roff(strings.ToUpper(name)), date, roff("repfuse "+c.Root().Version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n", roff(c.UseLine()))
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	b.WriteString(".SH DESCRIPTION\n")
	prose(&b, text)
	c.InitDefaultHelpFlag()
	b.WriteString(".SH OPTIONS\n")
	c.Flags().VisitAll(func(f *pflag.Flag) { option(&b, f) })
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n")
		verbatim(&b, strings.Split(strings.TrimSpace(strings.TrimSuffix(c.Example, exitText)), "\n"))
	}
	if !strings.Contains(text, "Exit status: ") {
		fmt.Fprintf(&b, ".SH EXIT STATUS\n%s\n", roff(strings.TrimPrefix(exitText, "Exit status: ")))
	}
	b.WriteString(".SH SEE ALSO\n")
	b.WriteString(strings.Join(others(c), ",\n") + "\n")
	return b.Bytes()
}

// others is the pages of the other commands.
func others(c *cobra.Command) []string {
	var list []string
	for _, other := range append([]*cobra.Command{c.Root()}, visible(c.Root())...) {
		if other != c {
			list = append(list, fmt.Sprintf("\\fB%s\\fR(1)", roff(pageName(other))))
		}
	}
	return list
}

// prose writes paragraphs; lines that are set in stand as they are.
func prose(b *bytes.Buffer, text string) {
	var fixed []string
	flush := func() {
		if len(fixed) > 0 {
			verbatim(b, fixed)
			fixed = nil
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
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

// option writes one flag, its value's name as the usage has it in backquotes.
func option(b *bytes.Buffer, f *pflag.Flag) {
	if f.Hidden {
		return
	}
	value, usage := pflag.UnquoteUsage(f)
	b.WriteString(".TP\n")
	if f.Shorthand != "" {
		fmt.Fprintf(b, "\\fB%s\\fR, ", roff("-"+f.Shorthand))
	}
	fmt.Fprintf(b, "\\fB%s\\fR", roff("--"+f.Name))
	if value != "" {
		fmt.Fprintf(b, " \\fI%s\\fR", roff(value))
	}
	b.WriteString("\n" + roff(usage))
	switch f.DefValue {
	case "", "0", "false", "[]": // nothing that needs saying
	default:
		b.WriteString(" (default " + roff(f.DefValue) + ")")
	}
	b.WriteByte('\n')
}

// roff is text that means nothing to roff but itself.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
