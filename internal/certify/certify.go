// Package certify says how far a fused convolution can be from the branches that it
// replaces, over all inputs: no sampling can miss what this finds.
//
// Both forms are affine in the input, so their difference is a convolution too, whose
// kernel is ΔW and whose bias is Δb: what was stored less the real fused value. Over
// all inputs with |x| ≤ R the largest difference of output channel o is exactly
//
//	R·Σ|ΔW_o| + |Δb_o|
//
// and the input R·sign(ΔW_o)·sign(Δb_o) attains it. The real value is taken from
// package fuse, unrounded and with a bound of its own error, which is added; so the
// certificate is an upper bound whatever rounding went on in computing it.
//
// The verdict is decided element by element (element.go) and the sums are only
// shown. Package verify, which knows nothing of how a block is fused, measures; a
// measured difference above the certified one is a fault of this program.
package certify

import (
	"context"
	"fmt"
	"runtime"

	"repfuse/internal/parallel"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Options say what to certify. The zero value is what the command does by default.
type Options struct {
	// Range is R; 0 is 1.
	Range float64
	// Jobs is how many goroutines compute; 0 is one for each processor.
	Jobs int
	// Progress, where it is not nil, is called after each block with how many are done
	// and how many there are.
	Progress func(done, total int)
}

func (o Options) withDefaults() (Options, error) {
	if o.Range == 0 {
		o.Range = 1
	}
	if !(o.Range > 0 && o.Range <= tensor.Max(tensor.F32)) {
		return o, fmt.Errorf("range %g, want a number above 0", o.Range)
	}
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	return o, nil
}

// Run certifies dst, the tensors of a result, against what p plans. An error says
// that it could not be done.
func Run(ctx context.Context, p *plan.Plan, dst []tensor.Named, o Options) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	all := &run{Options: o, ctx: ctx, stored: tensor.ByKey(dst)}
	r := &Report{Verdict: Exact, Range: o.Range, Blocks: []Block{}, Largest: -1, Worst: -1}
	return r, p.EachOutput(o.Progress, func(of *plan.Block, out *plan.Output) error {
		b, err := all.certify(of, out)
		if err == nil {
			r.add(b)
		}
		return err
	})
}

// run is what all certificates are made with.
type run struct {
	Options
	ctx     context.Context
	stored  map[string]tensor.Tensor
	workers parallel.Crew[kernelWorker]
}
