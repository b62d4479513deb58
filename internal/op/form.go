package op

import (
	"errors"
	"fmt"
	"slices"
)

// Form is what an expression comes to as one convolution, told from shapes alone.
type Form struct {
	In, Out, Groups int
	// Lo and Hi are the first and the last shift of each axis that a tap looks at, Step
	// the distance that all taps are multiples of (0 where there is one tap only).
	Lo, Hi, Step []int
	// Bias reports whether anything in the expression adds a constant.
	Bias bool
	// Transposed kernels are stored [I, O/g, k…].
	Transposed bool
	// loose marks an even kernel whose place over the output nobody said.
	loose bool
	// windows is the Windows within, which what stands around them may spoil.
	windows []windowAt
}

// Rank is the number of axes of the kernel: 2 for images, 0 for a Linear layer.
func (f Form) Rank() int { return len(f.Lo) }

// Kernel is the extents of the fused kernel, Dilation the spread of its taps.
func (f Form) Kernel() []int {
	k := make([]int, f.Rank())
	for a := range k {
		k[a] = 1
		if f.Step[a] > 0 {
			k[a] += (f.Hi[a] - f.Lo[a]) / f.Step[a]
		}
	}
	return k
}

// Dilation is the spread of the fused kernel's taps on each axis.
func (f Form) Dilation() []int {
	d := make([]int, f.Rank())
	for a := range d {
		d[a] = max(f.Step[a], 1)
	}
	return d
}

// Padding is what the fused convolution must be padded by before each axis to
// see what the block saw.
func (f Form) Padding() []int {
	p := make([]int, f.Rank())
	for a := range p {
		p[a] = -f.Lo[a]
	}
	return p
}

// Taps is the number of taps of the fused kernel.
func (f Form) Taps() int {
	n := 1
	for _, k := range f.Kernel() {
		n *= k
	}
	return n
}

// WeightShape is the shape of the fused kernel as it is stored.
func (f Form) WeightShape() []int {
	if f.Transposed {
		return append([]int{f.In, f.Out / f.Groups}, f.Kernel()...)
	}
	return append([]int{f.Out, f.In / f.Groups}, f.Kernel()...)
}

// reaches reports whether the operator looks along axis a.
func (f Form) reaches(a int) bool { return f.Lo[a] != 0 || f.Hi[a] != 0 }

func (f Form) reachesAny() bool {
	for a := range f.Lo {
		if f.reaches(a) {
			return true
		}
	}
	return false
}

// Check finds the form of an expression, or says what in it does not fit: a shape
// that does not meet its neighbour's, kernels that cannot be laid over each other,
// a Window that changes the result.
func Check(e Expr) (Form, error) {
	rank, err := rankOf(e)
	if err != nil {
		return Form{}, err
	}
	in, err := inputChannels(e)
	if err != nil {
		return Form{}, err
	}
	return CheckFrom(e, in, rank)
}

// CheckFrom is Check where the number of input channels and of axes is known.
func CheckFrom(e Expr, in, rank int) (Form, error) {
	if in <= 0 {
		return Form{}, errors.New("has no channels")
	}
	f, err := checker{rank}.form(e, in)
	for _, w := range f.windows {
		if err == nil {
			err = w.check()
		}
	}
	f.windows = nil
	if err == nil {
		err = f.bounded()
	}
	return f, err
}

// maxField is how many positions a fused kernel may look over: a thousand by a
// thousand, far beyond any network's, which a dilation or extents that are typed or read
// from a key could ask for.
const maxField = 1 << 20

// bounded refuses a kernel, or an image to run it on, that no memory holds.
func (f Form) bounded() error {
	field := 1
	for a := range f.Lo {
		span := f.Hi[a] - f.Lo[a] + 1
		if span < 1 || span > maxField/field {
			return fmt.Errorf("a kernel of extents %v, dilation %v, want one over at most %d positions", f.Kernel(), f.Dilation(), maxField)
		}
		field *= span
	}
	return nil
}

type checker struct{ rank int }

func (c checker) point(in, out, groups int) Form {
	z := func() []int { return make([]int, c.rank) }
	return Form{In: in, Out: out, Groups: groups, Lo: z(), Hi: z(), Step: z()}
}

