package main

import (
	"fmt"
	"slices"
	"strings"

	"repfuse"
	"repfuse/internal/hint"

	"github.com/spf13/cobra"
)

// exitText says what the exit status means.
const exitText = "Exit status: 0 yes, 1 no (verify found a difference), 2 could not do it."

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
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return hint.Add(plainly(err), "%s --help", c.CommandPath())
	})
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(newFuse(), newVerify(), newPlan(), newDraft(), newFamilies(), newConvert(), newUnfuse(), newInspect(), newExporter())
	return root
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
		if len(args) >= least && len(args) <= most && !slices.Contains(args, "") {
			return nil
		}
		if slices.Contains(args, "") {
			return hint.Add(fmt.Errorf("%s: an argument is empty, want %s", c.Name(), want), "%s --help", c.CommandPath())
		}
		return hint.Add(fmt.Errorf("%s: %s, want %s", c.Name(), count(len(args), "argument"), want), "%s --help", c.CommandPath())
	}
}
