// Package fuse is the first interpreter of the algebra: it collapses an expression
// to one convolution. The constants of the algebra, as polynomials in the shifts of
// the plane with matrices over the channels as coefficients, are listed in package
// op; addition lays kernels over each other, multiplication convolves them.
//
// The rows of the result are pulled back through the expression, from its last
// operator to its first, some rows at a time. A row begins as one, times its own
// output channel. Pulled through a batch norm it is scaled; through a convolution it
// becomes a multiple of that kernel's stored row or, where it touches several
// channels already, a sum of such multiples, which is a product of matrices; through
// a sum it is pulled through every part. So a row costs what it touches: the last
// kernel is read once, the earlier ones once for every block of rows unless they are
// small enough to be held, and no kernel ever stands expanded in memory. A RepVGG block
// is the case of it in which no row is ever summed over channels, and runs at the speed
// of the memory.
//
// Arithmetic is float64 with a bound on its error beside every element that has
// several terms (κ·2⁻⁵³·Σ|terms|, κ the roundings on the longest way of a term).
// What that does not settle is done once more in double-double numbers, and what
// those do not settle, as terms cancel, at 256 bits. A stored element of the kernel
// is within 0.501 ulp of the real value; where products of matrices are involved it
// is the correctly rounded one but for ties that double-double numbers cannot see. So
// the bytes hang neither on the block of rows that an element is computed in nor on
// the processor.
package fuse

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

const (
	// streamBytes is the size of a tile where rows are only read, scaled and added: the
	// second cache.
	streamBytes = 256 << 10
	// productBytes is its size where the earlier kernel is read again for every tile.
	productBytes = 1 << 20
	// carefulCells is how many double-double numbers a worker has at a time.
	carefulCells = 16 << 10
)

// narrow is the width below which a tap of a row is too little to be handled by itself,
// as in depthwise kernels: there, all taps have sums, which lie as the elements do.
var narrow = 8 // but in tests

// Fused is an expression about to become one convolution. It holds the vectors of
// the expression and, of its kernels, those that are small and read for every tile. It
// may be used by several goroutines.
type Fused struct {
	// Form says what the convolution is: its shape, groups, dilation and padding.
	Form op.Form
	// Type is the element type of the kernel and the bias.
	Type tensor.Type
	// Shelf is where kernels are held, nil where in memory of its own.
	Shelf Shelf

	forward, pulled node // the same, but for transposed convolutions
	convs           []*conv
	units, root     *layout // what pulling begins with, and comes to
	dense           bool    // products of matrices are involved
	rows, perGroup  int     // rows of the stored kernel, in all and of a group
	tileRows        int
	numbers         int // that a tile takes

	mu    sync.Mutex // of held
	held  []byte     // the place of the kernels that are, nil where there is none
	holds int        // bytes of it

	store    *store // of the vectors
	biasOnce sync.Once
	bias     []dd
	biasErr  error
}

// New checks an expression by op.Check and reads its vectors. The kernel and the
// bias will be of element type out. A vector with a NaN or an infinity in it, or a
// variance that has no root with ε, is an error that names the key and the index.
func New(e op.Expr, out tensor.Type) (*Fused, error) {
	form, err := op.Check(e)
	if err != nil {
		return nil, err
	}
	e = op.AtStride1(e, form.Rank())
	if !out.IsFloat() {
		return nil, fmt.Errorf("element type %s, want a floating one", out)
	}
	f := &Fused{Form: form, Type: out, rows: form.WeightShape()[0], store: spareStores.take()}
	f.perGroup = f.rows / form.Groups
	b := &builder{rank: form.Rank(), store: f.store}
	if form.Transposed {
		f.forward, f.pulled, err = b.transposed(e, form)
	} else {
		f.pulled, _, err = b.node(e, form.In)
		f.forward = f.pulled
	}
	if err != nil {
		return nil, err
	}
	f.convs = b.convs
	return f, f.layOut()
}

// Free gives the memory of the vectors, and the place of the kernels that are held, to the
// next. f and its workers must not be used any more, but that a worker may go on to another
// expression.
func (f *Fused) Free() {
	f.store.free()
	spareStores.give(f.store)
	f.Shelf.give(f.held)
	f.store, f.held = nil, nil
}

