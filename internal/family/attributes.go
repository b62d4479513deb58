package family

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"repfuse/internal/facts"
	"repfuse/internal/op"
)

// A SettingError says that what was said of a question is no answer to it.
type SettingError struct{ Name, Value, Want string }

func (e *SettingError) Error() string { return fmt.Sprintf("%s=%s, want %s", e.Name, e.Value, e.Want) }

// EpsDefault is the ε of PyTorch's and of Paddle's batch norm.
const EpsDefault = 1e-5

// readEps reads an ε: a finite number of at least 0.
func readEps(text string) (v float64, ok bool) {
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && v >= 0 && !math.IsInf(v, 0)
}

// eps decides what a batch norm adds to its variance: what the expression says,
// what the user said, the fact, the family's own. The user and a fact that differ are an error.
func (b *builder) eps(n *bnNode) (float64, error) {
	if n.eps != nil {
		return *n.eps, nil
	}
	path := b.whole(b.fill(n.module))
	m, _ := b.module(path)
	if m.Eps != nil && (!(*m.Eps >= 0) || math.IsInf(*m.Eps, 0)) {
		return 0, fmt.Errorf("%s: its ε is %g by its facts, want a number of at least 0", path, *m.Eps)
	}
	said, ok := b.site.Said("eps")
	switch {
	case ok:
		v, ok := readEps(said)
		if !ok {
			return 0, &SettingError{"eps", said, "a number such as 1e-5"}
		}
		if m.Eps != nil && *m.Eps != v {
			return 0, &SettingError{"eps", said, fmt.Sprintf("%g, which the facts say of %s", *m.Eps, path)}
		}
		return v, nil
	case m.Eps != nil:
		return *m.Eps, nil
	}
	b.epsAssumed = EpsDefault
	if b.family.Eps != 0 {
		b.epsAssumed = b.family.Eps
	}
	return b.epsAssumed, nil
}

func (b *builder) module(path string) (facts.Module, bool) {
	if b.site.Facts == nil {
		return facts.Module{}, false
	}
	m, ok := b.site.Facts.Modules[path]
	return m, ok
}

// dilationSaid takes the user's dilation for a kernel that has an extent above 1 and
// none of its own.
func (b *builder) dilationSaid(c *op.Conv) error {
	if len(c.Weight.Shape) < 3 || c.Dilation != nil || slices.Max(c.Weight.Shape[2:]) == 1 {
		return nil
	}
	said, ok := b.site.Said("dilation")
	if !ok {
		return nil
	}
	d, err := parseExtents(said)
	if err != nil || slices.Min(d) < 1 {
		return &SettingError{"dilation", said, "a number or one an axis such as 2x2"}
	}
	for len(d) < len(c.Weight.Shape)-2 {
		d = append(d, d[0])
	}
	c.Dilation = d
	return nil
}

// convSaid takes the user's groups and dilation.
func (b *builder) convSaid(c *op.Conv) error {
	if said, ok := b.site.Said("groups"); ok {
		g, err := strconv.Atoi(said)
		if err != nil || g < 1 {
			return &SettingError{"groups", said, "a number"}
		}
		c.Groups = g
	}
	return b.dilationSaid(c)
}

// convFacts takes groups, dilation, stride and padding mode from the module tree and
// holds the kernel to what it says.
func (b *builder) convFacts(c *op.Conv, path string) error {
	m, ok := b.module(path)
	if !ok || len(m.Kernel) == 0 {
		return nil
	}
	kernel := c.Weight.Shape[min(2, len(c.Weight.Shape)):]
	if !slices.Equal(m.Kernel, kernel) {
		return fmt.Errorf("%s has shape %v, want a %v kernel as %s says", c.Weight.Key, c.Weight.Shape, m.Kernel, facts.File)
	}
	if m.Transposed != c.Transposed {
		return fmt.Errorf("%s: transposed is %t, want %t as %s says", c.Weight.Key, c.Transposed, m.Transposed, facts.File)
	}
	if c.Dilation != nil && len(m.Dilation) > 0 && !slices.Equal(c.Dilation, m.Dilation) {
		return fmt.Errorf("%s has dilation %v by its key or your word, want %v as %s says", c.Weight.Key, c.Dilation, m.Dilation, facts.File)
	}
	if len(m.Dilation) > 0 && slices.Max(m.Dilation) > 1 {
		c.Dilation = m.Dilation
	}
	if c.Groups > 0 && m.Groups > 0 && c.Groups != m.Groups {
		return fmt.Errorf("%s has groups %d by your word, want %d as %s says", c.Weight.Key, c.Groups, m.Groups, facts.File)
	}
	c.Groups = m.Groups
	if c.Stride == nil && len(m.Stride) > 0 {
		c.Stride = m.Stride
	}
	if c.PaddingMode == "" && m.PaddingMode != "" && m.PaddingMode != "zeros" {
		c.PaddingMode, c.Plane = m.PaddingMode, false
	}
	return nil
}
