package op

import (
	"cmp"
	"slices"
)

// Form is what an expression comes to as one convolution, told from shapes alone.
type Form struct {
	In, Out, Groups int
	// Lo and Hi are the first and the last shift of each axis that a tap looks at, Step
	// the distance that all taps are multiples of (0 where there is one tap only).
	Lo, Hi, Step []int
	// Bias reports whether anything in the expression adds a constant.
	Bias bool
	// Stride is the distance between outputs on each axis; nil if nobody said.
	Stride []int
	// PaddingMode is what the input must be padded with, as in Conv: "" is zeros.
	PaddingMode string
	// Transposed kernels are stored [I, O/g, k…].
	Transposed bool
	// sampled is Stride as far as it is known.
	sampled stride
	// loose marks an even kernel whose place over the output nobody said.
	loose bool
	// borders is where zeros are put back within, which what stands around may spoil.
	borders []border
	// apart is the channels that a part of a concat has apart.
	apart window
}

// Rank is the number of axes of the kernel: 2 for images, 0 for a Linear layer.
func (f Form) Rank() int { return len(f.Lo) }

// Kernel is the extents of the fused kernel.
func (f Form) Kernel() []int {
	k := make([]int, f.Rank())
	for a := range k {
		k[a] = 1
		if f.Step[a] > 0 {
			k[a] += (f.Hi[a] - f.Lo[a]) / f.Step[a]
		}
	}
	return k
}

// Dilation is the spread of the fused kernel's taps on each axis.
func (f Form) Dilation() []int {
	d := make([]int, f.Rank())
	for a := range d {
		d[a] = max(f.Step[a], 1)
	}
	return d
}

// Padding is what the fused convolution must be padded by before each axis to
// see what the block saw.
func (f Form) Padding() []int {
	p := make([]int, f.Rank())
	for a := range p {
		p[a] = -f.Lo[a]
	}
	return p
}

// Span is how many elements of axis a there are from the output's own place to all that
// it looks at: an image of as many shows every tap.
func (f Form) Span(a int) int { return max(f.Hi[a], 0) - min(f.Lo[a], 0) + 1 }

// Taps is the number of taps of the fused kernel.
func (f Form) Taps() int {
	n := 1
	for _, k := range f.Kernel() {
		n *= k
	}
	return n
}

// WeightShape is the shape of the fused kernel as it is stored.
func (f Form) WeightShape() []int {
	if f.Transposed {
		return append([]int{f.In, f.Out / f.Groups}, f.Kernel()...)
	}
	return append([]int{f.Out, f.In / f.Groups}, f.Kernel()...)
}

// strided is f with the Stride that its parts sample by; a transposed convolution has its own.
func (f Form) strided() Form {
	if !f.Transposed {
		f.Stride = nil
		if f.sampled.known {
			f.Stride = f.sampled.by
		}
	}
	return f
}

// reaches reports whether the operator looks along axis a.
func (f Form) reaches(a int) bool { return f.Lo[a] != 0 || f.Hi[a] != 0 }

func (f Form) reachesAny() bool {
	for a := range f.Lo {
		if f.reaches(a) {
			return true
		}
	}
	return false
}

// looks reports whether the operator does more than act on channels.
func (f Form) looks() bool { return f.Transposed || f.reachesAny() || !f.sampled.isOne() }

// after is the form of g applied to what f gives: its taps lie f's stride apart.
func after(f, g Form) Form {
	h := Form{In: f.In, Out: g.Out, Groups: GCD(f.Groups, g.Groups), Bias: f.Bias || g.Bias,
		PaddingMode: cmp.Or(f.PaddingMode, g.PaddingMode),
		Transposed:  f.Transposed || g.Transposed, loose: f.loose || g.loose, apart: f.windowBefore(g)}
	for a, s := range f.sampled.by {
		h.Lo = append(h.Lo, f.Lo[a]+s*g.Lo[a])
		h.Hi = append(h.Hi, f.Hi[a]+s*g.Hi[a])
		h.Step = append(h.Step, GCD(f.Step[a], s*g.Step[a]))
	}
	h.sampled = f.sampled.then(g.sampled.by)
	h.sampled.known = f.sampled.known && g.sampled.known
	if f.Transposed {
		h.Stride = f.Stride
	} else {
		h.Stride = g.Stride
	}
	return h.strided()
}

// beside is the form of f and g added.
func beside(f, g Form) Form {
	h := Form{In: f.In, Out: f.Out, Groups: GCD(f.Groups, g.Groups), Bias: f.Bias || g.Bias,
		PaddingMode: cmp.Or(f.PaddingMode, g.PaddingMode), loose: f.loose || g.loose,
		borders: append(slices.Clip(f.borders), g.borders...), apart: f.apart.beside(g.apart), Transposed: f.Transposed}
	if f.Transposed {
		if h.Stride = f.Stride; h.Stride == nil {
			h.Stride = g.Stride
		}
	}
	h.sampled, _ = f.sampled.beside(g.sampled)
	for a := range f.Lo {
		h.Lo = append(h.Lo, min(f.Lo[a], g.Lo[a]))
		h.Hi = append(h.Hi, max(f.Hi[a], g.Hi[a]))
		h.Step = append(h.Step, GCD(GCD(f.Step[a], g.Step[a]), f.Lo[a]-g.Lo[a]))
	}
	return h.strided()
}

// GCD is the greatest common divisor, 0 of two zeros.
func GCD[T int | int32](a, b T) T {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, -a)
}
