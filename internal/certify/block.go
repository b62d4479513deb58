package certify

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"repfuse/internal/fuse"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// pieceBytes is how much of a stored kernel a goroutine takes at a time: the second
// cache, together with the real values.
const pieceBytes = 64 << 10

// certify makes the certificate of one fused convolution.
func (r *run) certify(of *plan.Block, out *plan.Output) (Block, error) {
	b := Block{Path: of.Path, Family: of.Family, Weight: out.Weight, Bias: out.Bias, Verdict: Different,
		Worst: Element{Key: out.Weight, Index: []int{}, Verdict: Different}}
	if b.Skipped = unfit(out, r.stored); b.Skipped != "" {
		return b, nil
	}
	c, err := r.open(out)
	if err != nil {
		return b, err
	}
	b.Type, b.KernelRoundings, b.BiasRoundings = c.weight.Type.String(), c.kernelRoundings, c.biasRoundings
	if err := c.kernel(); err != nil {
		return b, err
	}
	if err := c.constant(); err != nil {
		return b, err
	}
	c.conclude(&b)
	if b.Epsilons, err = epsilons(out.Expr); err != nil {
		return b, err
	}
	b.Identities, err = c.identities(of)
	return b, err
}

// unfit says why a convolution cannot be certified, or "".
func unfit(out *plan.Output, stored map[string]tensor.Tensor) string {
	for key, shape := range map[string][]int{out.Weight: out.Form.WeightShape(), out.Bias: {out.Form.Out}} {
		t, there := stored[key]
		switch {
		case key == "":
		case !there:
			return key + " is missing"
		case !slices.Equal(t.Shape, shape):
			return fmt.Sprintf("%s has shape %v, want %v", key, t.Shape, shape)
		case !t.Type.IsFloat():
			return fmt.Sprintf("%s has element type %s, want a floating one", key, t.Type)
		}
	}
	return ""
}

// certificate is the state of certifying one convolution.
type certificate struct {
	*run
	out    *plan.Output
	weight tensor.Tensor
	bias   tensor.Tensor
	fused  *fuse.Fused
	// terms computes Σ|terms|, where an element has to be explained.
	terms func() (*fuse.Fused, error)

	kernelRoundings, biasRoundings op.Roundings
	// under is how far off a real value may be because float64 ends at 2⁻¹⁰⁷⁴. Beside an element of a
	// narrower type that is nothing: there it is 0, so that a certificate can be zero.
	under float64

	// By output channel: Σ|ΔW| and |Δb|, both with the bounds of their own error, and
	// what those come to.
	sum, shift, own []float64
	tally           tally
}

func (r *run) open(out *plan.Output) (*certificate, error) {
	c := &certificate{run: r, out: out, weight: r.stored[out.Weight], bias: r.stored[out.Bias]}
	var err error
	if c.fused, err = fuse.New(out.Expr, c.weight.Type); err != nil {
		return nil, err
	}
	c.terms = sync.OnceValues(func() (*fuse.Fused, error) {
		e, err := absolute(out.Expr, out.Form)
		if err != nil {
			return nil, err
		}
		return fuse.New(e, tensor.F32)
	})
	c.kernelRoundings, c.biasRoundings, err = op.FusingRoundings(out.Expr, out.Form)
	if c.weight.Type == tensor.F64 {
		c.under = math.SmallestNonzeroFloat64
	}
	n := out.Form.Out
	c.sum, c.shift, c.own = make([]float64, n), make([]float64, n), make([]float64, n)
	return c, err
}

// tally counts verdicts and keeps the worst element.
type tally struct {
	count map[Verdict]int
	worst Element
	any   bool
}

func (t *tally) add(e Element, n int) {
	if t.count == nil {
		t.count = map[Verdict]int{}
	}
	t.count[e.Verdict] += n
	if !t.any || e.worseThan(t.worst) {
		t.worst, t.any = e, true
	}
}

func (t *tally) merge(u tally) {
	if u.any {
		t.add(u.worst, 0)
	}
	for v, n := range u.count {
		t.count[v] += n
	}
}

// kernel compares the stored kernel with the real one.
func (c *certificate) kernel() error {
	d, err := c.weight.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", c.out.Weight, err)
	}
	defer d.Close()
	rows := c.fused.Rows()
	step := c.fused.RowsPerBlock(pieceBytes)
	jobs := c.Jobs
	if c.out.Form.Transposed { // its rows are input channels, and each adds to many sums
		jobs = 1
	}
	tallies := make([]tally, (rows+step-1)/step)
	err = c.workers.Each(c.ctx, jobs, len(tallies), func(w *kernelWorker, k int) error {
		if err := w.begin(c, d); err != nil {
			return err
		}
		return w.rows(k*step, min(rows, (k+1)*step), &tallies[k])
	})
	for _, w := range c.workers.Hands() {
		err = errors.Join(err, w.close())
	}
	for _, t := range tallies {
		c.tally.merge(t)
	}
	return err
}

// constant compares the stored bias with the real one.
func (c *certificate) constant() error {
	if c.out.Bias == "" {
		return nil
	}
	stored, err := c.bias.Floats()
	if err != nil {
		return fmt.Errorf("%s: %w", c.out.Bias, err)
	}
	real, err := c.fused.Constant()
	if err != nil {
		return err
	}
	abs, err := c.terms()
	if err != nil {
		return err
	}
	terms, err := abs.Constant()
	if err != nil {
		return err
	}
	u := ulpsOf(c.bias.Type)
	gamma := c.biasRoundings.Gamma(c.bias.Type)
	for o, s := range stored {
		v := value{real[o].Hi, real[o].Lo, c.constantBound() * terms[o].Hi}
		e := u.element(v, s)
		if !u.exact(v, s) {
			e = u.judge(v, s, terms[o].Hi, gamma)
		}
		e.Key, e.Index = c.out.Bias, []int{o}
		c.tally.add(e, 1)
		c.shift[o] = v.off(s) + v.bound + c.under
		c.own[o] += v.bound + c.under
	}
	return nil
}

// constantBound is the error of fuse's double-double bias relative to Σ|terms|: less
// than 2⁻¹⁰⁰ for every operation on the longest way of a term, of which it has no more
// than an ordinary program has roundings and a few.
func (c *certificate) constantBound() float64 {
	return float64(c.biasRoundings.Steps+c.biasRoundings.Sums+8) * 0x1p-100
}

// own covers the roundings of the sums themselves: 2²² terms and more, each of which
// errs by 2⁻⁵³ of the sum.
const own = 1 + 0x1p-30

// conclude adds up what was found.
func (c *certificate) conclude(b *Block) {
	b.Worst, b.Verdict = c.tally.worst, c.tally.worst.Verdict
	b.Exact, b.Equivalent, b.Different = c.tally.count[Exact], c.tally.count[Equivalent], c.tally.count[Different]
	b.Channels = make([]float64, len(c.sum))
	for o := range c.sum {
		kernel, bias := finite(c.Range*c.sum[o]*own), finite(c.shift[o]*own)
		b.Channels[o] = finite(kernel + bias)
		if o == 0 || b.Channels[o] > b.Bound.Value {
			b.Bound = Bound{Value: b.Channels[o], Channel: o, Kernel: kernel, Bias: bias, Own: finite(c.own[o])}
		}
	}
}
