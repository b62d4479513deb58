package fuse

import (
	"bytes"
	"math"
	"math/big"
	"slices"

	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// unit64 bounds the relative error of one float64 operation; realUnit that of one at
// realBits, generously.
const (
	unit64   = 0x1p-53
	realUnit = 0x1p-250
)

// slack is how much of an ulp of the result, beyond the half that rounding takes, an
// error may be: the design's 0.001.
const slack = 0x1p-10

// bound is the error of an element relative to Σ|terms|. A sum of products errs by
// at most κ·u/(1−κ·u)·Σ|terms| in whatever order it is done, κ being the roundings on
// the longest way of a term (Higham, "Accuracy and stability", §3.1); the rest is for
// Σ|terms| and its bounds being computed numbers themselves.
func (l *layout) bound(unit float64) float64 { return float64(l.kappa+4) * unit * (1 + 0x1p-10) }

// doubtful lists the elements of s that float64 does not settle.
//
// Where a row is nowhere summed over channels the sums are short and always done in
// the same order, and an element is settled when its error is at most the slack:
// |Σ| ≥ θ·Σ|terms|, as an ulp of a type of p bits is at least 2⁻ᵖ·|Σ|. (For
// float32 and RepVGG's seven roundings θ is 2⁻¹⁶.) Products of matrices are summed
// in whatever order the processor likes; there an element is settled when all numbers
// within the error round alike (Ziv, 1991).
func (w *Worker) doubtful(s *sheet) []int {
	var list []int
	θ := s.bound(unit64) / (slack * math.Ldexp(1, -precision(w.f.Type)))
	for o := range s.at {
		for _, t := range s.strands(o) {
			if w.f.dense {
				list = w.unlike(list, s, t)
				continue
			}
			for i := micro.Settled(t.sum, t.mag, θ); i < len(t.sum); i += 1 + micro.Settled(t.sum[i+1:], t.mag[i+1:], θ) {
				list = append(list, t.first+i*t.step)
			}
		}
	}
	return list
}

// unlike adds to list the elements of a strand whose bounds are stored differently.
func (w *Worker) unlike(list []int, s *sheet, t strand) []int {
	e, n := s.bound(unit64), len(t.sum)
	if w.f.Type == tensor.F32 { // the same as below, without a detour
		for i := micro.Alike(t.sum, t.mag, e); i < n; i += 1 + micro.Alike(t.sum[i+1:], t.mag[i+1:], e) {
			list = append(list, t.first+i*t.step)
		}
		return list
	}
	typ := w.f.Type
	size := typ.Size()
	ends := w.floats.alloc(2 * n)
	defer func() { w.floats.used -= 2 * n }()
	for i, m := range t.mag {
		v, d := t.sum[i], float64(e*m)
		ends[i], ends[n+i] = v-d, v+d
	}
	w.lo, w.hi = slices.Grow(w.lo[:0], size*n), slices.Grow(w.hi[:0], size*n)
	lo, hi := w.lo[:size*n], w.hi[:size*n]
	encode(lo, ends[:n], typ)
	encode(hi, ends[n:], typ)
	for i, m := range t.mag {
		if m > 0 && !bytes.Equal(lo[i*size:(i+1)*size], hi[i*size:(i+1)*size]) {
			list = append(list, t.first+i*t.step)
		}
	}
	return list
}

// precision is the length of the significand.
func precision(t tensor.Type) int {
	return [...]int{tensor.F16: 11, tensor.BF16: 8, tensor.F32: 24, tensor.F64: 53}[t]
}

// settle computes the doubtful elements of s again, and gives each to found with the
// error of an operation. Every element of a float64 result is doubtful.
func (w *Worker) settle(s *sheet, found func(at int, v dd, unit float64)) error {
	perRow := w.f.carefulNumbers()
	if w.f.Type == tensor.F64 {
		perRow += w.f.root.numbers(true)
	}
	batch := max(1, carefulCells/perRow)
	if w.f.Type == tensor.F64 {
		for o := 0; o < len(s.at); o += batch {
			list := make([]int, min(batch, len(s.at)-o)*s.cells())
			for i := range list {
				list[i] = o*s.cells() + i
			}
			if err := w.again(s, list, true, found); err != nil {
				return err
			}
		}
		return nil
	}
	list := w.doubtful(s)
	for len(list) > 0 {
		n := 0
		for n < len(list) && list[n]/s.cells() < list[0]/s.cells()+batch {
			n++
		}
		if err := w.again(s, list[:n], false, found); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// carefulNumbers is how many numbers the careful interpreter has for a row, beside those that
// come out of it.
func (f *Fused) carefulNumbers() int { return 1 + rowNumbers(f.pulled, f.units, true) }

// again computes elements in double-double numbers, and those that cancel too far
// for these at 256 bits.
func (w *Worker) again(s *sheet, list []int, whole bool, found func(int, dd, float64)) error {
	var hard []int
	least := slack * math.Ldexp(1, -precision(w.f.Type)) // an ulp is at least 2⁻ᵖ·|v|
	err := w.twofold.elements(s, list, whole, func(at int, v dd) {
		if e := s.bound(ddUnit) * s.magnitude(at); e > least*math.Abs(v.hi) && e > slack*tensor.Ulp(v.hi, w.f.Type) {
			hard = append(hard, at)
			return
		}
		found(at, v, ddUnit)
	})
	if err != nil || len(hard) == 0 {
		return err
	}
	return w.exact.elements(s, hard, false, func(at int, v *big.Float) {
		found(at, toDD(v), realUnit)
	})
}

// elements computes the listed elements of s. whole says that they are whole rows.
func (e *careful[T, F]) elements(s *sheet, list []int, whole bool, found func(at int, v T)) error {
	rows, cols := rowsAndColumns(s, list, whole)
	first := rows[0]
	n := rows[len(rows)-1] - first + 1
	width := s.width
	if cols != nil {
		width = len(cols)
	}
	e.cells.begin(n*s.taps()*width+len(rows)*e.w.f.carefulNumbers(), carefulCells)
	e.tiles.begin(2, 0)
	mark := e.w.mark()
	defer e.w.release(mark)
	dst := e.newCells(s.layout, e.w.places.alloc(n), cols)
	e.w.f.place(dst.at, s.first+first)
	locate := func(at int) (o, k, i int) {
		o, k, i = at/s.cells()-first, at%s.taps(), at%s.cells()/s.taps()
		if cols != nil {
			i, _ = slices.BinarySearch(cols, i)
		}
		return o, k, i
	}
	if !whole {
		dst.want = make([][]int, n*s.taps())
		for _, at := range list {
			o, k, i := locate(at)
			dst.want[o*s.taps()+k] = append(dst.want[o*s.taps()+k], i)
		}
	}
	units := e.newCells(e.w.f.units, nil, nil)
	for _, o := range rows {
		units.at = append(units.at, place{row: o - first, src: len(units.val), base: s.first + o, width: 1})
		units.val = append(units.val, e.f.one())
	}
	if err := e.pull(e.w.f.pulled, units, dst); err != nil {
		return err
	}
	for _, at := range list {
		o, k, i := locate(at)
		found(at, dst.row(o, k)[i])
	}
	return nil
}

// rowsAndColumns is the rows and the channels, ascending, that the listed elements lie
// in; no columns are all of them.
func rowsAndColumns(s *sheet, list []int, whole bool) (rows, cols []int) {
	for _, at := range list {
		rows = append(rows, at/s.cells())
		if !whole {
			cols = append(cols, at%s.cells()/s.taps())
		}
	}
	slices.Sort(rows)
	slices.Sort(cols)
	return slices.Compact(rows), slices.Compact(cols)
}
