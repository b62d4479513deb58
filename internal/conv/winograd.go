package conv

import (
	"slices"

	"repfuse/internal/micro"
	"repfuse/internal/op"
)

// winograd is a dense convolution of 3×3 kernels by Winograd's F(2×2, 3×3)
// (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015). The
// output is cut into squares of 2×2, each of which looks at 4×4 of the input, and
//
//	Y = Aᵀ·(Σ_i (G·gᵢ·Gᵀ) ⊙ (Bᵀ·dᵢ·B))·A
//
// takes 16 products for four outputs and an input channel instead of 36. What is in
// the outer brackets is, for each of the 16 places, a product of matrices.
//
// Taken by their magnitudes, Bᵀ, G and Aᵀ meet a tap of the kernel with elements of the
// input 16 times at most. Of I input channels a term is rounded I times, and four
// times each for what G, Bᵀ, Aᵀ and the bias do; see Roundings.
type winograd[T element] struct {
	k    *kernel[T]
	bias []T
	in   *squares[T]
	f    frame
	out  box
}

const (
	// growth and extra are those of the error; see Roundings.
	growth, extra = 16, 16
	// fewest is the input channels from which on this is the faster way.
	fewest = 32
	// most is the bytes that the squares of the input may take, on all of the image: a strip
	// of it is computed in the same way.
	most = 8 << 20
)

// Roundings is a number n for which an output of a convolution of inner channels and
// so many taps, run with o, errs by at most n·u/(1 − n·u) of R·Σ|w| + |b|, R being the
// largest magnitude of the input anywhere on the plane, and u 2⁻⁵³ where it is run in
// float64 and 2⁻²⁴ in float32.
func Roundings(inner, taps int, o Options) int {
	direct := inner*taps + 2
	if o.Float32 || taps != 9 || inner < fewest {
		return direct
	}
	return max(direct, growth*(inner+extra))
}

// winograd compiles a convolution in this way where it can be done and is worth it, or
// else gives nil.
func (c *compiler[T]) winograd(f op.Form, k *kernel[T], bias []T, in *stored[T], out box) source[T] {
	if c.arithmetic.winograd == nil || k.transposed || k.inner < fewest || !slices.Equal(k.of.Shape[2:], []int{3, 3}) || !slices.Equal(f.Step, []int{1, 1}) {
		return nil
	}
	s := c.cut(in, f, out)
	if s == nil {
		return nil
	}
	return &winograd[T]{k, bias, s, c.f, out}
}

// squares is a map as V = Bᵀ·d·B for each of its squares d: element t of square s of
// channel i is at t·next + i·columns + s. The squares lie row by row. See micro.Winograd64
// for what next is best.
type squares[T element] struct {
	of         *stored[T]
	corner     []int // of the first one
	high, wide int   // how many there are
	columns    int   // high·wide, in whole vectors
	channels   int
	next       int
	data       []T
}

// cut gives the squares of a map that a 3×3 kernel on the box out looks at. They are
// made once for all who want them. It gives nil where there are none or too many.
func (c *compiler[T]) cut(in *stored[T], f op.Form, out box) *squares[T] {
	s := &squares[T]{of: in, high: (out.size[0] + 1) / 2, wide: (out.size[1] + 1) / 2, channels: f.In}
	s.corner = []int{out.lo[0] + f.Lo[0], out.lo[1] + f.Lo[1]}
	s.columns = upTo(s.high*s.wide, c.lanes)
	s.next = s.channels*s.columns + c.lanes
	for _, other := range c.squares {
		if other.of == in && slices.Equal(other.corner, s.corner) && other.high == s.high && other.wide == s.wide {
			return other
		}
	}
	size := micro.WinogradTaps * s.next
	high := (out.size[0] - c.out.size[0] + c.image.size[0] + 1) / 2
	if all := float64(upTo(high*s.wide, c.lanes)) * float64(s.channels); all == 0 || float64(c.size*micro.WinogradTaps)*(all+float64(c.lanes)) > most {
		return nil
	}
	s.data = c.take(size)
	c.concurrently(s.channels, micro.Rows, func(w *worker[T], a, b int) error {
		d := w.take((2*s.high + 2) * (2*s.wide + 2))
		defer w.give(d)
		for i := a; i < b; i++ {
			s.copyFrom(c.f, i, d)
			s.transform(i, d)
		}
		return nil
	})
	c.squares = append(c.squares, s)
	return s
}

