package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"repfuse"

	"github.com/spf13/cobra"

	"repfuse/internal/text"
)

func newPlan() *cobra.Command {
	var o repfuse.PlanOptions
	var style planStyle
	var page repfuse.Page
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
	}
	addRecognition(c, &o.Recognition)
	f := c.Flags()
	f.BoolVar(&style.json, "json", false, "print everything as JSON")
	f.BoolVar(&style.yaml, "yaml", false, "print the plan as a file that --plan follows")
	f.BoolVarP(&style.verbose, "verbose", "v", false, "print every block's expression and every key")
	addTypes(c, &o.DType)
	f.StringVar(&o.Expect, "expect", "", "`FILE`: a deploy checkpoint, or a list of its keys, that the result must match")
	f.StringVar(&page.Report, "report", "", reportUsage)
	f.BoolVarP(&page.Force, "force", "f", false, "replace what is at --report")
	c.MarkFlagsMutuallyExclusive("json", "yaml")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := repfuse.Plan(c.Context(), args[0], o)
		if err != nil {
			return err
		}
		page.Command = c.Root().Annotations[asTyped]
		if err := p.WriteReport(page); err != nil {
			return err
		}
		if err := printPlan(c.OutOrStdout(), c.ErrOrStderr(), p, style); err != nil {
			return err
		}
		if err := p.Unexpected(); err != nil {
			printError(c.ErrOrStderr(), err)
			return errNo
		}
		return nil
	}
	return c
}

// planStyle is how a plan is printed.
type planStyle struct{ json, yaml, verbose bool }

// printPlan prints a plan to stdout and its notes to stderr.
func printPlan(stdout, stderr io.Writer, p *repfuse.Planned, style planStyle) error {
	if style.json {
		return printJSON(stdout, p)
	}
	printNotes(stderr, p.Notes)
	if style.yaml {
		text, err := p.YAML()
		if err == nil {
			_, err = stdout.Write(text)
		}
		return err
	}
	printf(stdout, "%s: %s, %s, %s\n", p.Source, p.Format, count(len(p.Tensors), "tensor"), size(p.SourceBytes))
	if len(p.Blocks) == 0 {
		if len(p.Deployed) == 0 {
			printf(stdout, "nothing to fuse\n")
		} else {
			printf(stdout, "already fused: %s\n", count(len(p.Deployed), "block"))
		}
		return nil
	}
	printLayers(stdout, p.Blocks, style.verbose)
	fmt.Fprintln(stdout)
	printFates(stdout, p.Tensors, style.verbose)
	printf(stdout, "result   %s, %s\n", count(len(p.Result), "tensor"), size(p.Bytes))
	return nil
}

// printLayers prints the layers that blocks become, by family, with verbose all of them with their branches.
func printLayers(w io.Writer, blocks []repfuse.Block, verbose bool) {
	const most = 60
	width, family, met := nameWidth(blocks), "", 0
	for _, b := range blocks {
		if b.Family != family && (verbose || met < most) {
			family = b.Family
			printf(w, "\n%s%s\n", family, prefixed(" — ", b.Title))
		}
		for _, o := range b.Makes {
			if met++; met > most && !verbose {
				continue
			}
			printf(w, "  %-*s  %s\n", width, text.Module(o.Weight), layer(o))
			for branch := range strings.Lines(o.Expression) {
				if verbose {
					printf(w, "    %s\n", strings.TrimSuffix(branch, "\n"))
				}
			}
		}
	}
	if met > most && !verbose {
		printf(w, "  … and %s more (-v prints them)\n", count(met-most, "layer"))
	}
}

// nameWidth is the room for names, so that what stands behind them lines up.
func nameWidth(blocks []repfuse.Block) int {
	width := 0
	for _, b := range blocks {
		for _, o := range b.Makes {
			width = max(width, len([]rune(text.Module(o.Weight))))
		}
	}
	return min(width, 40)
}

// layer describes in a line what the deploy model's layer has to be.
func layer(o repfuse.Output) string {
	kernel := "linear"
	if len(o.Kernel) > 0 {
		kernel = text.Extents(o.Kernel)
	}
	if o.Transposed {
		kernel += " transposed"
	}
	s := fmt.Sprintf("%-6s %4d → %-4d", kernel, o.In, o.Out)
	if o.Groups > 1 {
		s += fmt.Sprintf(" groups %d", o.Groups)
	}
	if dilation := text.Extents(o.Dilation); strings.Trim(dilation, "1×") != "" {
		s += " dilation " + dilation
	}
	if len(o.Padding) > 0 && !o.Transposed {
		s += " padding " + text.Extents(o.Padding)
	}
	if o.Bias == "" {
		s += " no bias"
	}
	return s
}

// printFates accounts for the keys that no block makes. Those that are kept are counted by
// module; with verbose each is named, by the reason that it is kept for.
func printFates(w io.Writer, fates []repfuse.Fate, verbose bool) {
	var reasons []string
	kept, dropped, used := map[string]*tally{}, newTally(), 0
	for _, f := range fates {
		switch f.Fate {
		case "fused":
			used++
		case "dropped":
			dropped.add(f.Why)
		case "kept":
			name, why := cmp.Or(f.NewKey, f.Key), ""
			if verbose {
				name, why = f.Key+prefixed(" as ", f.NewKey), f.Why
			} else if at := strings.LastIndexByte(name, '.'); at >= 0 {
				name = name[:at]
			}
			if kept[why] == nil {
				kept[why], reasons = newTally(), append(reasons, why)
			}
			kept[why].add(name)
		}
	}
	printf(w, "fused    %s\n", count(used, "tensor"))
	for _, why := range reasons {
		kept[why].print(w, "kept", prefixed(", ", why), verbose)
	}
	dropped.print(w, "dropped", "", verbose)
}

// tally counts tensors by a name that they share, in the order met.
type tally struct {
	all   int
	names []string
	met   map[string]bool
}

func newTally() *tally { return &tally{met: map[string]bool{}} }

func (t *tally) add(name string) {
	if t.all++; !t.met[name] {
		t.met[name] = true
		t.names = append(t.names, name)
	}
}

func (t *tally) print(w io.Writer, title, why string, verbose bool) {
	const most = 8
	names := t.names
	if len(names) == 0 {
		return
	}
	if !verbose && len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("… %d more", len(names)-most))
	}
	printf(w, "%-8s %s%s: ", title, count(t.all, "tensor"), why)
	for k, name := range names {
		printf(w, "%s%s", strings.Repeat(", ", min(k, 1)), name)
	}
	printf(w, "\n")
}
