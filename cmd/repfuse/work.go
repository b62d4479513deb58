package main

import (
	"io"

	"github.com/spf13/cobra"

	"repfuse"
)

// work is how the commands that write work, and what they print of it.
type work struct {
	c           *cobra.Command
	to          *repfuse.Work
	quiet, json bool
	show        func(quiet bool, verb string) *progress
}

// addWork declares the flags; more is what --jobs says besides.
func addWork(c *cobra.Command, to *repfuse.Work, more string) *work {
	w, f := &work{c: c, to: to, show: addProgress(c)}, c.Flags()
	f.VarP((*positive)(&to.Jobs), "jobs", "j", "`N`: how many goroutines (default one for each processor, 2 to 8)"+more)
	f.BoolVarP(&w.quiet, "quiet", "q", false, "print errors only")
	f.BoolVar(&w.json, "json", false, "print what was done as JSON")
	return w
}

// made is what a command made.
type made struct {
	value    any // as JSON has it
	output   string
	upToDate bool // it was there
	notes    []repfuse.Note
	under    string             // what it depends on
	print    func(to io.Writer) // says what was done
}

// run shows the progress of a verb, and prints what do made.
func (w *work) run(verb string, do func() (made, error)) error {
	bar := w.show(w.quiet, verb)
	w.to.Progress = bar.tell
	m, err := do()
	bar.end()
	stdout, stderr := w.c.OutOrStdout(), w.c.ErrOrStderr()
	switch {
	case err != nil:
		return err
	case w.json:
		return printJSON(stdout, m.value)
	case w.quiet:
		printUnder(stderr, m.under)
		return nil
	}
	printNotes(stderr, m.notes)
	if m.upToDate {
		printf(stdout, "%s: up to date\n", m.output)
	} else {
		m.print(stdout)
	}
	printUnder(stdout, m.under)
	return nil
}

// printUnder says what the result depends on.
func printUnder(w io.Writer, under string) {
	if under != "" {
		printWrapped(w, "", "  ", "right, "+under)
	}
}