// layOut places all taps and decides how many rows are computed at a time.
func (f *Fused) layOut() error {
	f.units = unitRows(f.rows, f.Form.Rank())
	f.root = newLayout(boxOf(f.Form), nil)
	f.root.width = f.Form.WeightShape()[1]
	if reach := reachOf(f.pulled, f.units.box); !slices.Equal(reach.lo, f.root.lo) || !slices.Equal(reach.ext, f.root.ext) {
		return fmt.Errorf("taps from %v, %v of them, want %v and %v as the form says", reach.lo, reach.ext, f.root.lo, f.root.ext)
	}
	for o := 0; o < f.rows; o += f.perGroup {
		s, own := spanOf(f.pulled, span{o, o + f.perGroup}), f.span(o)
		if s.within(own) != s {
			return fmt.Errorf("rows %d to %d look at channels %d to %d, want some of %d to %d as the form says", o, o+f.perGroup-1, s.lo, s.hi-1, own.lo, own.hi-1)
		}
	}
	prepare(f.pulled, f.units, f.root)
	f.root.finish(f.root.width < narrow)
	f.dense = slices.ContainsFunc(f.convs, func(c *conv) bool { return c.dense })
	f.shelve()
	perRow := 1 + 2*f.root.slots*f.root.width + rowNumbers(f.pulled, f.units, false)
	f.tileRows = max(1, min(f.rows, f.budget()/(8*perRow+f.RowBytes())))
	f.numbers = f.tileRows * perRow
	return nil
}

// budget is the size of a tile.
func (f *Fused) budget() int {
	if f.dense {
		return productBytes
	}
	return streamBytes
}

// span is the channels that stored row o has elements for.
func (f *Fused) span(o int) span {
	base := o / f.perGroup * f.root.width
	return span{base, base + f.root.width}
}

// Rows is the number of rows of the stored kernel: output channels, or the input
// channels of a transposed convolution.
func (f *Fused) Rows() int { return f.rows }

// Products reports whether kernels are multiplied: the work that keeps a processor busy,
// and takes memory.
func (f *Fused) Products() bool { return f.dense }

// RowBytes is the stored size of a row of the kernel.
func (f *Fused) RowBytes() int { return f.root.taps() * f.root.width * f.Type.Size() }

// RowsPerBlock is how many rows Worker.Kernel should be asked for at a time: as many
// as fit in budget bytes when stored, but no fewer than are computed together, as
// kernels that stand before another are read again for each such tile.
func (f *Fused) RowsPerBlock(budget int) int {
	n := budget / f.RowBytes() / f.tileRows * f.tileRows
	return min(max(n, f.tileRows), f.rows)
}

// OverflowError says that a value of the fused convolution is too large for its
// element type.
type OverflowError struct {
	Channel int // output channel
	Value   float64
	Type    tensor.Type
	Bias    bool // of the bias, not of the kernel
}

func (e *OverflowError) Error() string {
	what := "kernel"
	if e.Bias {
		what = "bias"
	}
	return fmt.Sprintf("%s of channel %d: %g is beyond %s, want at most %g", what, e.Channel, e.Value, e.Type, tensor.Max(e.Type))
}

// Collapse makes the convolution that e is, in memory: for tests and small uses.
func Collapse(e op.Expr, out tensor.Type) (op.Conv, error) {
	f, err := New(e, out)
	if err != nil {
		return op.Conv{}, err
	}
	w := f.NewWorker()
	kernel := make([]byte, f.rows*f.RowBytes())
	if err := errors.Join(w.Kernel(kernel, 0, f.rows), w.Close()); err != nil {
		return op.Conv{}, err
	}
	c := op.Conv{
		Weight:      op.Param{Key: "weight", Tensor: tensor.FromBytes(out, f.Form.WeightShape(), kernel)},
		Dilation:    f.Form.Dilation(),
		Stride:      f.Form.Stride,
		Padding:     f.Form.Padding(),
		PaddingMode: f.Form.PaddingMode,
		Transposed:  f.Form.Transposed,
		Groups:      f.Form.Groups,
	}
	if f.Form.Bias {
		bias := make([]byte, f.Form.Out*out.Size())
		if _, err := f.Bias(bias); err != nil {
			return op.Conv{}, err
		}
		c.Bias = &op.Param{Key: "bias", Tensor: tensor.FromBytes(out, []int{f.Form.Out}, bias)}
	}
	return c, nil
}
