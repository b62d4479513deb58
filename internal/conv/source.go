package conv

import (
	"fmt"
	"math"

	"repfuse/internal/op"
)

// element is what a Runner computes in.
type element interface{ float32 | float64 }

// source gives a map some channels at a time, as planes of the frame. It may be
// used by several goroutines, each with its own worker.
type source[T element] interface {
	// rows writes channels a to b-1, some of them, to the planes of dst.
	rows(w *worker[T], a, b int, dst []T) error
}

// stored is a map held whole: the planes of all its channels.
type stored[T element] struct {
	data  []T
	plane int
	// live is the rows of the last axis but one that are not zero throughout, from
	// the first to the one after the last, where that is known.
	live []int
}

func (s *stored[T]) rows(_ *worker[T], a, b int, dst []T) error {
	copy(dst[:(b-a)*s.plane], s.data[a*s.plane:])
	return nil
}

// channel is the plane of channel i.
func (s *stored[T]) channel(i int) []T { return s.data[i*s.plane:][:s.plane] }

// each is an operator that acts on every element by itself.
type each[T element] struct {
	in       source[T]
	first, n int
	plane    int
	// apply changes the elements of channel c.
	apply func(c int, v []T)
}

func (s *each[T]) rows(w *worker[T], a, b int, dst []T) error {
	if err := s.in.rows(w, a, b, dst); err != nil {
		return err
	}
	for c := a; c < b; c++ {
		s.apply(c, dst[(c-a)*s.plane+s.first:][:s.n])
	}
	return nil
}

// total is a sum.
type total[T element] struct {
	parts    []source[T]
	first, n int
	plane    int
}

func (s *total[T]) rows(w *worker[T], a, b int, dst []T) error {
	if err := s.parts[0].rows(w, a, b, dst); err != nil {
		return err
	}
	part := w.take((b - a) * s.plane)
	defer w.give(part)
	for _, p := range s.parts[1:] {
		if err := p.rows(w, a, b, part); err != nil {
			return err
		}
		for c := range b - a {
			at := c*s.plane + s.first
			from, to := part[at:][:s.n], dst[at:][:s.n]
			for k, v := range from {
				to[k] += v
			}
		}
	}
	return nil
}

// stack is a concatenation; upTo is the channel that ends each part.
type stack[T element] struct {
	parts []source[T]
	ends  []int
	plane int
}

func (s *stack[T]) rows(w *worker[T], a, b int, dst []T) error {
	begin := 0
	for k, part := range s.parts {
		from, to := max(a, begin), min(b, s.ends[k])
		if from < to {
			if err := part.rows(w, from-begin, to-begin, dst[(from-a)*s.plane:]); err != nil {
				return err
			}
		}
		begin = s.ends[k]
	}
	return nil
}

// selected is some channels of another source, from one on.
type selected[T element] struct {
	in   source[T]
	from int
}

func (s *selected[T]) rows(w *worker[T], a, b int, dst []T) error {
	return s.in.rows(w, a+s.from, b+s.from, dst)
}

// normaliser is (x − μ)·(1/√(σ² + ε))·γ + β, each step rounded to T.
func normaliser[T element](e op.BatchNorm, channels int) (func(c int, v []T), error) {
	var p [4][]T
	for k, of := range []*op.Param{e.Mean, e.Var, e.Gamma, e.Beta} {
		var err error
		if p[k], err = vector[T](of, channels, []float64{0, 1, 1, 0}[k]); err != nil {
			return nil, err
		}
	}
	mean, scale, gamma, beta := p[0], p[1], p[2], p[3]
	for c, variance := range scale {
		scale[c] = 1 / T(math.Sqrt(float64(variance+T(e.Eps))))
	}
	return func(c int, v []T) {
		m, s, g, b := mean[c], scale[c], gamma[c], beta[c]
		for k, x := range v {
			v[k] = (x-m)*s*g + b
		}
	}, nil
}

// vector reads a vector of one element for each channel. One element stands for
// all channels; where there is no vector, literal does.
func vector[T element](p *op.Param, channels int, literal float64) ([]T, error) {
	v := []float64{literal}
	if p != nil {
		var err error
		if v, err = p.Floats(); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Key, err)
		}
	}
	w := make([]T, channels)
	for c := range w {
		w[c] = T(v[min(c, len(v)-1)])
	}
	return w, nil
}
