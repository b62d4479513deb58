package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"repfuse/internal/checkpoint"
	"repfuse/internal/plan"
	"repfuse/internal/stream"
	"repfuse/internal/tensor"
)

// convertFlags is what repfuse convert is told besides its two paths.
type convertFlags struct {
	destination
	dtype, state    string
	bfloat16, quiet bool
	jobs            int
}

func newConvert() *cobra.Command {
	var f convertFlags
	c := &cobra.Command{
		Use:   "convert SRC DST",
		Short: "Write a checkpoint in another format, bit for bit, nothing fused",
		Long: `Convert writes the tensors of SRC to DST as they are, in the order that SRC has
them. DST is a file by its extension, or a directory: of .npy files, or with --format
safetensors of shards as the transformers library names them, with their index.`,
		Example: `  repfuse convert model.pth weights/
  repfuse convert --shard-size 2GB model.pth sharded/
  repfuse convert --dtype bfloat16 weights/ model.safetensors`,
		Args: arguments(2, 2, "SRC and DST"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c.Context(), args[0], args[1], c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.destination.add(c, "npy")
	c.Flags().StringVar(&f.dtype, "dtype", "", "`TYPE` of every floating tensor of DST: float16, bfloat16, float32, float64")
	c.Flags().StringVar(&f.state, "state", "", "`NAME` of the dict to read of a file that holds several")
	c.Flags().BoolVar(&f.bfloat16, "bfloat16", false, "take two-byte .npy elements without a type for bfloat16")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print errors only")
	c.Flags().VarP((*jobs)(&f.jobs), "jobs", "j", "`N` goroutines (default one for each processor, at least 2)")
	return c
}

func (f *convertFlags) run(ctx context.Context, src, dst string, stdout, stderr io.Writer) error {
	to, err := parseDType(f.dtype)
	if err != nil {
		return err
	}
	c, err := checkpoint.Open(src, checkpoint.Options{BFloat16: f.bfloat16, State: f.state})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := checkpoint.CheckPaths(src, dst); err != nil {
		return err
	}
	items := asTheyAre(c, to)
	o, err := f.options(c, "")
	if err != nil {
		return err
	}
	out, err := checkpoint.Create(dst, specs(items), o)
	if err != nil {
		return err
	}
	defer out.Abort()
	bar := newProgress(stderr, f.quiet, "converting", total(items))
	done, err := stream.Run(ctx, items, out, stream.Options{Jobs: f.jobs, Progress: bar.tell})
	bar.end()
	if err != nil {
		return err
	}
	if err := out.Commit(); err != nil {
		return err
	}
	if !f.quiet {
		for _, n := range c.Notes {
			fmt.Fprintf(stderr, "note: %s: %s\n", src, n)
		}
		fmt.Fprintf(stdout, "%s: %s, %s\n", dst, count(len(items), "tensor"), size(done.Bytes))
	}
	return nil
}

// asTheyAre is every tensor of a checkpoint, kept.
func asTheyAre(c *checkpoint.Checkpoint, to tensor.Type) []plan.Item {
	items := make([]plan.Item, len(c.Tensors))
	for k := range c.Tensors {
		t := &c.Tensors[k]
		items[k] = plan.Item{Spec: t.Spec(), Kept: t, Block: -1}
		if to != tensor.Invalid && t.Type.IsFloat() {
			items[k].Type = to
		}
	}
	return items
}
