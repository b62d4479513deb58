package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"

	"repfuse/internal/certify"
	"repfuse/internal/plan"
)

// figure is a number with three digits, as text.
func figure(v float64) string {
	s := strconv.FormatFloat(v, 'g', 3, 64)
	return strings.Replace(s, "-", "−", 1)
}

// power is a number with two digits, its power of ten set as one.
func power(v float64) template.HTML {
	if v == 0 {
		return "0"
	}
	s := strconv.FormatFloat(v, 'e', 1, 64)
	m, e, _ := strings.Cut(s, "e")
	n, err := strconv.Atoi(e)
	switch {
	case err != nil || math.Abs(v) >= math.MaxFloat64: // none, or what stands for infinity
		return "∞"
	case n >= -2 && n < 4:
		return template.HTML(strconv.FormatFloat(v, 'g', 3, 64))
	}
	return template.HTML(fmt.Sprintf("%s·10<sup>%s</sup>", m, strings.Replace(strconv.Itoa(n), "-", "−", 1)))
}

// amount is a count with thousands, as 1.2 M.
func amount(n int64, units ...string) string {
	v, k := float64(n), 0
	for v >= 1000 && k < len(units)-1 {
		v, k = v/1000, k+1
	}
	digits := 3
	if k == 0 || v >= 1000 {
		digits = -1
	}
	return strings.TrimSpace(strconv.FormatFloat(v, 'g', digits, 64) + " " + units[k])
}

func bytesText(n int64) string { return amount(n, "B", "kB", "MB", "GB", "TB") }
func countText(n int64) string { return amount(n, "", "k", "M", "G", "T") }

// seconds is a time for people.
func seconds(s float64) string {
	switch {
	case s < 1e-3:
		return fmt.Sprintf("%.3g µs", s*1e6)
	case s < 1:
		return fmt.Sprintf("%.3g ms", s*1e3)
	}
	return fmt.Sprintf("%.3g s", s)
}

func ratio(before, after float64) string {
	if after <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f×", before/after)
}

// layer describes a deploy convolution: 3×3, 64 → 128, groups 4.
func layer(o plan.Output) string {
	f := o.Form
	s := "linear"
	if f.Rank() > 0 {
		s = extents(f.Kernel())
	}
	if f.Transposed {
		s += " transposed"
	}
	s += fmt.Sprintf(", %d → %d", f.In, f.Out)
	if f.Groups > 1 {
		s += fmt.Sprintf(", groups %d", f.Groups)
	}
	if d := extents(f.Dilation()); strings.Trim(d, "1×") != "" {
		s += ", dilation " + d
	}
	return s
}

func extents(k []int) string {
	s := make([]string, len(k))
	for a, n := range k {
		s[a] = strconv.Itoa(n)
	}
	return strings.Join(s, "×")
}

// soft is a name that may be broken behind its dots.
func soft(name string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(name), ".", ".<wbr/>"))
}

// tile is a figure at the head of the page, and where it is.
type tile struct {
	Name     string
	Value    template.HTML
	Note, At string
}

// tiles is the figures at the head of the page.
func tiles(in Input) []tile {
	m, c := in.Measured, in.Certificate
	if m.Largest < 0 || c.Largest < 0 {
		return nil
	}
	l, b := m.Blocks[m.Largest], c.Blocks[c.Largest]
	worst := 0
	for k := range m.Blocks {
		if m.Blocks[k].Float32.Largest.Difference > m.Blocks[worst].Float32.Largest.Difference {
			worst = k
		}
	}
	w := m.Blocks[worst]
	return []tile{
		{"measured", power(l.Largest.Difference), "largest difference in float64", module(l.Weight)},
		{"certified", power(b.Bound.Value), fmt.Sprintf("the most that any |x| ≤ %g can make", c.Range), module(b.Weight)},
		{"in float32", power(w.Float32.Largest.Difference), "what a runtime will show", module(w.Weight)},
		{"speed-up", template.HTML(ratio(m.Before.Seconds, m.After.Seconds)), seconds(m.Before.Seconds) + " → " + seconds(m.After.Seconds) + ", float32, one thread", ""},
		{"multiply-adds", template.HTML(ratio(float64(m.Before.MultiplyAdds), float64(m.After.MultiplyAdds))), countText(m.Before.MultiplyAdds) + " → " + countText(m.After.MultiplyAdds) + " for an output position", ""},
		{"stored", template.HTML(ratio(float64(m.Before.Bytes), float64(m.After.Bytes))), bytesText(m.Before.Bytes) + " → " + bytesText(m.After.Bytes), ""},
	}
}

// guess is what it would cost if an assumption were wrong.
type guess struct{ Name, Text string }

// guesses is, of each kind of assumption, the one that would cost most.
func guesses(c *certify.Report) []guess {
	eps, ids := map[[2]float64]certify.Epsilon{}, map[string]certify.Identity{}
	var order [][2]float64
	var names []string
	for _, b := range c.Blocks {
		for _, e := range b.Epsilons {
			key := [2]float64{e.Used, e.Other}
			old, seen := eps[key]
			if !seen {
				order = append(order, key)
			}
			if !seen || e.Change > old.Change {
				eps[key] = e
			}
		}
		for _, i := range b.Identities {
			key := i.Name + "=" + i.Value
			old, seen := ids[key]
			if !seen {
				names = append(names, key)
			}
			if !seen || i.Change > old.Change {
				ids[key] = i
			}
		}
	}
	var all []guess
	for _, key := range order {
		e := eps[key]
		all = append(all, guess{fmt.Sprintf("ε %g", e.Used), fmt.Sprintf("were it %g, a channel's scale would change by up to %.2g %% (%s, channel %d)", e.Other, 100*e.Change, e.Key, e.Channel)})
	}
	for _, key := range names {
		i := ids[key]
		all = append(all, guess{i.Name + " " + i.Value, fmt.Sprintf("decided by %s; were it the other, outputs would change by up to %.3g (of at most %.3g)", i.By, i.Change, i.Output)})
	}
	return all
}
