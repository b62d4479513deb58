package fuse

import (
	"slices"

	"repfuse/internal/exact"
)

// refiner computes single rows in any field, as a puller does blocks in float64: for the
// elements that float64 does not decide.
type refiner[T any, F exact.Field[T]] struct {
	field   F
	numbers *arena[T]
	kernels *kernels
}

// row is a row of coefficients in a field, tap by tap, for the channels held. Where only
// some taps are asked for the others are anything.
type row[T any] struct {
	*layout
	held   channels
	val    []T    // from the first channel held on
	stride int    // of the taps in val
	asked  []bool // by tap; nil is all
	owned  bool   // nobody else reads val
}

func (e *refiner[T, F]) newRow(l *layout, held channels, asked []bool) *row[T] {
	val := e.numbers.alloc(l.taps() * held.width())
	clear(val)
	return &row[T]{l, held, val, held.width(), asked, true}
}

// at is the numbers at a tap.
func (r *row[T]) at(tap int) []T { return r.val[tap*r.stride:][:r.held.width()] }

// part is the numbers at a tap of some of the channels held.
func (r *row[T]) part(tap int, s channels) []T {
	return r.at(tap)[s.lo-r.held.lo : s.hi-r.held.lo]
}

func (r *row[T]) asks(tap int) bool { return r.asked == nil || r.asked[tap] }

// kernelRow computes the channels held of row o of the fused kernel, at the taps asked for.
func (e *refiner[T, F]) kernelRow(f *Fused, o int, held channels, asked []bool) (*row[T], error) {
	e.numbers.begin(0)
	dst := e.newRow(f.root, held, asked)
	r := e.newRow(f.units, channels{o, o + 1}, nil)
	r.val[0] = e.field.One()
	return dst, e.pull(f.step, r, dst)
}

func (e *refiner[T, F]) pull(s step, r, dst *row[T]) error {
	switch s := s.(type) {
	case *diagStep:
		e.pullDiag(s, r, dst)
	case *convStep:
		return e.pullConv(s, r, dst)
	case *sumStep:
		shared := *r
		shared.owned = false
		for _, part := range s.parts {
			if err := e.pull(part, &shared, dst); err != nil {
				return err
			}
		}
	case *concatStep:
		for k, part := range s.parts {
			held := r.held.within(s.of[k])
			if held.width() <= 0 {
				continue
			}
			sub := *r // parts touch channels of their own, so each may scale them in place
			sub.val, sub.held = r.val[held.lo-r.held.lo:], held.shifted(-s.of[k].lo)
			if err := e.pull(part, &sub, dst); err != nil {
				return err
			}
		}
	case *chainStep:
		return e.pullChain(s, r, dst)
	}
	return nil
}

func (e *refiner[T, F]) pullChain(s *chainStep, r, dst *row[T]) error {
	mark := e.numbers.used
	defer func() { e.numbers.used = mark }()
	for k, l := range s.links {
		if l.scale != nil {
			r = e.scaled(l.scale, r)
			continue
		}
		mid := e.newRow(l.mid, l.node.from(r.held), nil)
		if !slices.ContainsFunc(s.links[k+1:], func(l link) bool { return l.scale == nil }) {
			mid.asked = asks(s.first, l.mid, dst.asked)
		}
		if err := e.pull(l.step, r, mid); err != nil {
			return err
		}
		r = mid
	}
	return e.pull(s.first, r, dst)
}

// asks is the taps of rows r that s takes to a tap that is asked for; nil is all.
func asks(s step, r *layout, dst []bool) []bool {
	var table []int
	switch s := s.(type) {
	case *convStep:
		table = s.table
	case *diagStep:
		table = s.table
	}
	if dst == nil || table == nil {
		return nil
	}
	list := make([]bool, r.taps())
	for k, to := range table {
		τ := k / (len(table) / len(list))
		list[τ] = list[τ] || dst[to]
	}
	return list
}

// scaled is r·diag(n), in place where nobody else needs r.
func (e *refiner[T, F]) scaled(n *diag, r *row[T]) *row[T] {
	s := *r
	s.held = r.held.shifted(n.offset)
	if n.factor == nil {
		return &s
	}
	if !r.owned {
		s.val, s.owned = e.numbers.alloc(len(r.val)), true
		copy(s.val, r.val)
	}
	for τ := range s.taps() {
		if !s.asks(τ) {
			continue
		}
		v := s.at(τ)
		for i := range v {
			v[i] = e.field.Scale(v[i], n.factor, r.held.lo+i)
		}
	}
	return &s
}

func (e *refiner[T, F]) pullDiag(s *diagStep, r, dst *row[T]) {
	held := dst.held.within(r.held.shifted(s.offset))
	for τ := range r.taps() {
		for c := held.lo; c < held.hi; c++ {
			v := r.at(τ)[c-s.offset-r.held.lo]
			if s.factor != nil {
				v = e.field.Scale(v, s.factor, c-s.offset)
			}
			if s.area > 1 {
				v = e.field.Divide(v, s.area)
			}
			for _, to := range s.table[τ*s.taps():][:s.taps()] {
				if dst.asks(to) {
					cell := &dst.at(to)[c-dst.held.lo]
					*cell = e.field.Add(*cell, v)
				}
			}
		}
	}
}

func (e *refiner[T, F]) pullConv(s *convStep, r, dst *row[T]) error {
	taps, size := s.taps(), s.weight.Type.Size()
	for k := r.held.lo; k < r.held.hi; k++ {
		group := s.group(k)
		held := dst.held.within(group)
		if held.width() <= 0 {
			continue
		}
		b, err := e.kernels.row(s.conv, k, r.held.hi)
		if err != nil {
			return err
		}
		w := e.kernels.decode(s.conv, b[(held.lo-group.lo)*taps*size:(held.hi-group.lo)*taps*size])
		for i, to := range s.table {
			if τ, t := i/taps, i%taps; dst.asks(to) {
				e.field.MulAdd(dst.part(to, held), r.at(τ)[k-r.held.lo], w[t:], taps)
			}
		}
	}
	return nil
}
