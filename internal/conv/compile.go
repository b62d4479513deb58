package conv

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"repfuse/internal/micro"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// compiler makes sources of nodes. All their maps lie in one frame.
type compiler[T element] struct {
	*arithmetic[T]
	f     frame
	image box // all of it
	out   box // what is wanted
	jobs  int
	// together is how many channels are computed at a time; see the function together.
	together int
	opened   *[]tensor.Data
	ahead    *atomic.Int64 // nanoseconds in hold
	// squares is what was cut of maps so far.
	squares []*squares[T]
	memory  *Memory
	taken   [][]float64 // of memory, until release
}

// take gives n elements with anything in them, until release.
func (c *compiler[T]) take(n int) []T {
	v := c.memory.maps.take((n*c.size + 7) / 8)
	c.taken = append(c.taken, v)
	return c.of(v)[:n]
}

// release gives the memory of all maps back.
func (c *compiler[T]) release() {
	for _, v := range c.taken {
		c.memory.maps.give(v)
	}
	c.taken = nil
}

// in is the worker of a goroutine.
func (c *compiler[T]) in(space *Workspace) *worker[T] {
	w := c.worker(space)
	w.arithmetic = c.arithmetic
	return w
}

// planes is a map of zeros.
func (c *compiler[T]) planes(channels int) *stored[T] {
	s := &stored[T]{data: c.take(channels * c.f.plane), plane: c.f.plane}
	clear(s.data)
	return s
}

// store lays the image out in the frame.
func (c *compiler[T]) store(image Map) *stored[T] {
	s := &stored[T]{data: c.take(image.Channels * c.f.plane), plane: c.f.plane}
	each, lines := tensor.Elems(image.Size), c.f.lines(box{image.Lo, image.Size})
	c.concurrently(image.Channels, micro.Rows, func(w *worker[T], a, b int) error {
		for i := a; i < b; i++ {
			plane := s.channel(i)
			clear(plane)
			c.copyIn(w, lines, plane, image.Data[i*each:][:each])
		}
		return nil
	})
	if a := len(image.Size) - 2; a >= 0 {
		begin := image.Lo[a] - c.f.lo[a]
		s.live = []int{begin, begin + image.Size[a]}
	}
	return s
}

// copyIn puts what a box has of a channel in its place in a plane.
func (c *compiler[T]) copyIn(w *worker[T], l lines, plane []T, from []float64) {
	if l.solid() {
		c.narrow(plane[l.begin[0]:][:len(from)], from)
		return
	}
	all := w.take(len(from))
	defer w.give(all)
	c.narrow(all, from)
	for k, begin := range l.begin {
		copy(plane[begin:][:l.length], all[k*l.length:])
	}
}

// copyOut takes a box out of a plane.
func (c *compiler[T]) copyOut(w *worker[T], l lines, to []float64, plane []T) {
	if l.solid() {
		c.widen(to, plane[l.begin[0]:][:len(to)])
		return
	}
	all := w.take(len(to))
	defer w.give(all)
	for k, begin := range l.begin {
		copy(all[k*l.length:][:l.length], plane[begin:])
	}
	c.widen(to, all)
}

// parts compiles the parts of a Sum or a Concat. What several of them look at is
// computed once.
func (c *compiler[T]) parts(n *node[T], in source[T], out box) ([]source[T], error) {
	if len(n.parts) > 1 {
		var err error
		if in, err = c.hold(in, n.in); err != nil {
			return nil, err
		}
	}
	var parts []source[T]
	for _, p := range n.parts {
		s, err := p.compile(c, in, out)
		if err != nil {
			return nil, err
		}
		parts = append(parts, s)
	}
	return parts, nil
}

// hold computes a source whole, where it is not.
func (c *compiler[T]) hold(in source[T], channels int) (*stored[T], error) {
	if s, ok := in.(*stored[T]); ok {
		return s, nil
	}
	s := c.planes(channels)
	return s, c.concurrently(channels, c.together, func(w *worker[T], a, b int) error {
		begin := time.Now()
		defer func() { c.ahead.Add(int64(time.Since(begin))) }()
		return in.rows(w, a, b, s.data[a*s.plane:b*s.plane])
	})
}

// mean is the mean of the places that a kernel of such extents looks at.
func (c *compiler[T]) mean(f op.Form, extents []int, in source[T], out box) source[T] {
	return &planar[T]{in: in, outer: 1, f: c.f, out: out, lanes: c.lanes,
		grid: newGrid(c.f, out, extents, f.Lo, f.Step, live(in))}
}

// live is the rows of a source that may be other than zero, where that is known.
func live[T element](in source[T]) []int {
	if s, ok := in.(*stored[T]); ok {
		return s.live
	}
	return nil
}

// conv compiles a convolution, by whether an output channel looks at one input
// channel or at several.
func (c *compiler[T]) conv(e op.Conv, f op.Form, in source[T], out box) (source[T], error) {
	k, err := c.kernel(e, f)
	if err != nil {
		return nil, err
	}
	var bias []T
	if e.Bias != nil {
		if bias, err = vector[T](e.Bias, f.Out, 0); err != nil {
			return nil, err
		}
	}
	if k.inner == 1 && !e.Transposed {
		return &planar[T]{in: in, k: k, bias: bias, outer: k.outer, f: c.f, out: out, lanes: c.lanes,
			grid: newGrid(c.f, out, e.Weight.Shape[2:], f.Lo, f.Step, live(in))}, nil
	}
	whole, err := c.hold(in, f.In)
	if err != nil {
		return nil, err
	}
	if s := c.winograd(f, k, bias, whole, out); s != nil {
		return s, nil
	}
	s := &dense[T]{k: k, bias: bias, in: whole, f: c.f}
	s.first, s.n = c.f.span(out)
	s.n = upTo(s.n, c.lanes)
	places(e.Weight.Shape[2:], func(p []int) { // of the taps
		d := c.f.shift(f.Lo)
		for a, k := range p {
			d += k * f.Step[a] * c.f.step[a]
		}
		if e.Transposed {
			d = -d
		}
		s.off = append(s.off, d)
	})
	s.low = slices.Min(s.off)
	for t := range s.off {
		s.off[t] -= s.low
	}
	return s, nil
}

// kernel opens a convolution's weight.
func (c *compiler[T]) kernel(e op.Conv, f op.Form) (*kernel[T], error) {
	if !e.Weight.Type.IsFloat() {
		return nil, fmt.Errorf("%s: element type %s, want a floating one", e.Weight.Key, e.Weight.Type)
	}
	d, err := e.Weight.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Weight.Key, err)
	}
	*c.opened = append(*c.opened, d)
	return &kernel[T]{of: e.Weight, data: d, inner: f.In / f.Groups, outer: f.Out / f.Groups,
		taps: f.Taps(), transposed: e.Transposed}, nil
}
