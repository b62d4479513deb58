package stream

import (
	"slices"
	"sync"
	"sync/atomic"

	"repfuse/internal/fuse"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// job is an item to be written. One goroutine takes it up and does its pieces, since
// the kernel lets only one write to a file at a time; when nothing is left to take up,
// the others join in with what has most pieces left.
type job struct {
	item           int
	next, n, piece int    // bytes of a kept tensor, rows of a kernel, or one for a bias
	block          *block // nil where the tensor is kept
}

// block is what items are made of, from when the first of them is taken up to when the last
// is done.
type block struct {
	*fuse.Fused
	of      *plan.Output
	once    sync.Once
	err     error
	holders atomic.Int32 // items to be done
}

// ready reads the vectors, if nobody has. Kernels will be held on shelf.
func (b *block) ready(t tensor.Type, shelf fuse.Shelf) error {
	b.once.Do(func() {
		if b.Fused, b.err = fuse.New(b.of.Expr, t); b.err == nil {
			b.Shelf = shelf
		}
	})
	return b.err
}

func (b *block) release() {
	if b != nil && b.holders.Add(-1) == 0 {
		b.Free()
		b.Fused = nil
	}
}

// pieces is how many have not been begun.
func (j *job) pieces() int { return (j.n - j.next + j.piece - 1) / j.piece }

// task is a piece of an item.
type task struct {
	item     int
	from, to int
	block    *block
}

// jobs is those that were taken up and have pieces left.
type jobs struct {
	mu   sync.Mutex
	open []*job
}

func (s *jobs) add(j *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = append(s.open, j)
}

// begin takes a piece of j; ok reports whether there was one. Of an empty item there
// is one, and it is empty.
func (s *jobs) begin(j *job) (t task, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(s.open, j)
	if at < 0 {
		return task{}, false
	}
	t = task{j.item, j.next, min(j.next+j.piece, j.n), j.block}
	if j.next = t.to; j.next == j.n {
		s.open = slices.Delete(s.open, at, at+1)
	}
	return t, true
}

// anyJob is for longest.
func anyJob(*job) bool { return true }

// multiplies reports whether a job's pieces are products of kernels.
func multiplies(j *job) bool { return j.block != nil && j.block.Products() }

// crowded is a job to join rather than to begin another: where as many multiply kernels as
// may hold some, one more would read them again and again.
func (s *jobs) crowded(most int) *job {
	s.mu.Lock()
	n := 0
	for _, j := range s.open {
		if multiplies(j) {
			n++
		}
	}
	s.mu.Unlock()
	if n < most {
		return nil
	}
	return s.longest(multiplies)
}

// longest is the one of some jobs that has most pieces left, nil where there is none.
func (s *jobs) longest(among func(*job) bool) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	var most *job
	for _, j := range s.open {
		if among(j) && (most == nil || j.pieces() > most.pieces()) {
			most = j
		}
	}
	return most
}
