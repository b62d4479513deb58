package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"repfuse/internal/health"
	"repfuse/internal/tensor"
	"repfuse/internal/text"
)

// look reads a tensor of a floating type.
func look(t tensor.Named) (inspected, error) {
	i := inspected{Key: t.Key, Type: t.Type.String(), Shape: t.Shape}
	if i.Shape == nil {
		i.Shape = []int{}
	}
	if !t.Type.IsFloat() {
		return i, nil
	}
	v, err := health.Scan(t.Tensor)
	i.Values = &v
	if err != nil {
		err = fmt.Errorf("%s: %w", t.Key, err)
	}
	return i, err
}

// variances is what the running variance of a batch norm is called: PyTorch, Paddle,
// TensorFlow.
var variances = []string{"running_var", "_variance", "moving_variance"}

// fault says what is wrong with the numbers of a tensor.
func (t inspected) fault() (fault, bool) {
	v := t.Values
	isVariance := slices.ContainsFunc(variances, func(s string) bool { return strings.HasSuffix(t.Key, s) })
	switch {
	case v == nil:
		return fault{}, false
	case !v.Finite():
		text := fmt.Sprintf("%d NaN and %d infinite among %s, want finite numbers", v.NaN, v.Infinite, count(v.Elements, "element"))
		return fault{t.Key, v.First, text}, true
	case isVariance && v.Min < 0:
		return fault{t.Key, v.MinAt, fmt.Sprintf("is %g, want a variance of at least 0", v.Min)}, true
	}
	return fault{}, false
}

// isKernel reports whether a tensor has rows of several elements each.
func isKernel(t tensor.Tensor) bool {
	return t.Type.IsFloat() && len(t.Shape) > 1 && t.Shape[0] > 0 && t.Len() > t.Shape[0]
}

// printInspection prints what is in a checkpoint, what is wrong with it, and the worst
// kernels.
func printInspection(stdout, stderr io.Writer, r *inspection, verbose bool) {
	for _, n := range r.Notes {
		fmt.Fprintf(stderr, "note: %s: %s\n", r.Source, n)
	}
	fmt.Fprintf(stdout, "%s: %s, %s, %s\n", r.Source, r.Format, count(len(r.Tensors), "tensor"), size(r.Bytes))
	if r.State != "" {
		fmt.Fprintf(stdout, "%-10s %s\n", "state dict", r.State+prefixed("; not ", strings.Join(r.States, ", ")))
	}
	for _, line := range typeLines(r) {
		fmt.Fprintln(stdout, line)
	}
	if verbose {
		fmt.Fprintln(stdout)
		for _, t := range r.Tensors {
			fmt.Fprintf(stdout, "%-54s %-9s %s\n", t.Key, t.Type, dims(t.Shape))
		}
	}
	if len(r.Kernels) > 0 {
		fmt.Fprintln(stdout)
		printHealth(stdout, r.Kernels, verbose)
	}
	fmt.Fprintln(stdout)
	for _, f := range r.Faults {
		fmt.Fprintf(stdout, "no: %s%v: %s\n", f.Key, f.Index, f.Text)
	}
	if len(r.Faults) == 0 {
		fmt.Fprintln(stdout, "yes: every element is a finite number, and no variance is negative")
	}
}

// typeLines counts tensors, elements and the range by element type.
func typeLines(r *inspection) []string {
	var order, lines []string
	of := map[string][]inspected{}
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
func printHealth(w io.Writer, kernels []*health.Kernel, verbose bool) {
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
	fmt.Fprintf(w, "%-28s %-13s %6s %6s %6s %8s %6s\n", "kernel", "shape", "peak", "spread", "int8", "channels", "zero")
	for _, k := range kernels[:min(most, len(kernels))] {
		fmt.Fprintf(w, "%-28s %-13s %6.3g %6.3g %3.0f dB %5.0f dB %4.0f %%\n", ellipsis(text.Module(k.Key), 28), ellipsis(dims(k.Shape), 13),
			k.Peak, k.Spread, k.SNR.Int8Tensor, k.SNR.Int8Channel, 100*k.Vanish)
		if k.Warning != "" {
			printWrapped(w, "  ", "  ", k.Warning)
		}
	}
	if len(kernels) > most {
		fmt.Fprintf(w, "… and %s in better health (-v prints them)\n", count(len(kernels)-most, "kernel"))
	}
	if warned > most && !verbose {
		fmt.Fprintf(w, "%d of %d are warned of\n", warned, len(kernels))
	}
}

// dims is a shape as 64×3×3×3.
func dims(shape []int) string {
	if len(shape) == 0 {
		return "scalar"
	}
	return text.Extents(shape)
}
