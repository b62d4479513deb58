package conv

import (
	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// planar is a convolution whose output channels look at one input channel each: a
// depthwise one, or a mean (AvgPool), which has no kernel of its own.
type planar[T element] struct {
	in    source[T]
	k     *kernel[T] // nil is the mean
	bias  []T
	outer int // output channels to an input channel
	f     frame
	out   box
	grid  grid
	lanes int
}

// grid is the geometry of a planar's kernel and output, as height×width slices of
// whatever axes there are before the last two.
type grid struct {
	taps int // of the whole kernel
	// slices is where each slice of the output begins in the plane, leads how far
	// from there each slice of the kernel looks and where it lies in the kernel.
	slices []int
	leads  []lead
	// A slice of the output, and of the kernel, spread by dilation.
	height, width  int
	kh, kw, dy, dx int
	pitch          int
	// row is the row of the frame that the first tap of the first output looks at;
	// live the rows of the frame that may be other than zero.
	row  int
	live [2]int
}

type lead struct{ shift, at int }

// newGrid works out the grid of a kernel of the given extents whose first tap is at
// lo and which is spread by step. live is as in stored.
func newGrid(f frame, out box, extent, lo, step, live []int) grid {
	flat := max(0, len(extent)-2) // axes before the last two
	g := grid{taps: tensor.Elems(extent), height: 1, width: 1, kh: 1, kw: 1, dy: 1, dx: 1, live: [2]int{0, 1}}
	if r := len(extent); r > 0 {
		g.width, g.kw, g.dx = out.size[r-1], extent[r-1], max(step[r-1], 1)
	}
	if r := len(extent); r > 1 {
		g.height, g.kh, g.dy, g.pitch = out.size[r-2], extent[r-2], max(step[r-2], 1), f.step[r-2]
		g.row = out.lo[r-2] + lo[r-2] - f.lo[r-2]
		g.live = [2]int{0, f.size[r-2]}
		if live != nil {
			g.live = [2]int{live[0], live[1]}
		}
	}
	begin := f.index(out.lo)
	places(out.size[:flat], func(p []int) { g.slices = append(g.slices, begin+f.shift(p)) })
	first := f.shift(lo)
	places(extent[:flat], func(p []int) {
		shift, at := first, 0
		for a, k := range p {
			shift += k * step[a] * f.step[a]
			at = at*extent[a] + k
		}
		g.leads = append(g.leads, lead{shift, at * g.kh * g.kw})
	})
	return g
}

// places visits every place of a box of the given size, the last axis fastest.
func places(size []int, visit func(p []int)) {
	for k := range tensor.Elems(size) {
		visit(tensor.Place(k, size))
	}
}

func (s *planar[T]) rows(w *worker[T], a, b int, dst []T) error {
	if s.k != nil {
		if err := s.k.rows(w, a, b); err != nil {
			return err
		}
	}
	kernels := w.take((b - a) * s.grid.taps)
	defer w.give(kernels)
	if s.k != nil {
		s.k.decode(w, kernels, 0)
	} else {
		for k := range kernels {
			kernels[k] = 1
		}
	}
	from := a / s.outer
	in, ok := s.in.(*stored[T])
	if !ok {
		to := (b-1)/s.outer + 1
		planes := w.take((to - from) * s.f.plane)
		defer w.give(planes)
		if err := s.in.rows(w, from, to, planes); err != nil {
			return err
		}
		in = &stored[T]{data: planes, plane: s.f.plane}
	} else {
		in = &stored[T]{data: in.data[from*s.f.plane:], plane: s.f.plane}
	}
	for o := a; o < b; o++ {
		y := dst[(o-a)*s.f.plane:][:s.f.plane]
		s.apply(w, kernels[(o-a)*s.grid.taps:][:s.grid.taps], in.channel(o/s.outer-from), y)
		s.finish(o, y)
	}
	return nil
}

// finish adds the bias, or makes a sum the mean of its taps.
func (s *planar[T]) finish(o int, y []T) {
	first, n := s.f.span(s.out)
	y = y[first:][:n]
	switch {
	case s.k == nil:
		for k := range y {
			y[k] /= T(s.grid.taps)
		}
	case s.bias != nil:
		for k := range y {
			y[k] += s.bias[o]
		}
	}
}

// apply sets y to plane x convolved with kernel m.
func (s *planar[T]) apply(w *worker[T], m, x, y []T) {
	g := &s.grid
	first, n := s.f.span(s.out)
	clear(y[first:][:n])
	// Rows of zeros on either side stand for the kernel rows that an output row
	// among eight does not meet.
	above := (micro.Rows - 1) * g.kw
	padded := w.take(g.kh*g.kw + 2*above)
	defer w.give(padded)
	clear(padded[:above])
	clear(padded[above+g.kh*g.kw:])
	off := w.shifts(g.kw, g.dx)
	for _, l := range g.leads {
		copy(padded[above:], m[l.at:][:g.kh*g.kw])
		for _, slice := range g.slices {
			for y0 := range min(g.dy, g.height) {
				for r := y0; r < g.height; r += micro.Rows * g.dy {
					s.eight(w, padded, off, x[slice+l.shift+r*g.pitch:], y[slice:], r)
				}
			}
		}
	}
}

// eight adds to the output rows r, r+dy, … of a slice, eight at most, what the
// kernel makes of x, which begins at what the first tap of row r looks at.
func (s *planar[T]) eight(w *worker[T], padded []T, off []int, x, y []T, r int) {
	g := &s.grid
	count := min(micro.Rows, (g.height-r+g.dy-1)/g.dy)
	// Input row i is row at + i·dy of the frame; those that are not zero count.
	at := g.row + r
	from := max(0, (g.live[0]-at+g.dy-1)/g.dy)
	to := min(g.kh+count-1, (g.live[1]-at+g.dy-1)/g.dy)
	if from >= to {
		return
	}
	n := upTo(g.width, s.lanes)
	tile := w.take(micro.Rows * n)
	defer w.give(tile)
	clear(tile)
	w.taps(tile, n, padded, (micro.Rows-1+from)*g.kw, -g.kw, x[from*g.dy*g.pitch:], g.dy*g.pitch, off, micro.Rows, to-from, n)
	for o := range count {
		to := y[(r+o*g.dy)*g.pitch:][:g.width]
		for k, v := range tile[o*n:][:g.width] {
			to[k] += v
		}
	}
}
