package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"repfuse/internal/family"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/text"
)

func newPlan() *cobra.Command {
	var r recognition
	var style planStyle
	var dtype, expected string
	c := &cobra.Command{
		Use:   "plan SRC",
		Short: "Say what would be fused, what not, and why",
		Long: `Plan reads the headers of a checkpoint and says which blocks it holds, what
becomes of every key, and what is assumed that no key says.

With --yaml it prints the plan as a file that --plan follows. Blocks that no family
knows are named in such a file by hand:

  blocks:
    - module: .
      make:
        fused: conv(conv3x3) + conv(conv1x1) + x`,
		Example: `  repfuse plan weights/
  repfuse plan --expect deploy_keys.txt weights/
  repfuse plan --yaml weights/ > plan.yaml && repfuse fuse --plan plan.yaml weights/ out/`,
		Args: arguments(1, 1, "SRC"),
		RunE: func(c *cobra.Command, args []string) error {
			to, err := parseDType(dtype)
			if err != nil {
				return err
			}
			s, err := r.read(args[0])
			if err != nil {
				return err
			}
			defer s.Close()
			if err := s.wantSomething(); err != nil {
				return err
			}
			items := s.plan.Items(to)
			if err := printPlan(c.OutOrStdout(), c.ErrOrStderr(), s, items, style); err != nil {
				return err
			}
			if expected == "" {
				return nil
			}
			differences, err := expect(items, expected)
			if differences != nil {
				printError(c.ErrOrStderr(), differences)
				return errNo
			}
			return err
		},
	}
	r.add(c)
	c.Flags().BoolVar(&style.json, "json", false, "print everything as JSON")
	c.Flags().BoolVar(&style.yaml, "yaml", false, "print the plan as a file that --plan follows")
	c.Flags().BoolVarP(&style.verbose, "verbose", "v", false, "print every block's expression and every key")
	c.Flags().StringVar(&dtype, "dtype", "", "`TYPE` that fuse would write")
	c.Flags().StringVar(&expected, "expect", "", "`FILE`: a deploy checkpoint, or a list of its keys, that the result must match")
	c.MarkFlagsMutuallyExclusive("json", "yaml")
	return c
}

// planStyle is how a plan is printed.
type planStyle struct{ json, yaml, verbose bool }

// printPlan prints a plan to stdout and its notes to stderr.
func printPlan(stdout, stderr io.Writer, s *source, items []plan.Item, style planStyle) error {
	if style.json {
		return printJSON(stdout, planReport(s, items))
	}
	printNotes(stderr, s)
	if style.yaml {
		_, err := stdout.Write(planfile.Of(s.plan).YAML())
		return err
	}
	fmt.Fprintf(stdout, "%s: %s, %s, %s\n", s.Path, s.Format, count(len(s.Tensors), "tensor"), size(sourceBytes(s)))
	if len(s.plan.Blocks) == 0 {
		fmt.Fprintf(stdout, "already fused: %s\n", count(len(s.plan.Deployed), "block"))
		return nil
	}
	width := nameWidth(s.plan)
	for k := range s.plan.Blocks {
		if k == 0 || s.plan.Blocks[k].Family != s.plan.Blocks[k-1].Family {
			b := s.plan.Blocks[k]
			fmt.Fprintf(stdout, "\n%s%s\n", b.Family, prefixed(" — ", b.Title))
		}
		printBlock(stdout, s.plan.Blocks[k], width, style.verbose)
	}
	fmt.Fprintln(stdout)
	printFates(stdout, s, style.verbose)
	fmt.Fprintf(stdout, "result   %s, %s\n", count(len(items), "tensor"), size(total(items)))
	return nil
}

// nameWidth is the room for names, so that what stands behind them lines up.
func nameWidth(p *plan.Plan) int {
	width := 0
	for _, b := range p.Blocks {
		for _, o := range b.Outputs {
			width = max(width, len([]rune(text.Module(o.Weight))))
		}
	}
	return min(width, 40)
}

// printBlock is a line for each convolution of a block: where, and what the deploy
// model's layer has to be.
func printBlock(w io.Writer, b plan.Block, width int, verbose bool) {
	for _, o := range b.Outputs {
		fmt.Fprintf(w, "  %-*s  %s\n", width, text.Module(o.Weight), layer(o))
		if !verbose {
			continue
		}
		for branch := range strings.Lines(family.Format(o.Expr, b.Path)) {
			fmt.Fprintf(w, "    %s\n", strings.TrimSuffix(branch, "\n"))
		}
	}
}

// layer describes a deploy convolution in a line.
func layer(o plan.Output) string {
	f := o.Form
	kernel := "linear"
	if f.Rank() > 0 {
		kernel = text.Extents(f.Kernel())
	}
	if f.Transposed {
		kernel += " transposed"
	}
	s := fmt.Sprintf("%-6s %4d → %-4d", kernel, f.In, f.Out)
	if f.Groups > 1 {
		s += fmt.Sprintf(" groups %d", f.Groups)
	}
	if any := text.Extents(f.Dilation()); f.Rank() > 0 && strings.Trim(any, "1×") != "" {
		s += " dilation " + any
	}
	if f.Rank() > 0 && !f.Transposed {
		s += " padding " + text.Extents(f.Padding())
	}
	if o.Bias == "" {
		s += " no bias"
	}
	return s
}

// printFates accounts for the keys that no block makes: kept ones counted by module.
func printFates(w io.Writer, s *source, verbose bool) {
	used, kept, dropped := 0, map[string]int{}, map[string]int{}
	var keptOrder, dropOrder []string
	for _, f := range s.plan.Fates {
		switch f.Fate {
		case plan.Fused:
			used++
		case plan.Kept:
			name := f.NewKey
			if at := strings.LastIndexByte(name, '.'); !verbose && at >= 0 {
				name = name[:at]
			}
			if verbose && f.NewKey != f.Key {
				name = f.Key + " as " + f.NewKey
			}
			if kept[name]++; kept[name] == 1 {
				keptOrder = append(keptOrder, name)
			}
		case plan.Dropped:
			if dropped[f.Why]++; dropped[f.Why] == 1 {
				dropOrder = append(dropOrder, f.Why)
			}
		}
	}
	fmt.Fprintf(w, "fused    %s\n", count(used, "tensor"))
	list := func(name string, order []string, n map[string]int) {
		all := 0
		for _, c := range n {
			all += c
		}
		if all == 0 {
			return
		}
		const most = 8
		if !verbose && len(order) > most {
			order = append(order[:most:most], fmt.Sprintf("… %d more", len(order)-most))
		}
		fmt.Fprintf(w, "%-8s %s: %s\n", name, count(all, "tensor"), strings.Join(order, ", "))
	}
	list("kept", keptOrder, kept)
	list("dropped", dropOrder, dropped)
}
