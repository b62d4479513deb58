package health

import (
	"fmt"
	"math"
	"slices"

	"repfuse/internal/tensor"
)

// reader is one goroutine's memory.
type reader struct {
	raw  []byte
	row  []float64
	hist []int
}

// buckets divide the magnitudes by their float32 bits, 128 to an octave.
const (
	bucketShift = 16
	buckets     = 1 << (31 - bucketShift)
)

// pass visits a kernel row by row.
func (r *reader) pass(t tensor.Tensor, visit func(o int, row []float64)) error {
	d, err := t.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	n := tensor.Elems(t.Shape[1:])
	size := n * t.Type.Size()
	r.raw, r.row = slices.Grow(r.raw[:0], size)[:size], slices.Grow(r.row[:0], n)[:n]
	for o := range t.Shape[0] {
		if err := tensor.ReadFull(d, r.raw, int64(o)*int64(size)); err != nil {
			return err
		}
		tensor.Decode(r.row, r.raw, t.Type)
		visit(o, r.row)
	}
	return nil
}

// sums is what a first pass adds up.
type sums struct {
	square, float16, bfloat16, int8 float64
	vanish                          int
	peaks                           []float64 // the largest magnitude of each channel
}

func (r *reader) measure(t tensor.Named) (Kernel, error) {
	k := Kernel{Key: t.Key, Elements: t.Len(), Min: math.Inf(1), Max: math.Inf(-1)}
	if !t.Type.IsFloat() || len(t.Shape) == 0 || k.Elements == 0 {
		return k, fmt.Errorf("%s of shape %v, want a kernel of floating type", t.Type, t.Shape)
	}
	if r.hist == nil {
		r.hist = make([]int, buckets+1)
	}
	clear(r.hist)
	s := sums{peaks: make([]float64, t.Shape[0])}
	if err := r.pass(t.Tensor, func(o int, row []float64) { s.take(&k, o, row, r.hist) }); err != nil {
		return k, err
	}
	if math.IsNaN(s.square) || math.IsInf(s.square, 0) {
		return k, fmt.Errorf("elements from %g to %g, want finite numbers whose squares are, too", k.Min, k.Max)
	}
	largest := slices.Max(s.peaks)
	noise, vanish := 0.0, 0
	err := r.pass(t.Tensor, func(_ int, row []float64) {
		e, n := eightBits(row, largest)
		noise, vanish = noise+e, vanish+n
	})
	if err != nil {
		return k, err
	}
	k.Vanish, k.VanishChannel = share(vanish, k.Elements), share(s.vanish, k.Elements)
	k.Sigma = math.Sqrt(s.square / float64(k.Elements))
	k.Median = median(r.hist, k.Elements)
	k.Peak = ratio(largest, k.Median)
	k.Channel = slices.Index(s.peaks, largest)
	slices.Sort(s.peaks)
	k.Spread = ratio(largest, s.peaks[len(s.peaks)/2])
	k.SNR = SNR{decibels(s.square, s.float16), decibels(s.square, s.bfloat16), decibels(s.square, noise), decibels(s.square, s.int8)}
	return k, nil
}

// take adds a row. What is no number shows in the sum of squares.
func (s *sums) take(k *Kernel, o int, row []float64, hist []int) {
	low, high, square, coarse, fine := math.Inf(1), math.Inf(-1), 0.0, 0.0, 0.0
	for _, w := range row {
		if w < low {
			low = w
		}
		if w > high {
			high = w
		}
		square += float64(w * w)
		hist[math.Float32bits(float32(math.Abs(w)))>>bucketShift]++
		b := w - toBits(w, 8)
		coarse += float64(b * b)
		h := w - half(w)
		fine += float64(h * h)
	}
	k.Min, k.Max = min(k.Min, low), max(k.Max, high)
	s.square, s.bfloat16, s.float16 = s.square+square, s.bfloat16+coarse, s.float16+fine
	peak := max(high, -low)
	if peak > tensor.Max(tensor.F16) {
		k.Overflow += beyond(row, tensor.Max(tensor.F16))
	}
	s.peaks[o] = peak
	e, n := eightBits(row, peak)
	s.int8, s.vanish = s.int8+e, s.vanish+n
}

// beyond counts the elements whose magnitude is above the limit.
func beyond(row []float64, limit float64) int {
	n := 0
	for _, w := range row {
		if math.Abs(w) > limit {
			n++
		}
	}
	return n
}

// toBits rounds v to a significand of so many bits (Veltkamp's splitting).
func toBits(v float64, bits int) float64 {
	p := float64(v * float64(uint64(1)<<(53-bits)+1))
	return float64(p - float64(p-v))
}

// half rounds to float16: 11 bits, or multiples of 2⁻²⁴ below 2⁻¹⁴. Beyond its largest
// number it stays there.
func half(v float64) float64 {
	const shift = 3 << 27 // whose last bit is 2⁻²⁴
	switch m := math.Abs(v); {
	case m < 0x1p-14:
		return float64(v+shift) - shift
	case m >= 65504:
		return math.Copysign(65504, v)
	}
	return toBits(v, 11)
}

// eightBits is the squared error of rounding a row to 127 levels on either side of
// zero, the last of them at largest, and how many elements that rounds to zero.
func eightBits(row []float64, largest float64) (squares float64, vanish int) {
	if largest == 0 {
		return 0, 0
	}
	const whole = 3 << 51 // added and taken away, it rounds to an integer
	scale, inverse := largest/127, 127/largest
	for _, w := range row {
		q := float64(w * inverse)
		level := float64(q+whole) - whole
		if level == 0 && w != 0 {
			vanish++
		}
		squares += float64((q - level) * (q - level))
	}
	return squares * scale * scale, vanish
}

func share(n, of int) float64 { return float64(n) / float64(of) }

// median is the middle of the bucket that the middle element is in.
func median(hist []int, n int) float64 {
	seen := 0
	for k, count := range hist {
		if seen += count; 2*seen >= n {
			if k == 0 {
				return 0
			}
			return float64(math.Float32frombits(uint32(k)<<bucketShift | 1<<(bucketShift-1)))
		}
	}
	return 0
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
