package main

import (
	"io"

	"github.com/spf13/cobra"

	"repfuse"
)

func newUnfuse() *cobra.Command {
	var o repfuse.UnfuseOptions
	c := &cobra.Command{
		Use:   "unfuse --like TRAIN SRC DST",
		Short: "Make a deploy form trainable again, exactly",
		Long: `Unfuse writes to DST a training form that computes what the deploy form SRC does.
TRAIN is a checkpoint of that training form, such as the state dict of a model that
was just made: it gives keys, shapes, and the element types of what is fused. One
branch of each block has the kernel, the others come to zero; fuse of DST gives back
the kernels of SRC bit for bit, which is tried before anything is written.

A branch that comes to zero ends in a factor of zero, its batch norm's weight where
there is one, and keeps the kernel that it has in TRAIN: the factor has a gradient,
and with it the branch comes back in training. Of two kernels in a row one at most is
zero, as neither would get a gradient otherwise. With --small 0.1 the other branches
have together up to a tenth of each element of the kernel, another part each, the same
in each run, and the first branch the rest. Batch norms compute as in SRC in eval
mode; in training mode they go by each batch, so begin with their statistics frozen.
docs/unfuse.md has more of this.

What flags say of blocks is of those of TRAIN.`,
		Example: `  repfuse unfuse --like new-model.pth fused.pth to-train.pth
  repfuse fuse to-train.pth again.pth && repfuse verify to-train.pth fused.pth`,
		Args: arguments(2, 2, "SRC and DST"),
	}
	c.Flags().StringVar(&o.Like, "like", "", "`TRAIN`: a checkpoint of the training form")
	c.Flags().Float64Var(&o.Small, "small", 0, "`S`: how much of each element the other branches have together at most, 0 to 0.5")
	addRecognition(c, &o.Recognition)
	if err := c.Flags().MarkHidden("with"); err != nil { // always an error, which says why
		panic(err) // a flag that no line above declares
	}
	parse := addDestination(c, &o.Destination, "npy")
	w := addWork(c, &o.Work, "")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := parse(); err != nil {
			return err
		}
		return w.run("unfusing", func() (made, error) {
			r, err := repfuse.Unfuse(c.Context(), args[0], args[1], o)
			if err != nil {
				return made{}, err
			}
			return made{value: r, output: r.Output, upToDate: r.UpToDate, notes: r.Notes, under: r.Under(), print: func(to io.Writer) {
				printf(to, "%s: unfused %s\n", r.Source, familyCounts(r.Blocks))
				printf(to, "%s: %s, %s\n", r.Output, count(r.Tensors, "tensor"), size(r.Bytes))
			}}, nil
		})
	}
	return c
}
