package conv

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"repfuse/internal/micro"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Options say how a Runner computes.
type Options struct {
	// Float32 rounds everything to float32 as it goes, which is what a runtime shows.
	// Otherwise all is float64, and what two expressions differ by is themselves.
	Float32 bool
	// Jobs is how many goroutines compute the maps between two convolutions when the
	// Runner is made; 0 is one for each processor.
	Jobs int
	// Memory is where the maps lie; nil is memory of their own.
	Memory *Memory
	// Strip is what to compute; nil is everything on the image's box.
	Strip *Strip
}

// Strip is the rows From to To-1, along the first axis, of an image of extents Size. What
// NewAll is given is a part of that image, which has the rows that Reach says beside them.
// Where From is even, the outputs are bit for bit those of the whole image.
type Strip struct {
	Size     []int
	From, To int
}

// Reach is how far expressions look along the first of the axes, from an output's own place.
func Reach(exprs []op.Expr, channels, rank int) (lo, hi int, err error) {
	for _, e := range exprs {
		n, err := op.Fold(nodes[float64]{}, op.AtStride1(e, rank), channels, rank)
		if err != nil {
			return 0, 0, err
		}
		lo, hi = min(lo, n.lo[0]), max(hi, n.hi[0])
	}
	return lo, hi, nil
}

// Runner is an expression ready to be run on one image, some output channels at a
// time. It holds the image, and the maps that a later convolution looks at all
// channels of; kernels are read as they are needed.
type Runner struct {
	channels int
	together int // that Rows is fastest for; see the function together
	size     []int
	ahead    atomic.Int64 // nanoseconds
	opened   []tensor.Data
	rows     func(space *Workspace, a, b int, dst []float64) error
	closed   func() // nil after Close
}

// NewAll prepares expressions for running on one image, of which they share a copy. Close
// must be called on each in the end.
func NewAll(exprs []op.Expr, image Map, o Options) ([]*Runner, error) {
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.Memory == nil {
		o.Memory = &Memory{}
	}
	if o.Float32 {
		return prepare(exprs, image, o, in32)
	}
	return prepare(exprs, image, o, in64)
}

// Channels is the number of output channels.
func (r *Runner) Channels() int { return r.channels }

// Elems is the number of elements of an output channel.
func (r *Runner) Elems() int { return tensor.Elems(r.size) }

// Share is how many channels to give each of so many goroutines at a time where all are
// wanted: what is fastest, as long as none is idle while others do the last of them.
func (r *Runner) Share(jobs int) int {
	return max(micro.Rows, min(r.together, r.channels/(2*jobs)/micro.Rows*micro.Rows))
}

// Ahead is the time that went into maps that a later convolution looks at all channels
// of, added up over all goroutines: they were computed when the Runner was made.
func (r *Runner) Ahead() time.Duration { return time.Duration(r.ahead.Load()) }

// Rows computes output channels a to b-1 on the image's box, into the first places
// of dst, in a space that no other goroutine computes in. It is fastest for as many as Share says.
func (r *Runner) Rows(space *Workspace, a, b int, dst []float64) error {
	return r.rows(space, a, b, dst)
}

// Close closes the tensors that the Runner reads from. It must not be used after it.
func (r *Runner) Close() error {
	var err error
	for _, d := range r.opened {
		err = errors.Join(err, d.Close())
	}
	r.opened = nil
	if r.closed != nil {
		r.closed()
		r.closed = nil
	}
	return err
}

// worker is a Workspace in one type of element: it belongs to the sources of a Runner by turns.
type worker[T element] struct {
	*arithmetic[T]
	buffers[T]
	raw  []byte
	wide []float64
	off  []int
}

// shifts is 0, d, 2d, …
func (w *worker[T]) shifts(n, d int) []int {
	w.off = tensor.Sized(w.off, n)
	for k := range w.off {
		w.off[k] = k * d
	}
	return w.off
}

// prepare makes Runners that compute in T, in one frame that holds the
// maps of all.
func prepare[T element](exprs []op.Expr, image Map, o Options, by *arithmetic[T]) ([]*Runner, error) {
	part := box{image.Lo, image.Size}
	all, out := part, part
	if s := o.Strip; s != nil {
		all = box{make([]int, len(s.Size)), s.Size}
		out = box{slices.Clone(all.lo), slices.Clone(s.Size)}
		out.lo[0], out.size[0] = s.From, s.To-s.From
	}
	whole, row, list := around(part, out), 0, make([]*node[T], len(exprs))
	for k, e := range exprs {
		n, err := op.Fold(nodes[T]{}, op.AtStride1(e, len(image.Size)), image.Channels, len(image.Size))
		if err != nil {
			return nil, err
		}
		whole, row, list[k] = around(whole, n.hull(out)), max(row, n.row), n
	}
	c := &compiler[T]{
		arithmetic: by, f: newFrame(whole.lo, whole.size, by.lanes), image: all, out: out, jobs: o.Jobs, memory: o.Memory,
	}
	c.together = together(c.f.plane*by.size, row)
	in := c.store(image)
	var open atomic.Int64
	var runners []*Runner
	for _, n := range list {
		r, err := c.runner(n, in)
		open.Add(1)
		r.closed = func() {
			if open.Add(-1) == 0 {
				c.release()
			}
		}
		runners = append(runners, r)
		if err != nil {
			for _, r := range runners {
				err = errors.Join(err, r.Close())
			}
			return nil, err
		}
	}
	return runners, nil
}

// runner makes the Runner of one node. It is not nil where there is an error, and
// must be closed.
func (c *compiler[T]) runner(n *node[T], in *stored[T]) (*Runner, error) {
	r := &Runner{channels: n.out, together: c.together, size: c.out.size}
	c.opened, c.ahead = &r.opened, &r.ahead
	s, err := n.compile(c, in, c.out)
	if err != nil {
		return r, err
	}
	each, lines := c.out.elems(), c.f.lines(c.out)
	r.rows = func(space *Workspace, a, b int, dst []float64) error {
		if a < 0 || b > n.out || len(dst) < (b-a)*each {
			return fmt.Errorf("channels %d to %d of %d into %d places", a, b, n.out, len(dst))
		}
		w := c.in(space)
		planes := w.take(c.together * c.f.plane)
		defer w.give(planes)
		for o := a; o < b; o += c.together {
			end := min(b, o+c.together)
			if err := s.rows(w, o, end, planes); err != nil {
				return err
			}
			for k := range end - o {
				c.copyOut(w, lines, dst[(o-a+k)*each:][:each], planes[k*c.f.plane:][:c.f.plane])
			}
		}
		return nil
	}
	return r, nil
}

// together is how many channels Runner.Rows is fastest for, a multiple of micro.Rows, of planes
// of so many bytes and rows of the largest stored kernel: they share what is near of the
// input, and their own maps still fit the second cache.
func together(plane, row int) int {
	const planes, rows, most = 128 << 10, 1 << 20, 4
	return micro.Rows * max(1, min(most, planes/(micro.Rows*plane), rows/(micro.Rows*max(row, 1))))
}

// concurrently calls do for channels 0 to n-1, so many at a time, from several
// goroutines, each with its own worker.
func (c *compiler[T]) concurrently(n, size int, do func(w *worker[T], a, b int) error) error {
	return c.memory.crew.Each(context.Background(), c.jobs, (n+size-1)/size, func(space *Workspace, k int) error {
		return do(c.in(space), k*size, min(n, (k+1)*size))
	})
}
