package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"repfuse"
)

func newFuse() *cobra.Command {
	var o repfuse.FuseOptions
	var dryRun bool
	c := &cobra.Command{
		Use:   "fuse SRC DST",
		Short: "Fuse every block of a checkpoint into one kernel and bias",
		Long: `Fuse reads the checkpoint SRC, merges every block that it recognises into one
convolution, and writes DST with the keys that the deploy model loads. Tensors that
belong to no block are copied. SRC is never written; DST comes into being whole or
not at all.

SRC and DST are directories of .npy or .safetensors files, or files by their
extension. A directory DST holds what SRC did if that was a directory, else .npy.

With --if-changed, a DST that is what would be written, byte for byte, stays as it is
with its times, so that make goes no further.`,
		Example: `  repfuse fuse weights/ out/
  repfuse fuse --identity yes weights/ out/
  repfuse fuse --eps 1e-3 --dtype float16 model.pth fused.safetensors
  repfuse fuse --dtype bfloat16 --dtype 'head.**=float32' model.pth out/
  repfuse fuse --with lora.safetensors=0.8 base/ merged/`,
		Args: arguments(2, 2, "SRC and DST"),
	}
	addRecognition(c, &o.Recognition)
	parse := addDestination(c, &o.Destination, "as SRC, else npy")
	f := c.Flags()
	addTypes(c, &o.DType)
	f.StringVar(&o.Expect, "expect", "", "`FILE`: a deploy checkpoint, or a list of its keys, that the result must match")
	f.BoolVarP(&dryRun, "dry-run", "n", false, "print the plan and write nothing")
	w := addWork(c, &o.Work, "; the bytes written do not depend on it")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := parse(); err != nil {
			return err
		}
		if dryRun {
			return planFuse(c, args[0], o.PlanOptions, w.json)
		}
		collect(150)
		return w.run("fusing", func() (made, error) {
			r, err := repfuse.Fuse(c.Context(), args[0], args[1], o)
			if err != nil {
				return made{}, err
			}
			return made{value: r, output: r.Output, upToDate: r.UpToDate, notes: notesOf(r), under: r.Plan.Under(),
				print: func(to io.Writer) { printFused(to, r) }}, nil
		})
	}
	return c
}

// planFuse prints what fuse would do, held to --expect as fuse holds itself.
func planFuse(c *cobra.Command, src string, o repfuse.PlanOptions, asJSON bool) error {
	p, err := repfuse.Plan(c.Context(), src, o)
	if err == nil {
		err = p.Unexpected()
	}
	if err != nil {
		return err
	}
	return printPlan(c.OutOrStdout(), c.ErrOrStderr(), p, planStyle{json: asJSON})
}

// notesOf is what was assumed and met, what is of many elements as one note.
func notesOf(r *repfuse.Fused) []repfuse.Note {
	notes := r.Notes
	if more := len(notes) - 1; more > 0 {
		notes = slices.Clone(notes[:1])
		notes[0].Hint = fmt.Sprintf("and elements of %s more; --json names them", count(more, "tensor"))
	}
	return slices.Concat(r.Plan.Notes, notes)
}

// printFused says what was done.
func printFused(stdout io.Writer, r *repfuse.Fused) {
	p := r.Plan
	if len(p.Blocks) == 0 {
		why := fmt.Sprintf("already fused (%s)", count(len(p.Deployed), "block"))
		if len(p.Deployed) == 0 {
			why = "nothing to fuse"
		}
		printf(stdout, "%s: %s; copied to %s\n", r.Source, why, r.Output)
	} else {
		printf(stdout, "%s: fused %s\n", r.Source, familyCounts(p.Blocks))
		printf(stdout, "%s: %s, %s (from %s, %s)\n", r.Output, count(len(p.Result), "tensor"), size(r.Bytes), count(len(p.Tensors), "tensor"), size(p.SourceBytes))
	}
}
