package main

import (
	"fmt"
	"io"

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
extension. A directory DST holds what SRC did if that was a directory, else .npy.`,
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
	quiet, asJSON, show := addWork(c, &o.Jobs, "; the bytes written do not depend on it")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := parse(); err != nil {
			return err
		}
		stdout, stderr := c.OutOrStdout(), c.ErrOrStderr()
		if dryRun {
			return planFuse(c, args[0], o.PlanOptions, *asJSON)
		}
		collect(150)
		bar := show(*quiet, "fusing")
		o.Progress = bar.tell
		r, err := repfuse.Fuse(c.Context(), args[0], args[1], o)
		bar.end()
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(stdout, r)
		case *quiet:
			printUnder(stderr, r.Plan.Under())
		default:
			printFused(stdout, stderr, r)
		}
		return nil
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

// printUnder says what the result depends on.
func printUnder(w io.Writer, under string) {
	if under != "" {
		printWrapped(w, "", "  ", "right, "+under)
	}
}

// printFused says what was done, and on stderr what was assumed.
func printFused(stdout, stderr io.Writer, r *repfuse.Fused) {
	p := r.Plan
	printNotes(stderr, p.Notes)
	if notes := r.Notes; len(notes) > 1 {
		printf(stderr, "note: %s (and elements of %s more; --json names them)\n", notes[0], count(len(notes)-1, "tensor"))
	} else {
		printNotes(stderr, notes)
	}
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
	printUnder(stdout, p.Under())
}
