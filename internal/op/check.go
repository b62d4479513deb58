package op

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Check finds the form of an expression, or says what in it does not fit: a shape
// that does not meet its neighbour's, kernels that cannot be laid over each other.
func Check(e Expr) (Form, error) { return checker{}.measured(e) }

// CheckLayers is Check of layers that put zeros back where they pad, as a network's do; its
// error is a *BorderError too, where that changes the result.
func CheckLayers(e Expr) (Form, error) {
	f, err := checker{layers: true}.measured(e)
	for _, b := range f.borders {
		if err == nil {
			err = b.check()
		}
	}
	f.borders = nil
	return f, err
}

// measured is check where e says how many channels and axes its input has.
func (c checker) measured(e Expr) (Form, error) {
	if err := shallow(e); err != nil {
		return Form{}, err
	}
	var err error
	if c.rank, err = rankOf(e); err != nil {
		return Form{}, err
	}
	in, err := inputChannels(e)
	if err != nil {
		return Form{}, err
	}
	return c.check(e, in)
}

// CheckFrom is Check where the number of input channels and of axes is known.
func CheckFrom(e Expr, in, rank int) (Form, error) { return checker{rank: rank}.check(e, in) }

func (c checker) check(e Expr, in int) (Form, error) {
	if in <= 0 {
		return Form{}, errors.New("has no channels")
	}
	if err := shallow(e); err != nil {
		return Form{}, err
	}
	f, err := e.form(c, in)
	if err == nil {
		err = f.bounded()
	}
	return f, err
}

// shallow refuses an expression that is nested so deep that it could overflow the stack.
func shallow(e Expr) error {
	const most = 1000
	if tooDeep(e, most) {
		return fmt.Errorf("nested more than %d deep", most)
	}
	return nil
}

func tooDeep(e Expr, left int) bool {
	return left == 0 || slices.ContainsFunc(e.parts(), func(p Expr) bool { return tooDeep(p, left-1) })
}

// maxField is how many positions a fused kernel may look over: a thousand by a
// thousand, far beyond any network's, which a dilation or extents that are typed or read
// from a key could ask for.
const maxField = 1 << 20

// bounded refuses a kernel, or an image to run it on, that no memory holds.
func (f Form) bounded() error {
	field := 1
	for a := range f.Lo {
		span := f.Span(a)
		if span > maxField/field || f.sampled.by[a] > maxField {
			return fmt.Errorf("a kernel of extents %v, dilation %v, want one over at most %d positions", f.Kernel(), f.Dilation(), maxField)
		}
		field *= span
	}
	return nil
}

type checker struct {
	rank int
	// layers has it note the borders of layers that pad; behind says that an operator stands before.
	layers, behind bool
}

func (c checker) point(in, out, groups int) Form {
	z := func() []int { return make([]int, c.rank) }
	return Form{In: in, Out: out, Groups: groups, Lo: z(), Hi: z(), Step: z(), sampled: unstrided(c.rank)}.strided()
}

func (x Identity) form(c checker, in int) (Form, error) {
	f := c.point(in, in, in)
	if x.Padding == nil && x.Stride == nil {
		return f, nil
	}
	strides := x.Stride
	if strides == nil {
		strides = []int{1}
	}
	err := geometry{slices.Repeat([]int{1}, c.rank), strides, x.Padding, nil}.place(&f, x.String())
	return c.bordered(x, f, x.Plane), err
}

func (b BatchNorm) form(c checker, in int) (Form, error) {
	f := c.point(in, in, in)
	f.Bias = true
	return f, errors.Join(vector(b.Mean, in), vector(b.Var, in), vector(b.Gamma, in), vector(b.Beta, in))
}

func (s Scale) form(c checker, in int) (Form, error) {
	return c.point(in, in, in), perChannel(s.By, in)
}

func (s Shift) form(c checker, in int) (Form, error) {
	f := c.point(in, in, in)
	f.Bias = true
	return f, perChannel(s.By, in)
}

func (s Select) form(c checker, in int) (Form, error) {
	if s.From < 0 || s.To > in || s.From >= s.To || s.Of != in {
		return Form{}, fmt.Errorf("%s of %d channels", s, in)
	}
	f := c.point(in, s.To-s.From, 1)
	if s.Apart {
		f.apart = window{s.From, s.To, f.Out}
	}
	return f, nil
}

