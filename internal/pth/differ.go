package pth

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"repfuse/internal/tensor"
)

// maxCompared bounds how many bytes of a state are read to see whether another one
// holds the same numbers.
const maxCompared = 64 << 20

// differ says how another state of the file differs from the one that was taken.
func (a *archive) differ(chosen string, mine []keyed, other state) string {
	says := func(what string) string { return "there is " + other.path + " too, " + what }
	theirs, _, err := a.tensors(other)
	if err != nil {
		return says("which cannot be read: " + err.Error())
	}
	byKey := make(map[string]stored, len(theirs))
	for _, t := range theirs {
		byKey[bare(t.key)] = t.stored
	}
	common, different, size := 0, 0, int64(0)
	var worst gap
	where := ""
	for _, t := range mine {
		o, ok := byKey[bare(t.key)]
		if !ok {
			continue
		}
		common++
		if t.same(o) {
			continue
		}
		if t.Type == o.Type && slices.Equal(t.Shape, o.Shape) {
			if size += t.tensor().Bytes(); size > maxCompared {
				return says(fmt.Sprintf("with %d of the keys of %s; too large to be compared", common, chosen))
			}
			g, err := measured(t.tensor(), o.tensor())
			if err == nil && !g.differ {
				continue
			}
			if g.far > 0 && (worst.far == 0 || g.far*worst.largest > worst.far*g.largest) {
				worst, where = g, t.key
			}
		}
		different++
	}
	switch {
	case common == 0:
		return says("with other keys than " + chosen)
	case different == 0:
		return says(fmt.Sprintf("with the same numbers under %d of the %d keys of %s", common, len(mine), chosen))
	}
	text := fmt.Sprintf("with other numbers under %d of the %d keys of %s", different, len(mine), chosen)
	if worst.far > 0 {
		text += fmt.Sprintf(", farthest apart in %s: by %.2g, where the largest is %.2g", where, worst.far, worst.largest)
	}
	return says(text)
}

// bare is a key without the prefixes that wrappers for several devices put before it.
func bare(key string) string {
	for {
		rest, ok := strings.CutPrefix(key, "module.")
		if !ok {
			return key
		}
		key = rest
	}
}

// gap is how far two tensors of one type and shape are apart: whether any of their bytes differ, the
// largest difference of two numbers, and the largest number of the first.
type gap struct {
	differ       bool
	far, largest float64
}

// measured reads both tensors.
func measured(a, b tensor.Tensor) (g gap, err error) {
	x, err := a.Open()
	if err != nil {
		return g, err
	}
	defer x.Close()
	y, err := b.Open()
	if err != nil {
		return g, err
	}
	defer y.Close()
	n := a.Bytes()
	piece := min(n, 1<<16)
	p, q := make([]byte, piece), make([]byte, piece)
	v, w := make([]float64, piece/2), make([]float64, piece/2)
	for off := int64(0); off < n; off += piece {
		k := min(n-off, piece)
		if err := tensor.ReadFull(x, p[:k], off); err != nil {
			return g, err
		}
		if err := tensor.ReadFull(y, q[:k], off); err != nil {
			return g, err
		}
		g.differ = g.differ || !bytes.Equal(p[:k], q[:k])
		if a.Type.IsFloat() {
			m := int(k) / a.Type.Size()
			tensor.Decode(v[:m], p[:k], a.Type)
			tensor.Decode(w[:m], q[:k], a.Type)
			for i, e := range v[:m] {
				g.far, g.largest = larger(g.far, e-w[i]), larger(g.largest, e)
			}
		}
	}
	return g, nil
}

// larger is the larger of m and |v|, m where v is no number.
func larger(m, v float64) float64 {
	if v = math.Abs(v); v > m {
		return v
	}
	return m
}
