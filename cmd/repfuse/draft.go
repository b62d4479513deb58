package main

import (
	"github.com/spf13/cobra"

	"repfuse"
)

func newDraft() *cobra.Command {
	var o repfuse.DraftOptions
	var asJSON bool
	c := &cobra.Command{
		Use:   "draft SRC",
		Short: "Propose families for blocks that none is known of",
		Long: `Draft reads the headers of a checkpoint and prints a file of families for what looks
like blocks and is none of a family that is known: kernels of equal channels in one
module, each with the batch norm that goes with it, norms alone, layers in a row,
numbered branches.

It claims nothing. What keys and shapes show is marked as sure; what they cannot show
(that branches are added up, an identity, an order, a pool) is a question of the family, which
plan, fuse and verify ask. A graph or facts beside SRC answer what they know.`,
		Example: `  repfuse draft weights/ > mine.yaml
  repfuse plan --families mine.yaml weights/`,
		Args: arguments(1, 1, "SRC"),
	}
	addReading(c, &o.Reading)
	addFamilies(c, &o.Families)
	addNetwork(c, &o.Graph, &o.Prefix)
	addSelection(c, &o.Only, &o.Drop, "")
	c.Flags().BoolVar(&asJSON, "json", false, "print everything as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		d, err := repfuse.Draft(c.Context(), args[0], o)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), d)
		}
		printNotes(c.ErrOrStderr(), d.Notes)
		_, err = c.OutOrStdout().Write([]byte(d.YAML))
		return err
	}
	return c
}
