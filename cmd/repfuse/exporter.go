package main

import (
	_ "embed"
	"fmt"

	"github.com/spf13/cobra"
)

//go:embed python/exporter.py
var exporterPy string

//go:embed python/loader.py
var loaderPy string

func newExporter() *cobra.Command {
	var load bool
	c := &cobra.Command{
		Use:   "exporter",
		Short: "Print the Python file that exports a model with its facts, or loads the result",
		Long: `Exporter prints a short Python file. Its export(model, directory, x) saves every
entry of the model's state_dict() as .npy, together with what the keys do not say:
ε, groups, strides, the branches without parameters (modules.json) and, of one
forward pass for the input x or its shape, what stands between the modules
(graph.json). With the graph repfuse needs no family and assumes nothing.

Its load(model, directory), with --load, loads the result: into the deploy form,
or into the very model that was exported, whose layers are replaced.`,
		Example: `  repfuse exporter > export.py
  python3 -c 'import export, mymodel; export.export(mymodel.build(), "weights", (1, 3, 224, 224))'
  repfuse exporter --load > load.py`,
		Args: arguments(0, 0, "none"),
		RunE: func(c *cobra.Command, _ []string) error {
			text := exporterPy
			if load {
				text = loaderPy
			}
			_, err := fmt.Fprint(c.OutOrStdout(), text)
			return err
		},
	}
	c.Flags().BoolVar(&load, "load", false, "print the file that loads a fused directory into a model")
	return c
}
