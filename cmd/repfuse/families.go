package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"repfuse/internal/family"
	"repfuse/internal/hint"
)

func newFamilies() *cobra.Command {
	var files []string
	var asYAML, asJSON bool
	c := &cobra.Command{
		Use:   "families [NAME]",
		Short: "List the families that are known, or explain one",
		Example: `  repfuse families
  repfuse families repvgg
  repfuse families repvgg --yaml > mine.yaml    to start one's own from`,
		Args: arguments(0, 1, "at most one NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			set, err := family.WithFiles(files)
			if err != nil {
				return err
			}
			if len(args) == 0 && asYAML {
				return hint.Add(errors.New("--yaml without NAME, want the family whose declaration is to be printed"), "repfuse families lists them")
			}
			if len(args) == 0 {
				list, err := set.All()
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(c.OutOrStdout(), known{list})
				}
				listFamilies(c.OutOrStdout(), list)
				return nil
			}
			if args[0] == "plain" && !asYAML && !asJSON {
				printf(c.OutOrStdout(), "plain — %s\n\n", plainTitle)
				_, err := io.WriteString(c.OutOrStdout(), plainText)
				return err
			}
			f, err := set.Find(args[0])
			if err != nil {
				return hint.Add(err, "repfuse families lists them")
			}
			switch {
			case asYAML:
				_, err = c.OutOrStdout().Write(f.YAML())
			case asJSON:
				err = printJSON(c.OutOrStdout(), known{[]*family.Family{f}})
			default:
				explain(c.OutOrStdout(), f)
			}
			return err
		},
		ValidArgsFunction: familyNames,
	}
	addFamilies(c, &files)
	c.Flags().BoolVar(&asYAML, "yaml", false, "print the declaration of NAME")
	c.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	c.MarkFlagsMutuallyExclusive("json", "yaml")
	return c
}

// known is families as JSON has them.
type known struct {
	// The one that was named, or all.
	Families []*family.Family `json:"families"`
}

func listFamilies(w io.Writer, list []*family.Family) {
	tasks, of := family.ByTask(list)
	for _, task := range tasks {
		printf(w, "%s\n", family.TaskTitle(task))
		for _, f := range of[task] {
			title := f.Title
			if f.OnRequest {
				title += " (on request)"
			}
			if f.Network {
				title += " (network)"
			}
			printf(w, "  %-24s %s\n", f.Name, title)
			for _, d := range f.Dialects {
				printf(w, "    %-22s %s\n", f.Name+"/"+d.Name, d.Title)
			}
		}
	}
	printf(w, "  %-24s %s\n", "plain", plainTitle)
}

// What no declaration says of the blocks that need none.
const (
	plainTitle = "Branches side by side, under any names"
	plainText  = `fused =
  the sum of all kernels below a module, each with its bias and batch norm, and
  x if --identity yes

A checkpoint that holds nothing else is taken so without being asked for;
--family plain and --family GLOB=plain ask for it. Each prefix is a block of its
own: block1.* and block2.* are two.
A kernel has three axes or more. A bias goes with the kernel whose name has the
same words, apart from weight, kernel, w, k, filter, bias, b, conv, bn and norm,
where 3x3 and 3 are the same word:
  conv3x3.weight conv3x3.bias   w3 b3   3x3 3x3_bias
  weight3x3 bias3x3   kernel_3x3 bias_3x3
asks      identity: whether the block adds its input
asks      parallel: whether the kernels stand side by side, where neither names
          nor channels say it
`
)

// explain prints everything that a declaration says.
func explain(w io.Writer, f *family.Family) {
	printf(w, "%s — %s\n", f, f.Title)
	field := func(name, text string) {
		if text != "" {
			printf(w, "%-9s %s\n", name, text)
		}
	}
	field("task", f.Task)
	field("paper", f.Paper)
	field("source", f.Source)
	for _, out := range f.Make {
		printf(w, "\n%s =\n", out.Key)
		for _, line := range strings.Split(out.Text, "\n") {
			printf(w, "  %s\n", strings.TrimSpace(line))
		}
	}
	fmt.Fprintln(w)
	if f.Eps != 0 {
		field("ε", fmt.Sprintf("%g where no fact says it", f.Eps))
	}
	field("keeps", strings.Join(f.Keep, " "))
	for _, d := range f.Drop {
		field("drops", d.Glob+": "+d.Why)
	}
	for _, r := range f.Rename {
		field("renames", r.From+" to "+r.To)
	}
	field("enables", strings.Join(f.Enable, " "))
	if f.OnRequest {
		field("asked for", "--family "+f.Name+": many modules have such keys by chance")
	}
	for _, q := range f.Ask {
		field("asks", fmt.Sprintf("%s (%s): %s", q.Name, q.Default, q.About))
	}
	for _, d := range f.Dialects {
		text := d.Title
		if d.Eps != 0 {
			text += fmt.Sprintf(", ε %g", d.Eps)
		}
		field("dialect", f.Name+"/"+d.Name+": "+text)
	}
	for _, n := range f.Notes {
		field("note", n)
	}
}
