package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"repfuse"
	"repfuse/internal/certify"
	"repfuse/internal/health"
	"repfuse/internal/text"
	"repfuse/internal/verify"
)

// printVerdict prints what is wrong, the sums, the worst blocks, and the last line
// that says yes or no. Lines keep to 80 columns.
func printVerdict(stdout, stderr io.Writer, v *repfuse.Verdict, verbose bool) {
	for _, n := range v.Notes {
		printf(stderr, "note: %s\n", n)
	}
	for _, key := range v.Changed {
		printf(stderr, "note: %s: changed since it was written\n", key)
	}
	if w := v.Witness; w != nil {
		printf(stderr, "note: %s: on this input %s differs by %.3g at channel %d, position %v\n", w.File, w.Weight, w.Difference, w.Channel, w.Position)
	}
	m := v.Measured
	line := fmt.Sprintf("%s → %s: %s, %s passed through", v.Source, v.Output, blocksOf(m), count(m.Through.Tensors, "tensor"))
	if m.Through.Dropped > 0 {
		line += fmt.Sprintf(", %d dropped", m.Through.Dropped)
	}
	if n := missing(m); n > 0 {
		line += fmt.Sprintf(", %d missing", n)
	}
	printWrapped(stdout, "", "", line)
	for _, f := range m.Findings {
		printItem(stdout, "differs", "%s", f)
	}
	if m.Largest >= 0 {
		fmt.Fprintln(stdout)
		printTotals(stdout, v)
		printPrecision(stdout, m)
		printBlocks(stdout, v, verbose)
		if verbose {
			fmt.Fprintln(stdout)
			printHealth(stdout, fitnesses(m), true)
		}
	}
	fmt.Fprintln(stdout)
	printWrapped(stdout, "", "  ", v.String())
}

// missing is how many tensors the result lacks that it should have.
func missing(m *repfuse.Measurement) int {
	n := 0
	for _, f := range m.Findings {
		if f.Kind == verify.Missing {
			n++
		}
	}
	return n
}

// printItem prints a line of a list: what is said of a name. It goes on below itself.
func printItem(w io.Writer, name, format string, args ...any) {
	const column = "           "
	printWrapped(w, fmt.Sprintf("%-10s ", name), column, fmt.Sprintf(format, args...))
}

func blocksOf(m *repfuse.Measurement) string {
	var blocks []repfuse.Block
	for k, b := range m.Blocks { // a block may have several outputs
		if k == 0 || b.Path != m.Blocks[k-1].Path {
			blocks = append(blocks, repfuse.Block{Family: b.Family})
		}
	}
	return cmp.Or(familyCounts(blocks), "no block to run")
}

// printBlocks prints a line a block, the worst first.
func printBlocks(w io.Writer, v *repfuse.Verdict, verbose bool) {
	m, c := v.Measured.Blocks, v.Certificate.Blocks
	order := make([]int, len(m))
	for k := range order {
		order[k] = k
	}
	bad := func(k int) int {
		if !m[k].Passed || c[k].Verdict == repfuse.Different {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(bad(a), bad(b)), cmp.Compare(c[b].Bound.Value, c[a].Bound.Value))
	})
	most := 8
	if verbose {
		most = len(order)
	}
	printf(w, "\n%-28s %-10s %9s %9s %9s %8s\n", "block", "verdict", "measured", "certified", "float32", "speed-up")
	for n, k := range order {
		if n >= most && (bad(k) == 1 || n >= 5*most) {
			printf(w, "… and %s with less (-v prints them)\n", count(len(order)-n, "block"))
			break
		}
		printLine(w, m[k], c[k], bad(k) == 0)
	}
}

func printLine(w io.Writer, m verify.Block, c certify.Block, bad bool) {
	printf(w, "%-28s %-10s %9.2g %9.2g %9.2g %8s\n", ellipsis(text.Module(m.Weight), 28), c.Verdict, m.Largest.Difference,
		c.Bound.Value+m.Largest.Slack, m.Float32.Largest.Difference, text.Ratio(m.Before.Seconds, m.After.Seconds))
	switch {
	case m.Skipped != "":
		printWrapped(w, "  ", "  ", m.Skipped)
	case bad:
		printWrapped(w, "  ", "  ", fmt.Sprintf("%s; allowed ±%.3g", c.Worst, c.Worst.Allowed))
		printWrapped(w, "  ", "  ", fmt.Sprintf("measured at channel %d, position %s, trial %d: branches %.9g, fused %.9g",
			m.Nearest.Channel, position(m.Nearest.Position), m.Nearest.Trial, m.Nearest.Branches, m.Nearest.Fused))
	}
}