func (c checker) form(e Expr, in int) (Form, error) {
	switch e := e.(type) {
	case Identity:
		return c.point(in, in, in), nil
	case Window:
		f := c.point(in, in, in)
		f.windows = []windowAt{{before: f, after: f}}
		return f, nil
	case Conv:
		return c.conv(e, in)
	case BatchNorm:
		f := c.point(in, in, in)
		f.Bias = true
		return f, errors.Join(vector(e.Mean, in), vector(e.Var, in), vector(e.Gamma, in), vector(e.Beta, in))
	case Scale:
		return c.point(in, in, in), perChannel(e.By, in)
	case Shift:
		f := c.point(in, in, in)
		f.Bias = true
		return f, perChannel(e.By, in)
	case AvgPool:
		return c.pool(e, in)
	case Select:
		if e.From < 0 || e.To > in || e.From >= e.To || e.Of != in {
			return Form{}, fmt.Errorf("%s of %d channels", e, in)
		}
		return c.point(in, e.To-e.From, 1), nil
	case Seq:
		return c.seq(e, in)
	case Sum:
		return c.sum(e, in)
	case Concat:
		return c.concat(e, in)
	default:
		panic(fmt.Sprintf("op: no form for %T", e))
	}
}

func (c checker) conv(e Conv, in int) (Form, error) {
	w := e.Weight
	if len(w.Shape) != c.rank+2 || slices.Min(w.Shape) < 1 {
		return Form{}, fmt.Errorf("%s has shape %v, want %d axes of at least 1", w.Key, w.Shape, c.rank+2)
	}
	if e.Transposed {
		return c.transposed(e, in)
	}
	out, width := w.Shape[0], w.Shape[1]
	if in%width != 0 || out%(in/width) != 0 {
		return Form{}, fmt.Errorf("%s has shape %v, want [O, I/g, …] for %d input channels", w.Key, w.Shape, in)
	}
	groups := in / width
	if e.Groups > 0 && e.Groups != groups {
		return Form{}, fmt.Errorf("%s has shape %v, which is %d groups of %d input channels, want %d groups", w.Key, w.Shape, groups, in, e.Groups)
	}
	f := c.point(in, out, groups)
	f.Bias = e.Bias != nil
	if err := c.taps(&f, e); err != nil {
		return Form{}, err
	}
	return f, vector(e.Bias, out)
}

// taps lays the kernel's taps on the plane.
func (c checker) taps(f *Form, e Conv) error {
	for _, list := range [][]int{e.Dilation, e.Origin} {
		if list != nil && len(list) != c.rank {
			return fmt.Errorf("%s has %d axes, want as many dilations and origins (%v)", e.Weight.Key, c.rank, list)
		}
	}
	for a, k := range e.Weight.Shape[2:] {
		d := 1
		if e.Dilation != nil {
			d = e.Dilation[a]
		}
		if d < 1 {
			return fmt.Errorf("%s has dilation %d, want at least 1", e.Weight.Key, d)
		}
		span := (k - 1) * d
		origin := span / 2
		if e.Origin != nil {
			origin = e.Origin[a]
		} else if span%2 == 1 {
			f.loose = true
		}
		f.Lo[a], f.Hi[a] = -origin, span-origin
		if k > 1 {
			f.Step[a] = d
		}
	}
	return nil
}

func (c checker) transposed(e Conv, in int) (Form, error) {
	w := e.Weight
	groups := max(e.Groups, 1)
	if e.Groups == 0 && e.Bias != nil {
		groups = e.Bias.Len() / w.Shape[1]
	}
	if w.Shape[0] != in || groups < 1 || in%groups != 0 {
		return Form{}, fmt.Errorf("%s has shape %v, want [I, O/g, …] for %d input channels in %d groups", w.Key, w.Shape, in, groups)
	}
	f := c.point(in, w.Shape[1]*groups, groups)
	f.Bias, f.Transposed = e.Bias != nil, true
	for a, k := range w.Shape[2:] {
		f.Hi[a], f.Step[a] = k-1, min(k-1, 1)
	}
	return f, vector(e.Bias, f.Out)
}

func (c checker) pool(e AvgPool, in int) (Form, error) {
	f := c.point(in, in, in)
	if len(e.Kernel) != c.rank {
		return Form{}, fmt.Errorf("%s, want %d axes", e, c.rank)
	}
	for a, k := range e.Kernel {
		f.Lo[a], f.Hi[a], f.Step[a] = -((k - 1) / 2), k/2, min(k-1, 1)
		f.loose = f.loose || k%2 == 0
	}
	return f, nil
}

