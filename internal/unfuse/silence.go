package unfuse

import (
	"repfuse/internal/op"
)

// silence makes an expression zero. What it ends in is a factor of zero where it has one,
// before kernels: a kernel of zero behind which a batch norm stands would be made as large as
// any other by the first step of training.
func (s *solver) silence(e op.Expr) error {
	switch e := e.(type) {
	case op.BatchNorm:
		if e.Gamma == nil {
			break
		}
		if err := s.fill(*e.Gamma, 0); err != nil {
			return err
		}
		return s.fill(*e.Beta, 0)
	case op.Scale:
		if e.By != nil {
			return s.fill(*e.By, 0)
		}
	case op.Conv:
		if err := s.fill(e.Weight, 0); err != nil {
			return err
		}
		return s.constant(e.Bias, nil)
	case op.Sum:
		return s.silenceAll(e)
	case op.Concat:
		return s.silenceAll(e)
	case op.Seq:
		return s.first(len(e), func(k int) error { return s.silenceIn(e, len(e)-1-k) })
	}
	return refuse(2, "%s cannot be made zero", e)
}

func (s *solver) silenceAll(parts []op.Expr) error {
	for _, p := range parts {
		if err := s.silence(p); err != nil {
			return err
		}
	}
	return nil
}

// silenceIn makes part k of a sequence zero, and has nothing behind it add a constant.
func (s *solver) silenceIn(e op.Seq, k int) error {
	if err := s.silence(e[k]); err != nil {
		return err
	}
	for _, behind := range e[k+1:] {
		var err error
		switch b := behind.(type) {
		case op.Shift:
			if b.By == nil && b.Term != 0 {
				return refuse(2, "%s cannot be made zero", b)
			}
			err = s.constant(b.By, nil)
		case op.BatchNorm:
			err = s.norm(b, 1, nil)
		case op.Conv:
			err = s.constant(b.Bias, nil)
		case op.Sum, op.Concat, op.Seq:
			err = refuse(2, "%s may add a constant", b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
