package main

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"repfuse"
	"repfuse/internal/hint"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitText says what the exit status means.
const exitText = `Exit status: 0 yes or done, 1 no (verify: they differ; inspect: a number is at fault;
plan: not as --expect says), 2 could not do it, 130 after Ctrl-C (128 and the signal).`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "repfuse",
		Short: "Fuse re-parameterized network weights on disk, and prove that nothing changed",
		Long: `repfuse reads the weights of a network that was trained with parallel branches
(RepVGG, MobileOne, DBB, FastViT, YOLO, ECBSR …), merges each block into one kernel
and bias, writes what the deploy model loads, and proves that nothing changed.
No Python, no model class.

Batch norms are fused by their running statistics, as in eval mode.`,
		Example: `  repfuse plan weights/              what would be fused, and what not
  repfuse fuse weights/ out/         fuse it
  repfuse verify                     run both forms of weights/ and out/

  repfuse fuse model.pth fused.safetensors && repfuse verify model.pth fused.safetensors

` + exitText,
		Version:       repfuse.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if destination.MatchString(err.Error()) && strings.HasSuffix(c.Use, " DST") {
			return hint.Add(err, "%s %s: DST is the last argument", c.Root().Name(), c.Use)
		}
		if near := nearFlag(c, err); near != "" {
			return hint.Add(err, "--%s", near)
		}
		return hint.Add(plainly(err), "%s --help", c.CommandPath())
	})
	root.SuggestionsMinimumDistance, root.DisableSuggestions = 2, true // suggested says them on a line
	root.AddCommand(newFuse(), newVerify(), newPlan(), newDraft(), newFamilies(), newConvert(), newUnfuse(), newInspect(), newExporter())
	root.SetUsageFunc(usageOnce(root.UsageFunc()))
	completeArguments(root.Commands())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() { // cobra's own are content with any word behind them
		switch c.Name() {
		case "help":
			c.Run, c.RunE = nil, func(_ *cobra.Command, args []string) error {
				of, _, err := root.Find(args)
				if err != nil {
					return err
				}
				return of.Help()
			}
		case "completion":
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
	return root
}

// repeated is a flag's line in a table, of which pflag has the value's name once more before what is said of it.
var repeated = regexp.MustCompile(`(?m)^( +(?:-\w, )?--[\w-]+ (\S.*?)  +)(\S+): `)

// usageOnce is how a command prints its usage, with no name of a value there twice.
func usageOnce(usage func(*cobra.Command) error) func(*cobra.Command) error {
	return func(c *cobra.Command) error {
		var b bytes.Buffer
		to := c.OutOrStderr()
		c.SetOut(&b)
		err := usage(c)
		c.SetOut(to)
		text := repeated.ReplaceAllStringFunc(b.String(), func(line string) string {
			if m := repeated.FindStringSubmatch(line); m[2] == m[3] {
				return m[1]
			}
			return line
		})
		if err == nil {
			_, err = io.WriteString(to, text)
		}
		return err
	}
}

// nearFlag is the flag that is most like one that a command does not have.
func nearFlag(c *cobra.Command, err error) string {
	word, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return ""
	}
	flags := &cobra.Command{SuggestionsMinimumDistance: 2} // cobra compares words of commands alone
	c.Flags().VisitAll(func(f *pflag.Flag) {
		flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	for _, near := range flags.SuggestionsFor(word) {
		return near
	}
	return ""
}

var oneOf = regexp.MustCompile(`^if any flags in the group \[(\S+) (\S+)\] are set none of the others can be`)

// destination is the flag of other tools that a DST is named by.
var destination = regexp.MustCompile(`^unknown (flag: --(out|output|dst)|shorthand flag: 'o' in -o)\b`)

var unknownCommand = regexp.MustCompile(`^unknown command (".*") for "(.*)"$`)

// suggested adds to an error about a word that is no command what is like it, and says of two flags what cobra says
// of groups.
func suggested(root *cobra.Command, err error) error {
	if m := oneOf.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("--%s and --%s, want one of them", m[1], m[2])
	}
	m := unknownCommand.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	word, _ := strconv.Unquote(m[1])
	near := root.SuggestionsFor(word)
	switch {
	case m[2] != root.Name():
		return hint.Add(err, "%s --help", m[2])
	case word == "version":
		return hint.Add(err, "repfuse --version")
	case len(near) > 0:
		return hint.Add(err, "repfuse %s", near[0])
	}
	return hint.Add(err, "repfuse --help")
}

// plainly says what a flag wants in place of what strconv says about it.
func plainly(err error) error {
	text, parsing, ok := strings.Cut(err.Error(), ": strconv.")
	if !ok {
		return err
	}
	want := "a number"
	switch {
	case strings.HasPrefix(parsing, "ParseBool"):
		want = "true or false"
	case strings.HasPrefix(parsing, "ParseUint"):
		want = "a whole number, 0 or above"
	case strings.HasPrefix(parsing, "ParseInt"):
		want = "a whole number"
	}
	return fmt.Errorf("%s, want %s", text, want)
}

// arguments accepts from least to most arguments, naming what is wanted.
func arguments(least, most int, want string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if slices.Contains(args, "-") {
			return hint.Add(fmt.Errorf("%s: -, want %s; standard input and output are not read or written", c.Name(), want), "./- is a file of that name")
		}
		for _, name := range []string{"report", "witness"} {
			if f := c.Flags().Lookup(name); f != nil && f.Value.String() == "-" {
				return hint.Add(fmt.Errorf("--%s -, want a file; standard output is not written", name), "./- is a file of that name")
			}
		}
		if len(args) >= least && len(args) <= most && !slices.Contains(args, "") {
			return nil
		}
		if slices.Contains(args, "") {
			return hint.Add(fmt.Errorf("%s: an argument is empty, want %s", c.Name(), want), "%s --help", c.CommandPath())
		}
		return hint.Add(fmt.Errorf("%s: %s, want %s", c.Name(), count(len(args), "argument"), want), "%s --help", c.CommandPath())
	}
}