// ellipsis cuts a name from the left, where names agree, to n letters.
func ellipsis(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-n+1:])
	}
	return s
}

// short is a module's name as it fits into a line.
func short(weight string) string { return ellipsis(text.Module(weight), 60) }

// position is a place in an image.
func position(at []int) string {
	s := make([]string, len(at))
	for a, n := range at {
		s[a] = strconv.Itoa(n)
	}
	return "(" + strings.Join(s, ",") + ")"
}

// printTotals says how far apart the two forms are in all, what a wrong guess would
// cost, and what fusing gains.
func printTotals(w io.Writer, v *repfuse.Verdict) {
	r, c := v.Measured, v.Certificate
	worst := r.Blocks[r.Largest]
	relative, sum, n := 0.0, 0.0, 0
	for _, b := range r.Blocks {
		relative = max(relative, b.Relative)
		sum += b.Mean * float64(b.Elements)
		n += b.Elements
	}
	printItem(w, "measured", "at most %.3g (%s, channel %d, position %s), relative %.2g, mean %.2g",
		worst.Largest.Difference, short(worst.Weight), worst.Largest.Channel, position(worst.Largest.Position), relative, sum/float64(max(n, 1)))
	printItem(w, "", "x uniform in ±%g, seed %d, %s, borders included, float64", r.Range, r.Seed, count(r.Trials, "trial"))
	if c.Largest >= 0 {
		b := c.Blocks[c.Largest]
		printItem(w, "certified", "at most %.3g for any |x| ≤ %g (%s, channel %d)", b.Bound.Value+r.Blocks[c.Largest].Largest.Slack, c.Range, short(b.Weight), b.Bound.Channel)
	}
	printTolerance(w, v.Measured)
	printGuesses(w, c)
	printItem(w, "time", "%s → %s in float32 on one thread, %s", text.Seconds(r.Before.Seconds), text.Seconds(r.After.Seconds), text.Ratio(r.Before.Seconds, r.After.Seconds))
	printItem(w, "work", "%s → %s multiply-adds for an output position; %s → %s stored",
		thousands(r.Before.MultiplyAdds), thousands(r.After.MultiplyAdds), size(r.Before.Bytes), size(r.After.Bytes))
}

// printTolerance says what the measured difference was held to.
func printTolerance(w io.Writer, m *repfuse.Measurement) {
	near := m.Blocks[m.Nearest]
	t := near.Tolerance
	if t.Rule == verify.Requested {
		printItem(w, "tolerance", "%.3g + %.3g·|y|, as asked for", t.Atol, t.Rtol)
		return
	}
	printItem(w, "tolerance", "%.3g where it is nearest (%s): rounding %.2g, arithmetic %.2g", t.Value, short(near.Weight), t.Rounding, t.Arithmetic)
}

// printGuesses prints what it would cost if an assumption were wrong: of each kind
// the worst.
func printGuesses(w io.Writer, c *repfuse.Certificate) {
	var eps certify.Epsilon
	var identity certify.Identity
	for _, b := range c.Blocks {
		for _, e := range b.Epsilons {
			if e.Change > eps.Change {
				eps = e
			}
		}
		for _, i := range b.Identities {
			if i.Change > identity.Change {
				identity = i
			}
		}
	}
	if eps.Change > 0 {
		printItem(w, "ε", "%g; were it %g, a channel's scale would change by up to %.2g%%", eps.Used, eps.Other, 100*eps.Change)
	}
	if identity.Change > 0 {
		printItem(w, identity.Name, "%s (%s); were it not, outputs would change by up to %.3g", identity.Value, identity.By, identity.Change)
	}
}

// printPrecision warns of the fused kernels that fewer bits would spoil.
func printPrecision(w io.Writer, m *repfuse.Measurement) {
	all := fitnesses(m)
	warned := slices.DeleteFunc(slices.Clone(all), func(k *repfuse.Kernel) bool { return k.Warning == "" })
	switch len(warned) {
	case 0:
		return
	case 1:
		printItem(w, "precision", "%s: %s", short(warned[0].Key), warned[0].Warning)
	default:
		printItem(w, "precision", "%d of %s need care in low precision (-v prints them), the worst %s: %s", len(warned), count(len(all), "kernel"), short(warned[0].Key), warned[0].Warning)
	}
}

// fitnesses is the fused kernels' health, the worst first.
func fitnesses(m *repfuse.Measurement) []*repfuse.Kernel {
	var all []*repfuse.Kernel
	for _, b := range m.Blocks {
		if b.Health != nil {
			all = append(all, b.Health)
		}
	}
	slices.SortStableFunc(all, health.Compare)
	return all
}