func (e Conv) form(c checker, in int) (Form, error) {
	w := e.Weight
	if len(w.Shape) != c.rank+2 || slices.Min(w.Shape) < 1 {
		return Form{}, fmt.Errorf("%s has shape %v, want %d axes of at least 1", w.Key, w.Shape, c.rank+2)
	}
	switch e.PaddingMode {
	case "", "reflect", "replicate", "circular":
	default:
		return Form{}, fmt.Errorf("%s has padding mode %q, want reflect, replicate or circular", w.Key, e.PaddingMode)
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
	if err := (geometry{w.Shape[2:], e.Stride, e.Padding, e.Dilation}).place(&f, w.Key); err != nil {
		return Form{}, err
	}
	if f.reachesAny() {
		f.PaddingMode = e.PaddingMode
	}
	return c.bordered(e, f, e.Plane), vector(e.Bias, out)
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
	f.Stride = e.Stride
	for a, k := range w.Shape[2:] {
		if e.At != nil {
			f.Lo[a] = e.At[a]
		}
		f.Hi[a], f.Step[a] = f.Lo[a]+k-1, min(k-1, 1)
	}
	return f, vector(e.Bias, f.Out)
}

func (p AvgPool) form(c checker, in int) (Form, error) {
	f := c.point(in, in, in)
	if len(p.Kernel) != c.rank {
		return Form{}, fmt.Errorf("%s, want %d axes", p, c.rank)
	}
	if len(p.Kernel) > 0 && slices.Min(p.Kernel) < 1 {
		return Form{}, fmt.Errorf("%s, want extents of at least 1", p)
	}
	if err := (geometry{p.Kernel, p.Stride, p.Padding, p.Dilation}).place(&f, p.String()); err != nil {
		return Form{}, err
	}
	if p.ExcludesPadding && slices.ContainsFunc(f.Lo, func(lo int) bool { return lo != 0 }) {
		return Form{}, fmt.Errorf("%s: a mean that leaves its padding out divides by fewer at the border, want padding 0", p)
	}
	return c.bordered(p, f, p.Plane), nil
}

func (s Seq) form(c checker, in int) (Form, error) {
	if len(s) == 0 {
		return Form{}, errors.New("an empty sequence")
	}
	s = withTransposedGroups(s)
	all := c.point(in, in, in)
	var borders []border
	for k, part := range s {
		f, err := part.form(c, all.Out)
		if err != nil {
			return Form{}, err
		}
		c.behind = true
		if (f.Transposed && all.looks()) || (all.Transposed && f.looks()) {
			return Form{}, fmt.Errorf("%s: a transposed convolution stands beside another kernel", s)
		}
		if f.PaddingMode+all.PaddingMode != "" && f.reachesAny() && (all.reachesAny() || f.PaddingMode != "" && !all.sampled.isOne()) {
			return Form{}, fmt.Errorf("%s: padding by %s, want it where nothing else in the sequence reaches outside, and no stride is before it", s, cmp.Or(all.PaddingMode, f.PaddingMode))
		}
		for j := range borders {
			borders[j].then(part, f)
		}
		for _, b := range f.borders {
			borders = append(borders, b.behind(s[:k], all))
		}
		if len(borders) > maxBorders {
			return Form{}, fmt.Errorf("%d layers that pad, one behind the other, want at most %d", len(borders), maxBorders)
		}
		if all = after(all, f); all.bounded() != nil {
			return Form{}, all.bounded()
		}
	}
	all.borders = borders
	return all, nil
}

func (s Sum) form(c checker, in int) (Form, error) {
	s, err := Placed(s)
	if err != nil {
		return Form{}, err
	}
	f, _, err := c.branches(s, in, "sum")
	return f, err
}

func (s Concat) form(c checker, in int) (Form, error) {
	f, each, err := c.branches(s, in, "concatenation")
	if err == nil {
		f, err = stacked(f, each)
	}
	return f, err
}

// branches is the form of the parts of a Sum or a Concat laid over each other, and of a Concat that of each.
func (c checker) branches(parts []Expr, in int, kind string) (all Form, each []Form, err error) {
	if len(parts) == 0 {
		return Form{}, nil, fmt.Errorf("an empty %s", kind)
	}
	var first Expr // the one whose stride is all's
	for k, part := range parts {
		f, err := part.form(c, in)
		switch {
		case err != nil:
			return Form{}, nil, err
		case f.Transposed && kind != "sum" && len(parts) > 1, k > 0 && f.Transposed != all.Transposed:
			return Form{}, nil, fmt.Errorf("%s: a transposed convolution stands beside another branch", part)
		case k > 0 && f.Transposed && f.Groups != all.Groups:
			return Form{}, nil, fmt.Errorf("%s has %d groups, want %d as %s has", part, f.Groups, all.Groups, parts[0])
		}
		if kind != "sum" {
			each = append(each, f)
		}
		if k == 0 {
			all, first = f, part
			continue
		}
		g := beside(all, f)
		if kind == "sum" {
			err = adds(parts[0], all, part, f)
		}
		if err = cmp.Or(err, fits(first, all, part, f)); err != nil {
			return Form{}, nil, err
		}
		if all.Stride == nil {
			first = part
		}
		all = g
	}
	return all, each, nil
}

// adds refuses branches whose outputs do not lie over each other.
func adds(e Expr, f Form, e2 Expr, g Form) error {
	if f.Out != g.Out {
		return fmt.Errorf("%s gives %d channels, want %d as %s gives", e2, g.Out, f.Out, e)
	}
	if (f.loose || g.loose) && !(slices.Equal(f.Lo, g.Lo) && slices.Equal(f.Hi, g.Hi)) {
		return fmt.Errorf("%s and %s: an even kernel has no centre to lay another over", e, e2)
	}
	return nil
}

// fits refuses branches that step or pad differently.
func fits(e Expr, f Form, e2 Expr, g Form) error {
	if _, ok := f.sampled.beside(g.sampled); !ok {
		return fmt.Errorf("%s has stride %v, want %v as %s has", name(e2), g.Stride, f.Stride, name(e))
	}
	if f.PaddingMode != g.PaddingMode && f.reachesAny() && g.reachesAny() {
		return fmt.Errorf("%s pads by %s, want %s as %s does", name(e2), cmp.Or(g.PaddingMode, "zeros"), cmp.Or(f.PaddingMode, "zeros"), name(e))
	}
	return nil
}

// name is the path of the one convolution of e, or e as it is written.
func name(e Expr) string {
	var convs []string
	Walk(e, func(e Expr) {
		if c, ok := e.(Conv); ok {
			convs = append(convs, strings.TrimSuffix(c.Weight.Key, ".weight"))
		}
	})
	if len(convs) == 1 {
		return convs[0]
	}
	return e.String()
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
