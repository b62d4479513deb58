package op

import "fmt"

// span is what is known of an expression's channels; 0 is unknown. same says that
// as many come out as go in.
type span struct {
	in, out int
	same    bool
}

// span finds what the shapes fix by themselves. The input channels of a
// grouped convolution are not among that: [O, I/g] has many an I.
func (c Conv) span() span {
	if c.Transposed {
		return span{in: c.Weight.Shape[0], out: outTransposed(c)}
	}
	return span{in: c.Weight.Shape[1] * c.Groups, out: c.Weight.Shape[0]}
}

func (b BatchNorm) span() span { return span{b.Mean.Len(), b.Mean.Len(), true} }
func (s Scale) span() span     { return ofVector(s.By) }
func (s Shift) span() span     { return ofVector(s.By) }
func (s Select) span() span    { return span{in: s.Of, out: s.To - s.From} }
func (Identity) span() span    { return span{same: true} }
func (AvgPool) span() span     { return span{same: true} }

func (c Concat) span() span {
	var all span
	for _, p := range c {
		s := p.span()
		all.in = max(all.in, s.in)
		all.out += s.out
	}
	return all
}

func ofVector(p *Param) span {
	if p == nil || p.Len() == 1 {
		return span{same: true}
	}
	return span{p.Len(), p.Len(), true}
}

func outTransposed(e Conv) int {
	if e.Bias != nil {
		return e.Bias.Len()
	}
	return e.Weight.Shape[1] * e.Groups
}

func (e Seq) span() span {
	all := span{same: true}
	for _, p := range e {
		s := p.span()
		if all.same && all.in == 0 {
			all.in = s.in
		}
		switch {
		case s.out != 0:
			all.out = s.out
		case !s.same:
			all.out = 0
		}
		all.same = all.same && s.same
	}
	if all.same && all.in == 0 {
		all.in = all.out
	}
	return all
}

func (e Sum) span() span {
	var all span
	for _, p := range e {
		s := p.span()
		all.in = max(all.in, s.in)
		all.out = max(all.out, s.out)
		all.same = all.same || s.same
	}
	if all.same {
		all.in = max(all.in, all.out)
		all.out = all.in
	}
	return all
}

// inputChannels decides how many channels the block's input has. Where nothing
// fixes it, every first convolution takes one group: a kernel's rows say only which
// channel of its group they mean, and so does the fused kernel's.
func inputChannels(e Expr) (int, error) {
	s := e.span()
	if s.in > 0 {
		return s.in, nil
	}
	widest, mixed := 0, Param{}
	for _, c := range firstConvs(e) {
		width := c.Weight.Shape[1]
		if widest != 0 && width != widest && min(width, widest) != 1 {
			mixed = c.Weight
		}
		widest = max(widest, width)
	}
	switch {
	case widest == 0:
		return 0, fmt.Errorf("%s has no tensor that says how many channels it has", e)
	case mixed.Key != "":
		return 0, fmt.Errorf("%s has shape %v beside a kernel of %d input channels a group, want a group count", mixed.Key, mixed.Shape, widest)
	}
	return widest, nil
}

// firstConvs lists the convolutions that look at the input itself.
func firstConvs(e Expr) []Conv {
	if c, ok := e.(Conv); ok {
		return []Conv{c}
	}
	_, inARow := e.(Seq)
	var all []Conv
	for _, p := range e.parts() {
		if all = append(all, firstConvs(p)...); inARow && len(all) > 0 {
			break
		}
	}
	return all
}

// rankOf is the number of axes that all kernels of e share.
func rankOf(e Expr) (int, error) {
	rank, first := -1, ""
	var err error
	note := func(r int, what string) {
		if rank < 0 {
			rank, first = r, what
		} else if r != rank && err == nil {
			err = fmt.Errorf("%s has %d kernel axes, want %d as %s has", what, r, rank, first)
		}
	}
	Walk(e, func(e Expr) {
		switch e := e.(type) {
		case Conv:
			if len(e.Weight.Shape) < 2 {
				err = fmt.Errorf("%s has shape %v, want [O, I/g, …]", e.Weight.Key, e.Weight.Shape)
				return
			}
			note(len(e.Weight.Shape)-2, e.Weight.Key)
		case AvgPool:
			note(len(e.Kernel), e.String())
		case Identity:
			if n := max(len(e.Padding), len(e.Stride)); n > 1 { // one number stands for any
				note(n, e.String())
			}
		}
	})
	return max(rank, 0), err
}

// withTransposedGroups tells a transposed convolution without bias its groups from
// the vector that follows it: its own shape [I, O/g] has no O.
func withTransposedGroups(e Seq) Seq {
	for k, p := range e {
		c, ok := p.(Conv)
		if !ok || !c.Transposed || c.Groups > 0 || c.Bias != nil || len(c.Weight.Shape) < 2 {
			continue
		}
		if next := e[k+1:].span(); next.same && next.in%c.Weight.Shape[1] == 0 {
			c.Groups = max(next.in/c.Weight.Shape[1], 1)
			e = append(append(append(Seq{}, e[:k]...), c), e[k+1:]...)
		}
	}
	return e
}
