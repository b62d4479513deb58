package main

import (
	"io"

	"github.com/spf13/cobra"

	"repfuse"
)

func newConvert() *cobra.Command {
	var o repfuse.ConvertOptions
	c := &cobra.Command{
		Use:   "convert SRC DST",
		Short: "Write a checkpoint in another format, bit for bit, nothing fused",
		Long: `Convert writes the tensors of SRC to DST as they are, in the order that SRC has
them. DST is a file by its extension, or a directory: of .npy files, or with --format
safetensors of shards as the transformers library names them, with their index.`,
		Example: `  repfuse convert model.pth weights/
  repfuse convert --shard-size 2GB model.pth sharded/
  repfuse convert --dtype bfloat16 weights/ model.safetensors
  repfuse convert --only 'Student.**' both.pdparams student.pth`,
		Args: arguments(2, 2, "SRC and DST"),
	}
	addReading(c, &o.Reading)
	parse := addDestination(c, &o.Destination, "npy")
	addTypes(c, &o.DType)
	addSelection(c, &o.Only, &o.Drop, "")
	w := addWork(c, &o.Work, "")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := parse(); err != nil {
			return err
		}
		return w.run("converting", func() (made, error) {
			r, err := repfuse.Convert(c.Context(), args[0], args[1], o)
			if err != nil {
				return made{}, err
			}
			return made{value: r, output: r.Output, upToDate: r.UpToDate, notes: r.Notes, print: func(to io.Writer) {
				printf(to, "%s: %s, %s\n", r.Output, count(r.Tensors, "tensor"), size(r.Bytes))
			}}, nil
		})
	}
	return c
}
