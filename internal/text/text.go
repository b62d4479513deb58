// Package text writes figures and foreign text as people may read them, the same in the command's
// lines and on the page of the report, and compares names as people count.
package text

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Module is the module that a weight's key belongs to: the key without its last word
// "weight", or the whole key where nothing else is in it.
func Module(weight string) string {
	return cmp.Or(strings.TrimSuffix(strings.TrimSuffix(weight, "weight"), "."), weight)
}

// Seconds is a time with three digits, as 1.23 ms.
func Seconds(s float64) string {
	switch {
	case s < 1e-3:
		return fmt.Sprintf("%.3g µs", s*1e6)
	case s < 1:
		return fmt.Sprintf("%.3g ms", s*1e3)
	}
	return fmt.Sprintf("%.3g s", s)
}

// Ratio is how many times less after is than before, as 2.9×; a dash where after is 0.
func Ratio(before, after float64) string {
	if after <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f×", before/after)
}

// Extents is a number for each axis, as 3×3.
func Extents(k []int) string { return Join(k, "×") }

// Join is numbers with a sign between them.
func Join(k []int, sign string) string {
	s := make([]string, len(k))
	for a, n := range k {
		s[a] = strconv.Itoa(n)
	}
	return strings.Join(s, sign)
}

// Natural compares paths, in which numbers count as numbers: block.2 before block.10.
func Natural(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for k := range min(len(as), len(bs)) {
		m, errM := strconv.Atoi(as[k])
		n, errN := strconv.Atoi(bs[k])
		c := strings.Compare(as[k], bs[k])
		if errM == nil && errN == nil {
			c = cmp.Compare(m, n)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}
