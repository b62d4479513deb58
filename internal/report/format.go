package report

import (
	"math"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// figure is a number with three digits, as text.
func figure(v float64) string {
	return minus(strconv.FormatFloat(v, 'g', 3, 64))
}

// number is a value in full, for attributes.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// exponent is an integer with a minus sign instead of a hyphen.
func exponent(e int) string { return minus(strconv.Itoa(e)) }

func minus(s string) string { return strings.Replace(s, "-", "−", 1) }

// power is a number with two digits, its power of ten set as one.
func power(v float64) g.Node {
	if v == 0 {
		return g.Text("0")
	}
	m, e, _ := strings.Cut(strconv.FormatFloat(v, 'e', 1, 64), "e")
	n, err := strconv.Atoi(e)
	switch {
	case err != nil || math.Abs(v) >= math.MaxFloat64: // none, or what stands for infinity
		return g.Text("∞")
	case n >= -2 && n < 4:
		return g.Text(strconv.FormatFloat(v, 'g', 3, 64))
	}
	return g.Group{g.Text(m + "·10"), h.Sup(g.Text(exponent(n)))}
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

// soft is a name that may be broken behind its dots.
func soft(name string) g.Node {
	var all g.Group
	for part := range strings.SplitAfterSeq(name, ".") {
		if len(all) > 0 {
			all = append(all, h.Wbr())
		}
		all = append(all, g.Text(part))
	}
	return all
}
