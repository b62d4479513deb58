package verify

import (
	"fmt"

	"repfuse/internal/conv"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// block compares one convolution of the result with its branches.
func (r *run) block(of *plan.Block, o *plan.Output) (Block, error) {
	b := Block{Path: of.Path, Family: of.Family, Weight: o.Weight, Bias: o.Bias,
		Size: []int{}, Largest: nowhere(), Nearest: nowhere(), Float32: Float32{Largest: nowhere()}}
	for _, key := range []string{o.Weight, o.Bias} {
		if r.amiss[key] {
			b.Skipped = key + " is not what the plan wants"
			return b, nil
		}
	}
	c := &comparison{run: r, out: o, stored: r.stored(o)}
	b.Type = c.stored.Weight.Type.String()
	b.Size = imageSize(r.Size, o.Form)
	var before, after demand
	b.Before, before = costOf(o.Expr, o.Form)
	b.After, after = costOf(c.stored, o.Form)
	c.size = b.Size
	if err := c.affordable(before.maps+after.maps, max(before.multiplyAdds, 1)); err != nil {
		return b, err
	}
	bad, err := c.limits()
	if err != nil {
		return b, err
	}
	if bad != nil {
		r.report.Findings = append(r.report.Findings, *bad)
		b.Skipped = fmt.Sprintf("%s%v is %s", bad.Key, bad.Index, bad.Got)
		return b, nil
	}
	if err := c.wide(&b); err != nil {
		return b, err
	}
	return b, c.narrow(&b)
}

// nowhere is the place of a block that was not run: a list of no numbers rather than
// none, for who reads it as JSON.
func nowhere() Place { return Place{Position: []int{}} }

// stored is the convolution that was written, as an expression.
func (r *run) stored(o *plan.Output) op.Conv {
	c := op.Conv{
		Weight:     op.Param{Key: o.Weight, Tensor: r.dst[o.Weight]},
		Dilation:   o.Form.Dilation(),
		Padding:    o.Form.Padding(),
		Transposed: o.Form.Transposed,
		Groups:     o.Form.Groups,
	}
	if o.Bias != "" {
		c.Bias = &op.Param{Key: o.Bias, Tensor: r.dst[o.Bias]}
	}
	return c
}

// imageSize is the extents of the image that a block is run on.
func imageSize(asked []int, f op.Form) []int {
	size := make([]int, f.Rank())
	for a := range size {
		switch from := len(asked) - len(size) + a; {
		case len(asked) == 0 && len(size) > 2:
			size[a] = max(8, f.Span(a)+1)
		case len(asked) == 0:
			size[a] = max(14, f.Span(a)+1)
		default:
			size[a] = asked[max(from, 0)]
		}
	}
	return size
}

// comparison is the state of comparing one block.
type comparison struct {
	*run
	out    *plan.Output
	stored op.Conv
	size   []int   // of the image
	height int     // how many of its rows are run at a time
	image  image   // what was made of it last
	limit  []limit // by output channel
	count  op.Roundings
	chain  chain // the longest of the two forms
	seen   []channel
}

// wide compares the two forms in float64 on all images, for the verdict.
func (c *comparison) wide(b *Block) error {
	c.seen = make([]channel, c.out.Form.Out)
	for trial := range c.Trials {
		err := c.strips(trial, false, func(p forms, from int) error {
			return c.pass(p, p.branches.Share(c.Jobs), c.out.Form.Out, func(o int, want, got []float64) {
				c.seen[o].compare(c.limit[o], trial, from, want, got)
			}, nil)
		})
		if err != nil {
			return err
		}
	}
	s := summarise(c.seen, b.Size)
	b.Largest, b.Nearest, b.Relative, b.Mean, b.Elements = s.largest, s.nearest, s.relative, s.mean, s.elements
	b.Largest.Slack, b.Nearest.Slack = c.limit[b.Largest.Channel].slack, c.limit[b.Nearest.Channel].slack
	b.Tolerance = c.tolerance(b.Nearest)
	b.Passed = s.worst <= 1
	return nil
}

// forms is both forms ready to be run on one strip of an image.
type forms struct{ branches, fused *conv.Runner }

// pass runs output channels of both forms, size at a time, and gives each to visit,
// which several goroutines call, each channel once: all channels, or, where there are
// more than most, groups of them spread evenly. clock, where it is not nil, takes the
// times.
func (c *comparison) pass(f forms, size, most int, visit func(o int, want, got []float64), clock *clock) error {
	channels, elems := f.branches.Channels(), f.branches.Elems()
	groups := (channels + size - 1) / size
	tasks := min(groups, (most+size-1)/size)
	clock.begin(tasks, groups)
	return c.pairs.Each(c.ctx, c.Jobs, tasks, func(h *outputs, k int) error {
		h.want, h.got = tensor.Sized(h.want, size*elems), tensor.Sized(h.got, size*elems)
		a := k * groups / tasks * size
		b := min(channels, a+size)
		if err := clock.time(before, k, func() error { return f.branches.Rows(&h.space, a, b, h.want) }); err != nil {
			return err
		}
		if err := clock.time(after, k, func() error { return f.fused.Rows(&h.space, a, b, h.got) }); err != nil {
			return err
		}
		for o := a; o < b; o++ {
			at := (o - a) * elems
			visit(o, h.want[at:at+elems], h.got[at:at+elems])
		}
		return nil
	})
}

// outputs is one goroutine's means to run both forms, and what they give.
type outputs struct {
	space     conv.Workspace
	want, got []float64
}
