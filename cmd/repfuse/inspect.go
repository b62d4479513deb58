package main

import (
	"fmt"
	"io"
	"strings"

	"repfuse"

	"github.com/spf13/cobra"

	"repfuse/internal/tensor"
	"repfuse/internal/text"
)

func newInspect() *cobra.Command {
	var o repfuse.InspectOptions
	var asJSON, verbose bool
	c := &cobra.Command{
		Use:   "inspect PATH",
		Short: "Say what is in a checkpoint, and how fit it is for low precision",
		Long: `Inspect reads every tensor of a checkpoint, fused or not, and says what is in it:
what is no finite number, by key and index; and of the kernels how much of them is
left in float16, bfloat16 and int8, the worst first, with what to do about it.

  peak      the largest magnitude over the median
  spread    the largest magnitude of the widest channel over that of the middle one
  int8      signal over noise in dB, with one scale for the kernel
  channels  the same with a scale for each channel
  zero      the share of the elements that int8 with one scale makes zero

Exit status: 0, 1 where an element is no finite number or a variance is negative, 2
where it could not be done, 130 after Ctrl-C.`,
		Example: `  repfuse inspect out/
  repfuse inspect --json model.safetensors`,
		Args: arguments(1, 1, "PATH"),
	}
	addReading(c, &o.Reading)
	f := c.Flags()
	f.BoolVar(&asJSON, "json", false, "print everything as JSON")
	f.BoolVarP(&verbose, "verbose", "v", false, "print every kernel and every tensor")
	f.StringVar(&o.Report, "report", "", reportUsage)
	f.BoolVarP(&o.Force, "force", "f", false, "replace what is at --report")
	f.VarP((*positive)(&o.Jobs), "jobs", "j", "`N`: how many goroutines (default one a processor)")
	c.RunE = func(c *cobra.Command, args []string) error {
		o.Command = c.Root().Annotations[asTyped]
		r, err := repfuse.Inspect(c.Context(), args[0], o)
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(c.OutOrStdout(), r)
		} else {
			printInspection(c.OutOrStdout(), c.ErrOrStderr(), r, verbose)
		}
		if err == nil && len(r.Faults) > 0 {
			err = errNo
		}
		return err
	}
	return c
}

// printInspection prints what is in a checkpoint, what is wrong with it, and the worst
// kernels.
func printInspection(stdout, stderr io.Writer, r *repfuse.Inspection, verbose bool) {
	for _, n := range r.Notes {
		printf(stderr, "note: %s: %s\n", r.Source, n)
	}
	printf(stdout, "%s: %s, %s, %s\n", r.Source, r.Format, count(len(r.Tensors), "tensor"), size(r.Bytes))
	if r.State != "" {
		printf(stdout, "%-10s %s\n", "state dict", r.State+prefixed("; not ", strings.Join(r.States, ", ")))
	}
	for _, line := range typeLines(r) {
		printf(stdout, "%s\n", line)
	}
	if verbose {
		fmt.Fprintln(stdout)
		for _, t := range r.Tensors {
			printf(stdout, "%-54s %-9s %s\n", t.Key, t.Type, dims(t.Shape))
		}
	}
	if len(r.Kernels) > 0 {
		fmt.Fprintln(stdout)
		printHealth(stdout, r.Kernels, verbose)
	}
	fmt.Fprintln(stdout)
	for _, f := range r.Faults {
		printf(stdout, "no: %s%v: %s\n", f.Key, f.Index, f.Text)
	}
	if len(r.Faults) == 0 {
		fmt.Fprintln(stdout, "yes: every element is a finite number, and no variance is negative")
	}
}

// typeLines counts tensors, elements and the range by element type.
func typeLines(r *repfuse.Inspection) []string {
	var order, lines []string
	of := map[string][]repfuse.Inspected{}
	for _, t := range r.Tensors {
		if of[t.Type] == nil {
			order = append(order, t.Type)
		}
		of[t.Type] = append(of[t.Type], t)
	}
	for _, name := range order {
		n, low, high := 0, 0.0, 0.0
		for _, t := range of[name] {
			n += tensor.Elems(t.Shape)
			if t.Values != nil {
				low, high = min(low, t.Values.Min), max(high, t.Values.Max)
			}
		}
		line := fmt.Sprintf("%-10s %s, %s", name, count(len(of[name]), "tensor"), count(n, "element"))
		if of[name][0].Values != nil {
			line += fmt.Sprintf(", %.3g to %.3g", low, high)
		}
		lines = append(lines, line)
	}
	return lines
}

// printHealth prints the worst kernels, those that are warned of with what to do.
func printHealth(w io.Writer, kernels []*repfuse.Kernel, verbose bool) {
	warned := 0
	for _, k := range kernels {
		if k.Warning != "" {
			warned++
		}
	}
	most := 8
	if verbose {
		most = len(kernels)
	}
	printf(w, "%-28s %-13s %6s %6s %6s %8s %6s\n", "kernel", "shape", "peak", "spread", "int8", "channels", "zero")
	for _, k := range kernels[:min(most, len(kernels))] {
		printf(w, "%-28s %-13s %6.3g %6.3g %3.0f dB %5.0f dB %4.0f %%\n", ellipsis(text.Module(k.Key), 28), ellipsis(dims(k.Shape), 13),
			k.Peak, k.Spread, k.SNR.Int8Tensor, k.SNR.Int8Channel, 100*k.Vanish)
		if k.Warning != "" {
			printWrapped(w, "  ", "  ", k.Warning)
		}
	}
	if len(kernels) > most {
		printf(w, "… and %s in better health (-v prints them)\n", count(len(kernels)-most, "kernel"))
	}
	if warned > most && !verbose {
		printf(w, "%d of %d are warned of\n", warned, len(kernels))
	}
}

// dims is a shape as 64×3×3×3.
func dims(shape []int) string {
	if len(shape) == 0 {
		return "scalar"
	}
	return text.Extents(shape)
}
