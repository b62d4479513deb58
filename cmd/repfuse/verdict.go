package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"repfuse/internal/checkpoint"
	"repfuse/internal/verify"
)

// verdict is what is printed of a comparison.
type verdict struct {
	*source
	out     *checkpoint.Checkpoint
	report  *verify.Report
	changed []string
	verbose bool
}

// printVerdict prints the summary, what is wrong, the worst blocks, and the last
// line that says yes or no.
func printVerdict(stdout, stderr io.Writer, v verdict) error {
	for _, n := range v.plan.Notes {
		fmt.Fprintf(stderr, "note: %s\n", n)
	}
	for _, key := range v.changed {
		fmt.Fprintf(stderr, "note: %s: changed since it was written\n", key)
	}
	r := v.report
	fmt.Fprintf(stdout, "%s → %s: %s, %s passed through\n", v.Path, v.out.Path, blocksOf(v), count(r.Through.Tensors, "tensor"))
	for _, f := range r.Findings {
		fmt.Fprintf(stdout, "differs  %s\n", f)
	}
	for _, b := range r.Blocks {
		if b.Skipped != "" {
			fmt.Fprintf(stdout, "differs  %s: %s\n", b.Weight, b.Skipped)
		}
	}
	if r.Largest >= 0 {
		printBlocks(stdout, v)
		printTotals(stdout, r)
	}
	if r.Passed {
		fmt.Fprintln(stdout, "\nyes: nothing changed")
	} else {
		fmt.Fprintln(stdout, "\nno: the two are not the same")
	}
	return nil
}

func blocksOf(v verdict) string {
	if len(v.plan.Blocks) == 0 {
		return "no block to run"
	}
	return familyCounts(v.plan)
}

// printBlocks prints a line a block, those nearest their tolerance first.
func printBlocks(w io.Writer, v verdict) {
	r := v.report
	order := make([]int, 0, len(r.Blocks))
	for k, b := range r.Blocks {
		if b.Skipped == "" {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(r.Blocks[b].Excess(), r.Blocks[a].Excess()) })
	most := 8
	if v.verbose {
		most = len(order)
	}
	fmt.Fprintf(w, "\n%-30s %10s %10s %10s %8s\n", "block", "difference", "tolerance", "float32", "speed-up")
	for n, k := range order {
		b := r.Blocks[k]
		if n >= most && b.Passed {
			fmt.Fprintf(w, "… and %s that take less of their tolerance (-v prints them)\n", count(len(order)-n, "block"))
			break
		}
		fmt.Fprintf(w, "%-30s %10.2g %10.2g %10.2g %8s%s\n", ellipsis(module(b.Weight), 30), b.Nearest.Difference,
			b.Tolerance.Value, b.Float32.Largest.Difference, ratio(b.Before.Seconds, b.After.Seconds), mark(b))
		if !b.Passed {
			fmt.Fprintf(w, "  at channel %d, position %v of trial %d: branches %.9g, fused %.9g\n",
				b.Nearest.Channel, b.Nearest.Position, b.Nearest.Trial, b.Nearest.Branches, b.Nearest.Fused)
		}
	}
}

func mark(b verify.Block) string {
	if b.Passed {
		return ""
	}
	return "  differs"
}

func module(weight string) string {
	return cmp.Or(strings.TrimSuffix(strings.TrimSuffix(weight, "weight"), "."), weight)
}

// ellipsis cuts a name from the left, where names agree, to n letters.
func ellipsis(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-n+1:])
	}
	return s
}

func ratio(before, after float64) string {
	if after <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f×", before/after)
}

// printTotals says how far apart the two forms are in all, and what fusing gains.
func printTotals(w io.Writer, r *verify.Report) {
	worst, near := r.Blocks[r.Largest], r.Blocks[r.Nearest]
	relative, sum, n := 0.0, 0.0, 0
	for _, b := range r.Blocks {
		relative = max(relative, b.Relative)
		sum += b.Mean * float64(b.Elements)
		n += b.Elements
	}
	fmt.Fprintf(w, "\nlargest difference  %.3g at %s, channel %d, position %v\n", worst.Largest.Difference, module(worst.Weight), worst.Largest.Channel, worst.Largest.Position)
	fmt.Fprintf(w, "relative, mean      %.3g, %.3g\n", relative, sum/float64(max(n, 1)))
	t := near.Tolerance
	if t.Rule == verify.Requested {
		fmt.Fprintf(w, "tolerance           %.3g + %.3g·|y|, as requested\n", t.Atol, t.Rtol)
	} else {
		fmt.Fprintf(w, "tolerance           %.3g at %s: rounding %.2g, arithmetic %.2g, slack %.2g\n", t.Value, module(near.Weight), t.Rounding, t.Arithmetic, t.Slack)
	}
	fmt.Fprintf(w, "input               uniform in ±%g, seed %d, %s, borders included, float64\n", r.Range, r.Seed, count(r.Trials, "trial"))
	fmt.Fprintf(w, "time (float32)      %.3g s → %.3g s, %s; multiply-adds %.3g → %.3g a place; %s → %s\n",
		r.Before.Seconds, r.After.Seconds, ratio(r.Before.Seconds, r.After.Seconds),
		float64(r.Before.MultiplyAdds), float64(r.After.MultiplyAdds), size(r.Before.Bytes), size(r.After.Bytes))
}
