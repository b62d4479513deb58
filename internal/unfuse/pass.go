package unfuse

import (
	"math"

	"repfuse/internal/exact"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// pass makes an operator pass its input on, with a bias added.
func (s *solver) pass(e op.Expr, c channels, bias []float64) error {
	if _, ok := e.(op.Conv); !ok && c.less > 0 {
		return refuse(3, inputAdded)
	}
	switch e := e.(type) {
	case op.BatchNorm:
		return s.norm(e, 1, bias)
	case op.Conv:
		return s.dirac(e, c, 1, bias)
	case op.Shift:
		if e.By != nil {
			return s.constant(e.By, bias)
		}
		if e.Term == 0 {
			return nil
		}
	case op.Scale:
		if e.By != nil {
			return s.fill(*e.By, 1)
		}
		return nil // the kernel is divided by it
	case op.Sum:
		return s.first(len(e), func(k int) error {
			if err := s.pass(e[k], c, nil); err != nil {
				return err
			}
			return s.silenceAll(without(e, k))
		})
	case op.Identity:
		if e.String() == "x" {
			return nil
		}
	case op.Concat:
		return s.passStacked(e, c, bias)
	case op.Select:
		if e.From == c.from {
			return nil
		}
	}
	return refuse(2, "%s does not pass its input on", e)
}

// passStacked is pass of parts that pass some of the channels on each.
func (s *solver) passStacked(e op.Concat, c channels, bias []float64) error {
	for _, part := range e {
		f, err := op.CheckFrom(part, c.in, s.rank)
		if err != nil {
			return err
		}
		here := bias
		if bias != nil {
			n := min(f.Out, len(bias))
			here, bias = bias[:n], bias[n:]
		}
		if !addsConstant(part) && nothing(here) {
			here = nil
		}
		if err := s.pass(part, c, here); err != nil {
			return err
		}
		c.from += f.Out
	}
	return nil
}

// cancel makes a branch minus n times its input, with a bias added. A batch norm does so nearly, and the tighter the
// smaller an element of the kernel may be that still rounds back.
func (s *solver) cancel(e op.Expr, c channels, n float64, bias []float64) error {
	switch e := e.(type) {
	case op.Conv:
		return s.dirac(e, c, -n, bias)
	case op.Scale:
		if e.By != nil && bias == nil {
			return s.fill(*e.By, -n)
		}
	case op.BatchNorm:
		if s.tight {
			return s.norm(e, -n, bias)
		}
	case op.Seq:
		taker := len(e) - 1
		for taker > 0 && !addsConstant(e[taker]) {
			taker--
		}
		for k, part := range e {
			here := bias
			if k != taker {
				here = nil
			}
			f, err := op.CheckFrom(part, c.in, s.rank)
			if _, isNorm := part.(op.BatchNorm); isNorm && !s.tight {
				return refuse(2, "%s does not take its input away exactly", part)
			}
			switch {
			case err != nil:
			case k == 0:
				err = s.cancel(part, c, n, here)
			default:
				err = s.pass(part, c, here)
			}
			if err != nil {
				return err
			}
			c.in = f.Out
		}
		return nil
	}
	return refuse(2, "%s does not take its input away", e)
}

// dirac makes a convolution its input times v, with a bias added. Channels that it has more of in its input are left
// out. Those that it has more of in its output nobody reads, and they stay as they are.
func (s *solver) dirac(e op.Conv, c channels, v float64, bias []float64) error {
	f, err := op.CheckFrom(e, c.in, s.rank)
	if err != nil {
		return err
	}
	shape := e.Weight.Shape
	if f.Transposed || c.from+c.less > 0 && f.Groups > 1 {
		return refuse(2, "%s does not pass its input on", e)
	}
	tap, err := ownTap(e, f)
	if err != nil {
		return err
	}
	perGroup, taps := shape[0]/f.Groups, f.Taps()
	err = s.put(e.Weight, made(e.Weight, func() ([]float64, error) {
		w, err := e.Weight.Floats()
		if err != nil {
			return nil, err
		}
		for o := range shape[0] {
			i, row := c.from+o%perGroup, w[o*shape[1]*taps:][:shape[1]*taps]
			if i < shape[1] || c.bare {
				clear(row)
			}
			if i < shape[1] {
				row[i*taps+tap] = v
			}
			if o < c.less {
				row[(i+c.less)*taps+tap] = -v
			}
		}
		return w, nil
	}))
	if err != nil {
		return err
	}
	return s.constant(e.Bias, bias)
}

// ownTap is the tap of a convolution that looks at its own place.
func ownTap(e op.Conv, f op.Form) (int, error) {
	tap := 0
	for a, n := range f.Kernel() {
		step := max(f.Step[a], 1)
		if -f.Lo[a]%step != 0 || f.Lo[a] > 0 || -f.Lo[a]/step >= n {
			return 0, refuse(2, "%s does not look at its own place", e)
		}
		tap = tap*n - f.Lo[a]/step
	}
	return tap, nil
}

// norm makes a batch norm its input times n, 1 or a power of two below 0, with a bias added.
func (s *solver) norm(e op.BatchNorm, n float64, bias []float64) error {
	u, err := s.unit(e)
	if err != nil {
		return err
	}
	if err := s.fill(*e.Var, u.variance); err != nil {
		return err
	}
	if e.Gamma == nil {
		if n != 1 {
			return refuse(2, "%s does not take its input away", e)
		}
		return s.constant(e.Mean, quotients(bias, -1))
	}
	if err := s.fill(*e.Gamma, n*u.gamma); err != nil {
		return err
	}
	if err := s.fill(*e.Mean, 0); err != nil {
		return err
	}
	return s.constant(e.Beta, bias)
}

// norm is what decides a unit.
type norm struct {
	eps                     float64
	gamma, variance, kernel tensor.Type
	tight                   bool
}

// unit is a γ and a σ² for which γ/√(σ²+ε) is nearly 1.
type unit struct{ gamma, variance float64 }

// unit finds, among γ of 1 to 2, one whose square less ε is so nearly a number of the variance's type that a
// kernel times γ/√(σ²+ε) rounds back: within a 64th of half an ulp, so that some batch norms may stand behind each
// other. γ = √(1+ε) and σ² = 1 would be off by up to half an ulp. A tight one is within 2⁻²² ulp: the input less
// the input times that is nothing beside an element above 2⁻²¹.
func (s *solver) unit(e op.BatchNorm) (unit, error) {
	n := norm{e.Eps, tensor.Invalid, storedType(*e.Var), s.typ, s.tight}
	if e.Gamma != nil {
		n.gamma = storedType(*e.Gamma)
	}
	if u, known := s.units[n]; known {
		return u, nil
	}
	near, most := tensor.Ulp(1, n.kernel)/128, 4096
	step := 2.0 // γ is 1 where there is none
	switch {
	case e.Gamma == nil:
		near *= 32 // σ² below 1 are half an ulp apart, and √ halves that
	case n.tight:
		near, most = tensor.Ulp(1, n.kernel)/(1<<22), 1<<22
		step = 3 * tensor.Ulp(1, n.gamma)
	default:
		step = tensor.Ulp(1, n.gamma)
		step *= 1 + math.Round(math.Sqrt(1/step)) // so that the last digits of the square vary
	}
	b, to := make([]byte, n.variance.Size()), make([]float64, 1)
	for gamma, k := 1.0, 0; gamma < 2 && k < most; gamma, k = gamma+step, k+1 {
		square := exact.DD{Hi: gamma}.Mul(exact.DD{Hi: gamma})
		want := square.Add(exact.DD{Hi: -e.Eps})
		to[0] = want.Hi
		tensor.Encode(b, to, n.variance)
		tensor.Decode(to, b, n.variance)
		off := want.Add(exact.DD{Hi: -to[0]})
		if math.Abs(off.Hi)/(2*square.Hi) <= near && to[0] > 0 {
			s.units[n] = unit{gamma, to[0]}
			return s.units[n], nil
		}
	}
	return unit{}, refuse(2, "%s is %s, in which no scale is near enough to 1 for a kernel of %s", e.Var.Key, e.Var.Type, n.kernel)
}
