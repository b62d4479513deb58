package report

import (
	"cmp"
	"strconv"
	"strings"
)

// natural compares names segment by segment, two numbers by their values.
func natural(a, b string) int {
	s, t := strings.Split(a, "."), strings.Split(b, ".")
	for k := range min(len(s), len(t)) {
		m, errM := strconv.Atoi(s[k])
		n, errN := strconv.Atoi(t[k])
		by := cmp.Compare(s[k], t[k])
		if errM == nil && errN == nil {
			by = cmp.Compare(m, n)
		}
		if by != 0 {
			return by
		}
	}
	return cmp.Compare(len(s), len(t))
}
