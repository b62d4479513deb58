package main

import (
	_ "embed"
	"fmt"

	"github.com/spf13/cobra"
)

//go:embed python/export.py
var exportPy string

//go:embed python/load.py
var loadPy string

//go:embed python/check.py
var checkPy string

func newExporter() *cobra.Command {
	var load, check bool
	c := &cobra.Command{
		Use:   "exporter",
		Short: "Print the Python files that export a model, load the result, and check it",
		Long: `Exporter prints a short Python file. Its export(model, directory, x) saves every
entry of the model's state_dict() as .npy, together with what the keys do not say:
ε, groups, strides, the branches without parameters (modules.json) and, of one
forward pass for the input x or its shape, what stands between the modules
(graph.json). With the graph repfuse needs no family and assumes nothing.

Its load(model, directory), with --load, loads the result: into the deploy form,
or into the very model that was exported, whose layers are replaced.

Its check(model, directory, x), with --check, runs the training model and compares
each fused layer with what goes into its block there and what comes out: whatever
was assumed is held to the network itself. It imports the other two.`,
		Example: `  repfuse exporter > export.py
  python3 -c 'import export, mymodel; export.export(mymodel.build(), "weights", (1, 3, 224, 224))'
  repfuse exporter --load > load.py
  repfuse exporter --check > check.py
  python3 -m check mymodel:build out 1,3,224,224`,
		Args: arguments(0, 0, "none"),
		RunE: func(c *cobra.Command, _ []string) error {
			text := exportPy
			switch {
			case load:
				text = loadPy
			case check:
				text = checkPy
			}
			_, err := fmt.Fprint(c.OutOrStdout(), text)
			return err
		},
	}
	c.Flags().BoolVar(&load, "load", false, "print the file that loads a fused directory into a model")
	c.Flags().BoolVar(&check, "check", false, "print the file that checks a fused directory in the running model")
	c.MarkFlagsMutuallyExclusive("load", "check")
	return c
}
