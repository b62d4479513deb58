package health

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// reader is one goroutine's memory.
type reader struct {
	raw    []byte
	part   [1 << 10]float64
	single [4 << 10]byte // a part as float32
	hist   [buckets]int
}

// readBytes is how much of a kernel is read at a time, except for its longest rows.
const readBytes = 64 << 10

// buckets divide the magnitudes by their float32 bits, 128 to an octave.
const (
	bucketShift = 16
	buckets     = 1 << (31 - bucketShift)
)

// pass visits the stored rows of a kernel.
func (r *reader) pass(t tensor.Tensor, visit func(o int, raw []byte)) error {
	d, err := t.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	size := tensor.Elems(t.Shape[1:]) * t.Type.Size()
	rows := max(1, readBytes/size)
	for o := 0; o < t.Shape[0]; o += rows {
		n := min(rows, t.Shape[0]-o)
		r.raw = slices.Grow(r.raw[:0], n*size)[:n*size]
		if err := tensor.ReadFull(d, r.raw, int64(o)*int64(size)); err != nil {
			return err
		}
		for i := range n {
			visit(o+i, r.raw[i*size:][:size])
		}
	}
	return nil
}

// parts decodes a row, some elements at a time.
func (r *reader) parts(raw []byte, t tensor.Type, do func(part []float64, raw []byte)) {
	for len(raw) > 0 {
		n := min(len(r.part), len(raw)/t.Size())
		part, of := r.part[:n], raw[:n*t.Size()]
		micro.Decode(part, of, t)
		do(part, of)
		raw = raw[len(of):]
	}
}

// sums is what the rows come to.
type sums struct {
	square, float16, bfloat16 float64
	peaks                     []float64 // the largest magnitude of each channel
	// What eight bits lose, with one scale and with one for each channel.
	tensor, channel eightBits
}

func (r *reader) measure(t tensor.Named) (*Kernel, error) {
	k := &Kernel{Key: t.Key, Shape: t.Shape, Elements: t.Len(), Min: math.Inf(1), Max: math.Inf(-1)}
	if !t.Type.IsFloat() || len(t.Shape) == 0 || k.Elements == 0 {
		return k, fmt.Errorf("%s of shape %v, want a kernel of floating type", t.Type, t.Shape)
	}
	clear(r.hist[:])
	s := sums{peaks: make([]float64, t.Shape[0])}
	if err := r.pass(t.Tensor, func(o int, raw []byte) { r.take(k, &s, o, raw, t.Type) }); err != nil {
		return k, err
	}
	if math.IsNaN(s.square) || math.IsInf(s.square, 0) {
		return k, fmt.Errorf("elements from %g to %g, want finite numbers whose squares are, too", k.Min, k.Max)
	}
	largest := slices.Max(s.peaks)
	err := r.pass(t.Tensor, func(o int, raw []byte) { r.quantize(&s, raw, t.Type, largest, s.peaks[o]) })
	if err != nil {
		return k, err
	}
	k.Vanish, k.VanishChannel = share(s.tensor.vanish, k.Elements), share(s.channel.vanish, k.Elements)
	k.Sigma = math.Sqrt(s.square / float64(k.Elements))
	k.Median = median(r.hist[:], k.Elements)
	k.Peak = ratio(largest, k.Median)
	k.Channel = slices.Index(s.peaks, largest)
	slices.Sort(s.peaks)
	k.Spread = ratio(largest, s.peaks[len(s.peaks)/2])
	k.SNR = SNR{decibels(s.square, s.float16), decibels(s.square, s.bfloat16), decibels(s.square, s.tensor.square), decibels(s.square, s.channel.square)}
	k.Warning = k.warning()
	return k, nil
}

// take adds a row. What is no number shows in the sum of squares.
func (r *reader) take(k *Kernel, s *sums, o int, raw []byte, t tensor.Type) {
	l := micro.NewLoss()
	r.parts(raw, t, func(part []float64, raw []byte) {
		l.Take(part)
		if t != tensor.F32 {
			raw = r.single[:4*len(part)]
			micro.Round(raw, part, tensor.F32)
		}
		count(&r.hist, raw)
	})
	low, high := slices.Min(l.Low[:]), slices.Max(l.High[:])
	k.Min, k.Max = min(k.Min, low), max(k.Max, high)
	s.square += micro.Sum(&l.Square)
	s.bfloat16 += micro.Sum(&l.BFloat16)
	s.float16 += micro.Sum(&l.Float16)
	s.peaks[o] = max(high, -low)
	if limit := tensor.Max(tensor.F16); s.peaks[o] > limit {
		r.parts(raw, t, func(part []float64, _ []byte) { k.Overflow += beyond(part, limit) })
	}
}

// count adds float32 elements to the buckets of their magnitudes.
func count(hist *[buckets]int, singles []byte) {
	for ; len(singles) >= 8; singles = singles[8:] {
		two := binary.LittleEndian.Uint64(singles)
		hist[two>>bucketShift%buckets]++
		hist[two>>(32+bucketShift)%buckets]++
	}
	if len(singles) > 0 {
		hist[binary.LittleEndian.Uint32(singles)>>bucketShift%buckets]++
	}
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

// eightBits is what rounding to 127 levels on either side of zero loses: the squared
// error, and how many elements become zero.
type eightBits struct {
	square float64
	vanish int
}

// quantize adds a row to what eight bits lose. The last level is at largest for the
// kernel, at peak for the row.
func (r *reader) quantize(s *sums, raw []byte, t tensor.Type, largest, peak float64) {
	if math.IsInf(127/peak, 0) { // nothing but zeros, or what has no steps in float64
		return
	}
	var whole, own micro.Steps
	r.parts(raw, t, func(part []float64, _ []byte) {
		whole.Take(part, 127/largest)
		own.Take(part, 127/peak)
	})
	s.tensor.add(&whole, largest/127)
	s.channel.add(&own, peak/127)
}

func (e *eightBits) add(s *micro.Steps, step float64) {
	e.square += float64(micro.Sum(&s.Square) * step * step)
	e.vanish += s.Vanish()
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
