package certify

import (
	"errors"
	"fmt"
	"math"

	"repfuse/internal/fuse"
	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// kernelWorker is one goroutine's memory for comparing rows of a kernel.
type kernelWorker struct {
	*certificate
	data              tensor.Data
	space             fuse.Workspace
	real              *fuse.Worker
	abs               *fuse.Worker // made when an element has to be explained
	u                 ulps
	raw               []byte
	stored            []float64
	hi, lo, bound     []float64
	terms, low, slack []float64
}

// begin has w go on to the kernel of c, where it is not at it.
func (w *kernelWorker) begin(c *certificate, d tensor.Data) error {
	if w.certificate == c {
		return nil
	}
	err := w.close()
	w.certificate, w.data, w.u = c, d, ulpsOf(c.weight.Type)
	w.real, w.abs = c.fused.NewWorker(&w.space), nil
	return err
}

// close closes what was read.
func (w *kernelWorker) close() error {
	var err error
	for _, f := range []*fuse.Worker{w.real, w.abs} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// rows compares rows a to b-1 of the kernel.
func (w *kernelWorker) rows(a, b int, t *tally) error {
	if err := w.read(a, b); err != nil {
		return err
	}
	shape := w.out.Form.WeightShape()
	width, taps := shape[1], w.out.Form.Taps()
	run := width * taps // elements of one output channel that lie together
	if w.out.Form.Transposed {
		run = taps
	}
	var doubtful []int
	worst, at := 0.0, 0 // of those that are exact for sure
	for from := 0; from < len(w.stored); from += run {
		o := a + from/run
		if w.out.Form.Transposed {
			row := a + from/(width*taps)
			o = row/(shape[0]/w.out.Form.Groups)*width + from%(width*taps)/taps
		}
		s := w.compare(from, from+run, &doubtful, &worst, &at)
		s.own += float64(run) * w.under
		w.sum[o] += s.off + s.own
		w.own[o] += w.Range * s.own
	}
	sure := w.element(a, at, w.u.element(w.value(at), w.stored[at]))
	if n := len(w.stored) - len(doubtful); n > 0 {
		t.add(sure, n)
	}
	return w.explain(a, b, doubtful, t)
}

// read fetches rows a to b-1: what was stored and the real values.
func (w *kernelWorker) read(a, b int) error {
	n := (b - a) * tensor.Elems(w.weight.Shape[1:])
	size := w.weight.Type.Size()
	w.raw, w.stored = tensor.Sized(w.raw, n*size), tensor.Sized(w.stored, n)
	w.hi, w.lo, w.bound = tensor.Sized(w.hi, n), tensor.Sized(w.lo, n), tensor.Sized(w.bound, n)
	if err := tensor.ReadFull(w.data, w.raw, int64(a)*int64(n/(b-a)*size)); err != nil {
		return fmt.Errorf("%s: %w", w.out.Weight, err)
	}
	micro.Decode(w.stored, w.raw, w.weight.Type)
	return w.real.Reals(w.hi, w.lo, w.bound, a, b)
}

func (w *kernelWorker) value(i int) value { return value{w.hi[i], w.lo[i], w.bound[i]} }

// sums is Σ|stored − real| and Σ of the bounds of that.
type sums struct{ off, own float64 }

// compare goes through elements from to to-1 of what was read. It lists those that
// are not exact at first sight, and keeps the place of the one that is most ulps off
// among the others.
func (w *kernelWorker) compare(from, to int, doubtful *[]int, worst *float64, at *int) sums {
	var e micro.Errors
	for i := from; i < to; {
		i += e.Near(w.stored[i:to], w.hi[i:to], w.lo[i:to], w.bound[i:to], w.u.Ulps, near, *worst)
		for end := min(i+micro.Chains, to); i < end; i++ {
			d := math.Abs((w.stored[i] - w.hi[i]) - w.lo[i])
			e.Add(i-from, d, w.bound[i])
			ulp := w.u.At(w.hi[i])
			if !((d+w.bound[i])*micro.Slack <= near*ulp) {
				*doubtful = append(*doubtful, i)
			} else if d > *worst*ulp {
				*worst, *at = d/ulp, i
			}
		}
	}
	return sums{micro.Sum(&e.Off) * micro.Slack, micro.Sum(&e.Own)}
}

// explain gives the doubtful elements of rows a to b-1 their verdicts.
func (w *kernelWorker) explain(a, b int, doubtful []int, t *tally) error {
	have := false
	gamma := w.kernelRoundings.Gamma(w.weight.Type)
	for _, i := range doubtful {
		v, s := w.value(i), w.stored[i]
		if w.u.nearest(v, s) {
			t.add(w.element(a, i, w.u.element(v, s)), 1)
			continue
		}
		if !have {
			if err := w.magnitudes(a, b); err != nil {
				return err
			}
			have = true
		}
		if w.terms[i] == 0 {
			v.bound = 0 // magnitudes that come to nothing: there are no terms at all
		}
		t.add(w.element(a, i, w.u.judge(v, s, w.terms[i], gamma)), 1)
	}
	return nil
}

// magnitudes computes Σ|terms| of rows a to b-1.
func (w *kernelWorker) magnitudes(a, b int) error {
	if w.abs == nil {
		f, err := w.certificate.terms()
		if err != nil {
			return err
		}
		w.abs = f.NewWorker(&w.space)
	}
	n := len(w.stored)
	w.terms, w.low, w.slack = tensor.Sized(w.terms, n), tensor.Sized(w.low, n), tensor.Sized(w.slack, n)
	err := w.abs.Reals(w.terms, w.low, w.slack, a, b)
	for i, s := range w.slack {
		if w.terms[i] != 0 {
			w.terms[i] += s // so that it is no less than the real sum
		}
	}
	return err
}

// element names element i of rows that begin at row a.
func (w *kernelWorker) element(a, i int, e Element) Element {
	e.Key = w.out.Weight
	e.Index = tensor.Place(a*tensor.Elems(w.weight.Shape[1:])+i, w.weight.Shape)
	return e
}
