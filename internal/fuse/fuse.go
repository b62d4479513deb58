// Package fuse collapses an expression to one convolution. The constants of the algebra, as
// polynomials in the shifts of the plane with matrices over the channels as coefficients,
// are listed in package op; addition lays kernels over each other, multiplication convolves
// them.
//
// The rows of the result are pulled back through the expression, from its last operator to
// its first, some rows at a time. A row begins as one, times its own output channel. Pulled
// through a batch norm it is scaled; through a convolution it becomes a multiple of that
// kernel's stored row or, where it touches several channels already, a sum of such
// multiples, which is a product of matrices; through a sum it is pulled through every part.
// So a row costs what it touches: the last kernel is read once, the earlier ones once for
// every block of rows, and no kernel ever stands expanded in memory. In a RepVGG block no
// row is ever summed over channels, and fusing it runs at the speed of the memory.
//
// There are three stages, each a type that is not written to once the next is made:
//
//	op.Expr   what a layer is           build.go makes of it
//	node      vectors read              plan.go places the taps of it and makes
//	step      taps placed               pull.go pulls blocks of rows through it
//
// Arithmetic is float64 with a bound on its error beside every element that has several
// terms (κ·2⁻⁵³·Σ|terms|, κ the roundings on the longest way of a term). Package exact says
// which elements that does not decide. They are computed once more in double-double
// numbers, and those whose terms cancel too far for these at 256 bits. A stored element of
// the kernel is within 0.501 ulp of the real value; where products of matrices are involved
// it is the correctly rounded one, except for ties that double-double numbers cannot see. So
// the bytes depend neither on the block of rows that an element is computed in nor on the
// processor.
package fuse

import (
	"fmt"
	"slices"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

const (
	// streamBytes is the size of a block of rows where rows are only read, scaled and added:
	// the second cache.
	streamBytes = 256 << 10
	// productBytes is its size where the earlier kernel is read again for every block.
	productBytes = 1 << 20
)

// mostGain is the power of two by which factors may enlarge what float64 loses at its lower end: sums and their
// bounds lose less than 2⁻¹⁰⁰⁰, and 2²⁵⁶ times as much is far below half an ulp of the smallest number of float32.
// Of a float64 result each element is computed once more in any case.
const mostGain = 256

// narrow is the width below which a tap of a row is too little to be handled by itself, as
// in depthwise kernels.
var narrow = 8 // a variable for tests

// Fused is an expression ready to become one convolution. It holds the vectors of the
// expression and none of its kernels, and is not written to: several goroutines may use it.
type Fused struct {
	// Form says what the convolution is: its shape, groups, dilation and padding.
	Form op.Form
	// Type is the element type of the kernel and the bias.
	Type tensor.Type

	forward     node // for the bias
	convs       []*conv
	step        step    // for the kernel
	units, root *layout // what pulling begins with, and comes to
	products    bool    // of matrices are involved
	raised      bool    // what float64 has as 0, or the square of, may become a number that counts
	perGroup    int     // rows of the stored kernel in a group
	tileRows    int     // that are computed together
	numbers     int     // float64 that they take
}

// New checks an expression by op.Check and reads its vectors, and the kernels that products
// of matrices read again later, for the norms of their columns. The kernel and the bias
// will be of element type out. A vector with a NaN or an infinity in it, or a variance that
// has no root with ε, is an error that names the key and the index.
func New(e op.Expr, out tensor.Type) (*Fused, error) {
	form, err := op.Check(e)
	if err != nil {
		return nil, err
	}
	if !out.IsFloat() {
		return nil, fmt.Errorf("element type %s, want a floating one", out)
	}
	b := &builder{rank: form.Rank()}
	forward, pulled, err := b.expression(op.AtStride1(e, form.Rank()), form)
	if err != nil {
		return nil, err
	}
	f := &Fused{Form: form, Type: out, forward: forward, convs: b.convs, raised: b.gain > mostGain,
		perGroup: form.WeightShape()[0] / form.Groups}
	return f, f.plan(pulled)
}

// plan places all taps and decides how many rows are computed at a time.
func (f *Fused) plan(n node) (err error) {
	rows := f.Rows()
	f.units, f.root = unitRows(rows, f.Form.Rank()), newLayout(boxOf(f.Form), nil)
	f.root.width = f.Form.WeightShape()[1]
	if err := f.agrees(n); err != nil {
		return err
	}
	p := &planner{kernels: newKernels(len(f.convs), new(window))}
	defer p.kernels.close()
	if f.step, err = n.plan(p, f.units, f.root); err != nil {
		return err
	}
	f.products = p.products
	f.root.finishRoot(f.root.width < narrow)
	perRow := 1 + f.root.numbers() + f.step.numbers()
	f.tileRows = max(1, min(rows, f.budget()/(8*perRow+f.RowBytes())))
	f.numbers = f.tileRows * perRow
	return nil
}

// agrees holds the node against the form: taps, and channels of every group.
func (f *Fused) agrees(n node) error {
	if reach := n.reach(f.units.box); !slices.Equal(reach.lo, f.root.lo) || !slices.Equal(reach.ext, f.root.ext) {
		return fmt.Errorf("taps from %v, %v of them, want %v and %v as the form says", reach.lo, reach.ext, f.root.lo, f.root.ext)
	}
	for o := 0; o < f.Rows(); o += f.perGroup {
		s, own := n.from(channels{o, o + f.perGroup}), f.channels(o)
		if s.within(own) != s {
			return fmt.Errorf("rows %d to %d look at channels %d to %d, want some of %d to %d as the form says", o, o+f.perGroup-1, s.lo, s.hi-1, own.lo, own.hi-1)
		}
	}
	return nil
}

// budget is the size of a block of rows.
func (f *Fused) budget() int {
	if f.products {
		return productBytes
	}
	return streamBytes
}

// channels is those that stored row o has elements for.
func (f *Fused) channels(o int) channels {
	base := o / f.perGroup * f.root.width
	return channels{base, base + f.root.width}
}

// finite reports the first element of a stored kernel that is no finite number.
func (f *Fused) finite(k *kernels) error {
	for _, c := range f.convs {
		if err := k.finite(c); err != nil {
			return err
		}
	}
	return nil
}

// Rows is the number of rows of the stored kernel: output channels, or the input
// channels of a transposed convolution.
func (f *Fused) Rows() int { return f.Form.WeightShape()[0] }

// RowBytes is the stored size of a row of the kernel.
func (f *Fused) RowBytes() int { return f.root.cells() * f.Type.Size() }

// RowsPerBlock is how many rows Worker.Kernel should be asked for at a time: as many
// as fit in budget bytes when stored, and no fewer than are computed together, as
// kernels that stand before another are read again for each such block.
func (f *Fused) RowsPerBlock(budget int) int {
	n := budget / f.RowBytes() / f.tileRows * f.tileRows
	return min(max(n, f.tileRows), f.Rows())
}
