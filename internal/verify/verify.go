// Package verify runs both forms of every block on the same random input, borders
// included: the branches as the network runs them, and the convolution that was
// written in their place. It knows nothing of how a block is fused and looks only at
// what was stored.
//
// The verdict is from float64 runs, in which the two forms differ by what was stored
// and by little else. What is tolerated is derived, for every output channel, from
// the element type, the number of terms and their magnitudes (tolerance.go), and
// stands in the report beside what was measured. A float32 run shows what a runtime
// will show, and takes the time of both forms.
//
// Around the blocks, Run holds the result to the plan: every key is there, nothing
// else is, shapes are right, and what passes through has the same bytes.
package verify

import (
	"context"
	"fmt"
	"runtime"

	"repfuse/internal/conv"
	"repfuse/internal/health"
	"repfuse/internal/parallel"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
	"repfuse/internal/text"
)

// Options say how to verify. The zero value is what the command does by default.
type Options struct {
	// Size is the image's extents: one number for all axes, or one for each axis of the blocks that have most
	// axes; blocks of fewer axes take the last numbers. Nil is 14 on each axis (8 where there are three), or the kernel and
	// one more where that is larger.
	Size []int
	// Trials is how many images each block is run on; 0 is one.
	Trials int
	// Seed gives the images, each from the seed, its trial and its block's key alone.
	Seed uint64
	// Range is R: inputs are uniform in [−R, R]; 0 is 1.
	Range float64
	// Atol and Rtol replace the derived tolerance by |a−b| ≤ Atol + Rtol·|b|, b being the
	// branches' output, where one of them is not nil; the other is then what
	// torch.testing.assert_close takes for the element type.
	Atol, Rtol *float64
	// Types is the floating element types that the result was asked to have; Invalid
	// accepts any.
	Types plan.Types
	// ForceSize runs images however much that takes.
	ForceSize bool
	// Jobs is how many goroutines compute; 0 is one for each processor.
	Jobs int
	// Health asks for every stored kernel's fitness for low precision, too.
	Health bool
	// Progress, where it is not nil, is called after each block with how many are done
	// and how many there are.
	Progress func(done, total int)
}

func (o Options) withDefaults() (Options, error) {
	if o.Trials <= 0 {
		o.Trials = 1
	}
	if o.Range == 0 {
		o.Range = 1
	}
	if !(o.Range > 0 && o.Range <= tensor.Max(tensor.F32)) {
		return o, fmt.Errorf("--range %g, want a number above 0 and at most %.2g", o.Range, tensor.Max(tensor.F32))
	}
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	for _, n := range o.Size {
		if n < 1 {
			return o, fmt.Errorf("size %v, want extents of at least 1", o.Size)
		}
	}
	return o, nil
}

// Run verifies dst, the tensors of a result, as the fused form of what p plans. An
// error says that it could not be done; what is wrong with the result is in the
// report.
func Run(ctx context.Context, p *plan.Plan, dst []tensor.Named, o Options) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkSize(o.Size, p); err != nil {
		return nil, err
	}
	r := &run{Options: o, ctx: ctx, dst: tensor.ByKey(dst)}
	r.report = &Report{Seed: o.Seed, Trials: o.Trials, Range: o.Range, Findings: []Finding{}, Blocks: []Block{}}
	items := p.Items(o.Types)
	for _, f := range p.Fates {
		if f.Fate == plan.Dropped {
			r.report.Through.Dropped++
		}
	}
	r.keys(items, dst)
	if err := r.passThrough(items); err != nil {
		return nil, err
	}
	if err := r.blocks(p); err != nil {
		return nil, err
	}
	r.report.sum()
	if o.Health {
		err = r.health()
	}
	return r.report, err
}

// checkSize is an error where there are several extents, and not one for each axis.
func checkSize(size []int, p *plan.Plan) error {
	axes := 0
	for _, b := range p.Blocks {
		for _, o := range b.Outputs {
			axes = max(axes, o.Form.Rank())
		}
	}
	if len(size) < 2 || len(size) == axes || len(p.Blocks) == 0 {
		return nil
	}
	want := "one number"
	if axes > 1 {
		want = fmt.Sprintf("one number, or %d as the blocks have axes", axes)
	}
	return fmt.Errorf("--size %s, want %s", text.Join(size, "x"), want)
}

// run is one call of Run.
type run struct {
	Options
	ctx    context.Context
	dst    map[string]tensor.Tensor
	amiss  map[string]bool // keys that cannot be used as they are
	memory conv.Memory
	pixels []float64 // of an image
	adders parallel.Crew[adder]
	pairs  parallel.Crew[outputs]
	report *Report
}

// health measures the stored kernels of the blocks that could be run.
func (r *run) health() error {
	var kernels []tensor.Named
	var of []*Block
	for k := range r.report.Blocks {
		if b := &r.report.Blocks[k]; b.Skipped == "" {
			kernels = append(kernels, tensor.Named{Key: b.Weight, Tensor: r.dst[b.Weight]})
			of = append(of, b)
		}
	}
	all, err := health.Measure(r.ctx, kernels, r.Jobs)
	if err != nil {
		return err
	}
	for k := range all {
		of[k].Health = all[k]
	}
	return nil
}

func (r *run) blocks(p *plan.Plan) error {
	return p.EachOutput(r.Progress, func(of *plan.Block, o *plan.Output) error {
		b, err := r.block(of, o)
		r.report.Blocks = append(r.report.Blocks, b)
		return err
	})
}
