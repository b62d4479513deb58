package health

import (
	"math"

	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// Values is what the elements of any tensor of a floating type come to.
type Values struct {
	Elements int `json:"elements"`
	// NaN and Infinite count what is no finite number; First is where the first of them
	// is, one number an axis. Everything else is said of the finite ones.
	NaN      int     `json:"nan"`
	Infinite int     `json:"infinite"`
	First    []int   `json:"first,omitempty"`
	Zeros    int     `json:"zeros"`
	Min      float64 `json:"min"`
	Max      float64 `json:"max"`
	// MinAt is where Min is first; nil where no element is finite.
	MinAt []int `json:"min_at,omitempty"`
}

// Finite reports whether all elements are finite numbers.
func (v Values) Finite() bool { return v.NaN+v.Infinite == 0 }

// Largest is the largest magnitude.
func (v Values) Largest() float64 { return max(v.Max, -v.Min) }

// Scan reads a tensor once, in little memory whatever its shape.
func Scan(t tensor.Tensor) (Values, error) {
	r := Values{Elements: t.Len(), Min: math.Inf(1), Max: math.Inf(-1)}
	first, least := -1, -1
	err := each(t, func(at int, v []float64) {
		for i, w := range v {
			switch {
			case w != w:
				r.NaN++
			case math.IsInf(w, 0):
				r.Infinite++
			default:
				if w == 0 {
					r.Zeros++
				}
				if w < r.Min {
					r.Min, least = w, at+i
				}
				r.Max = max(r.Max, w)
				continue
			}
			if first < 0 {
				first = at + i
			}
		}
	})
	if least < 0 {
		r.Min, r.Max = 0, 0
	}
	r.First, r.MinAt = tensor.Place(first, t.Shape), tensor.Place(least, t.Shape)
	return r, err
}

// Histogram adds to counts how many elements of t are in each of its bins, which divide
// [−limit, limit] evenly. What lies outside is in the outermost bins, what is no number
// in none.
func Histogram(counts []int, t tensor.Tensor, limit float64) error {
	last := float64(len(counts) - 1)
	scale := float64(len(counts)) / (2 * limit)
	return each(t, func(_ int, v []float64) {
		for _, w := range v {
			if w == w {
				counts[int(min(max((w+limit)*scale, 0), last))]++
			}
		}
	})
}

// TapPower is the mean square of the elements at each of the last taps places of a
// kernel's rows: which places of its window a kernel looks at.
func TapPower(t tensor.Tensor, taps int) ([]float64, error) {
	power := make([]float64, taps)
	err := each(t, func(at int, v []float64) {
		for i, w := range v {
			power[(at+i)%taps] += float64(w * w)
		}
	})
	for k := range power {
		power[k] /= max(1, float64(t.Len()/taps))
	}
	return power, err
}

// chunk is how many elements each decodes at a time.
const chunk = 16 << 10

// each hands out all elements in order, some at a time; at is the first one's place.
func each(t tensor.Tensor, do func(at int, v []float64)) error {
	d, err := t.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	n, size := t.Len(), t.Type.Size()
	v := make([]float64, min(n, chunk))
	b := make([]byte, len(v)*size)
	for at := 0; at < n; at += len(v) {
		v = v[:min(len(v), n-at)]
		b = b[:len(v)*size]
		if err := tensor.ReadFull(d, b, int64(at)*int64(size)); err != nil {
			return err
		}
		micro.Decode(v, b, t.Type)
		do(at, v)
	}
	return nil
}
