package op

import "fmt"

// Interpreter computes something of type V from an expression: an arm for each operator,
// whose form is told, and one for each way of putting together what its parts came to. An
// operator that is added is a method more, without which no interpreter compiles.
type Interpreter[V any] interface {
	Conv(Conv, Form) (V, error)
	BatchNorm(BatchNorm, Form) (V, error)
	Scale(Scale, Form) (V, error)
	Shift(Shift, Form) (V, error)
	Identity(Identity, Form) (V, error)
	AvgPool(AvgPool, Form) (V, error)
	Select(Select, Form) (V, error)
	Seq([]V) (V, error)
	Sum([]V) (V, error)
	Concat([]V) (V, error)
}

// Fold interprets e, on in channels and kernels of rank axes, from the inside out. Its error is CheckFrom's
// or the interpreter's. Transposed convolutions know their Groups.
func Fold[V any](i Interpreter[V], e Expr, in, rank int) (V, error) {
	if _, err := CheckFrom(e, in, rank); err != nil {
		var none V
		return none, err
	}
	v, _, err := fold(i, checker{rank: rank}, e, in)
	return v, err
}

// fold tells the channels that come out too.
func fold[V any](i Interpreter[V], c checker, e Expr, in int) (v V, out int, err error) {
	var parts []V
	switch e := e.(type) {
	case Seq:
		for _, p := range withTransposedGroups(e) {
			if v, in, err = fold(i, c, p, in); err != nil {
				return v, in, err
			}
			parts = append(parts, v)
		}
		v, err = i.Seq(parts)
		return v, in, err
	case Sum:
		if e, err = Placed(e); err != nil {
			return v, in, err
		}
		parts, out, err := foldAll(i, c, e, in)
		if err == nil {
			v, err = i.Sum(parts)
		}
		return v, out / len(e), err
	case Concat:
		parts, out, err := foldAll(i, c, e, in)
		if err == nil {
			v, err = i.Concat(parts)
		}
		return v, out, err
	}
	f, err := e.form(c, in)
	if err == nil {
		v, err = leaf(i, e, f)
	}
	return v, f.Out, err
}

// foldAll interprets the parts of a Sum or a Concat, which give out channels in all.
func foldAll[V any](i Interpreter[V], c checker, exprs []Expr, in int) (parts []V, out int, err error) {
	for _, p := range exprs {
		v, o, err := fold(i, c, p, in)
		if err != nil {
			return nil, 0, err
		}
		parts, out = append(parts, v), out+o
	}
	return parts, out, nil
}

func leaf[V any](i Interpreter[V], e Expr, f Form) (V, error) {
	switch e := e.(type) {
	case Conv:
		return i.Conv(e, f)
	case BatchNorm:
		return i.BatchNorm(e, f)
	case Scale:
		return i.Scale(e, f)
	case Shift:
		return i.Shift(e, f)
	case Identity:
		return i.Identity(e, f)
	case AvgPool:
		return i.AvgPool(e, f)
	case Select:
		return i.Select(e, f)
	default:
		panic(fmt.Sprintf("op: no arm for %T", e))
	}
}