func (c checker) seq(e Seq, in int) (Form, error) {
	if len(e) == 0 {
		return Form{}, errors.New("an empty sequence")
	}
	e = withTransposedGroups(e)
	all := c.point(in, in, in)
	var windows []windowAt
	for k, part := range e {
		f, err := c.form(part, all.Out)
		if err != nil {
			return Form{}, err
		}
		if (f.Transposed || all.Transposed) && (f.reachesAny() && all.reachesAny()) {
			return Form{}, fmt.Errorf("%s: a transposed convolution stands beside another kernel", e)
		}
		for j := range windows {
			windows[j].then(part, f)
		}
		for _, w := range f.windows {
			windows = append(windows, w.behind(e[:k], all))
		}
		all = after(all, f)
	}
	all.windows = windows
	return all, nil
}

// after is the form of g applied to what f gives.
func after(f, g Form) Form {
	h := Form{In: f.In, Out: g.Out, Groups: gcd(f.Groups, g.Groups), Bias: f.Bias || g.Bias,
		Transposed: f.Transposed || g.Transposed, loose: f.loose || g.loose}
	for a := range f.Lo {
		h.Lo = append(h.Lo, f.Lo[a]+g.Lo[a])
		h.Hi = append(h.Hi, f.Hi[a]+g.Hi[a])
		h.Step = append(h.Step, gcd(f.Step[a], g.Step[a]))
	}
	return h
}

func (c checker) sum(e Sum, in int) (Form, error) {
	if len(e) == 0 {
		return Form{}, errors.New("an empty sum")
	}
	var all Form
	var windows []windowAt
	for k, part := range e {
		f, err := c.form(part, in)
		if err != nil {
			return Form{}, err
		}
		windows = append(windows, f.windows...)
		if f.Transposed && len(e) > 1 {
			return Form{}, fmt.Errorf("%s: a transposed convolution stands beside another branch", part)
		}
		if k == 0 {
			all = f
			continue
		}
		if f.Out != all.Out {
			return Form{}, fmt.Errorf("%s gives %d channels, want %d as %s gives", part, f.Out, all.Out, e[0])
		}
		if (f.loose || all.loose) && !(slices.Equal(f.Lo, all.Lo) && slices.Equal(f.Hi, all.Hi)) {
			return Form{}, fmt.Errorf("%s and %s: an even kernel has no centre to lay another over", e[0], part)
		}
		all = beside(all, f)
	}
	all.windows = windows
	return all, nil
}

// beside is the form of f and g added.
func beside(f, g Form) Form {
	h := Form{In: f.In, Out: f.Out, Groups: gcd(f.Groups, g.Groups), Bias: f.Bias || g.Bias, loose: f.loose || g.loose}
	for a := range f.Lo {
		h.Lo = append(h.Lo, min(f.Lo[a], g.Lo[a]))
		h.Hi = append(h.Hi, max(f.Hi[a], g.Hi[a]))
		h.Step = append(h.Step, gcd(gcd(f.Step[a], g.Step[a]), f.Lo[a]-g.Lo[a]))
	}
	return h
}

func (c checker) concat(e Concat, in int) (Form, error) {
	if len(e) == 0 {
		return Form{}, errors.New("an empty concatenation")
	}
	var all Form
	var windows []windowAt
	out := 0
	for k, part := range e {
		f, err := c.form(part, in)
		if err != nil {
			return Form{}, err
		}
		windows = append(windows, f.windows...)
		out += f.Out
		if k == 0 {
			all = f
			continue
		}
		all = beside(all, f)
		all.Groups = 1
	}
	all.Out, all.windows = out, windows
	return all, nil
}

func vector(p *Param, n int) error {
	if p == nil || (len(p.Shape) == 1 && p.Shape[0] == n) {
		return nil
	}
	return fmt.Errorf("%s has shape %v, want [%d]", p.Key, p.Shape, n)
}

func perChannel(p *Param, n int) error {
	if p == nil || p.Len() == n || p.Len() == 1 {
		return nil
	}
	return fmt.Errorf("%s has shape %v, want %d elements or one", p.Key, p.Shape, n)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, -a)
}