// copyFrom copies what the squares of channel i look at. What an odd row or column at the
// end of the frame has behind it is anything: outputs alone that are dropped look at it.
func (s *squares[T]) copyFrom(f frame, i int, d []T) {
	width := 2*s.wide + 2
	for r := range 2*s.high + 2 {
		at := f.index([]int{s.corner[0] + r, s.corner[1]})
		copy(d[r*width:][:width], s.of.channel(i)[at:])
	}
}

// transform sets channel i to Bᵀ·d·B.
func (s *squares[T]) transform(i int, d []T) {
	width, next := 2*s.wide+2, s.next
	for q := range s.high * s.wide {
		at := d[q/s.wide*2*width+q%s.wide*2:]
		r0, r1, r2, r3 := at[:4], at[width:][:4], at[2*width:][:4], at[3*width:][:4]
		to := s.data[i*s.columns+q:]
		var b [4][4]T
		for k := range 4 {
			b[0][k], b[1][k], b[2][k], b[3][k] = r0[k]-r2[k], r1[k]+r2[k], r2[k]-r1[k], r1[k]-r3[k]
		}
		for r, v := range b {
			to[4*r*next] = v[0] - v[2]
			to[(4*r+1)*next] = v[1] + v[2]
			to[(4*r+2)*next] = v[2] - v[1]
			to[(4*r+3)*next] = v[1] - v[3]
		}
	}
}

// rows computes each group's rows together, several groups one after another.
func (s *winograd[T]) rows(w *worker[T], a, b int, dst []T) error {
	return byGroup(s.k, a, b, func(from, to int) error { return s.group(w, from, to, dst[(from-a)*s.f.plane:]) })
}

// chunk is the input channels that are taken at once: so many of their kernels, and of
// a tile of the input, fit the first cache.
const chunk = 64

// group computes output channels a to b-1 of one group. They share each chunk of the
// input while it is near. What the rows of kernels past b hold goes into rows that are
// dropped.
func (s *winograd[T]) group(w *worker[T], a, b int, dst []T) error {
	if err := s.k.rows(w, a, b); err != nil {
		return err
	}
	in, rows := s.in, upTo(b-a, micro.Rows)
	const ld = chunk * 9
	next := chunk*rows + micro.Rows
	sum := w.take(micro.WinogradTaps * rows * in.columns)
	g := w.take(micro.Rows * ld)
	u := w.take(micro.WinogradTaps * next)
	defer w.give(sum)
	defer w.give(g)
	defer w.give(u)
	clear(sum)
	begin := a / s.k.outer * s.k.inner
	for i := 0; i < s.k.inner; i += chunk {
		channels := min(chunk, s.k.inner-i)
		for o := range b - a {
			s.k.decode(w, g[o%micro.Rows*ld:][:9*channels], (o*s.k.inner+i)*9)
			if o%micro.Rows == micro.Rows-1 || o == b-a-1 {
				w.winograd(u[o/micro.Rows*micro.Rows*channels:], next, g, ld, channels)
			}
		}
		for t := range micro.WinogradTaps {
			w.packed(sum[t*rows*in.columns:], in.columns, u[t*next:], micro.Rows*channels,
				in.data[t*in.next+(begin+i)*in.columns:], in.columns, rows, channels, in.columns)
		}
	}
	for o := range b - a {
		var bias T
		if s.bias != nil {
			bias = s.bias[a+o]
		}
		s.finish(sum[o*in.columns:], rows*in.columns, bias, dst[o*s.f.plane:][:s.f.plane])
	}
	return nil
}

// finish sets a plane to Aᵀ·m·A of each square, plus the bias. The elements of m are next
// apart.
func (s *winograd[T]) finish(sum []T, next int, bias T, plane []T) {
	in, first := s.in, s.f.index(s.out.lo)
	for q := range in.high * in.wide {
		y, x := q/in.wide*2, q%in.wide*2
		var p [2][4]T // Aᵀ·m
		for k := range 4 {
			m0, m1, m2, m3 := sum[k*next+q], sum[(4+k)*next+q], sum[(8+k)*next+q], sum[(12+k)*next+q]
			p[0][k], p[1][k] = m0+m1+m2, m1-m2-m3
		}
		for r := range min(2, s.out.size[0]-y) {
			v, to := &p[r], plane[first+(y+r)*s.f.step[0]+x:]
			to[0] = v[0] + v[1] + v[2] + bias
			if x+1 < s.out.size[1] {
				to[1] = v[1] - v[2] - v[3] + bias
			}
		}
	}
}
