package op

import (
	"reflect"
	"testing"

	"repfuse/internal/tensor"
)

// TestCanonical: two ways of writing one expression are one text, and others are not.
func TestCanonical(t *testing.T) {
	p := func(key string, shape ...int) Param {
		return Param{Key: key, Tensor: tensor.Tensor{Type: tensor.F32, Shape: shape}}
	}
	c3, c1 := Conv{Weight: p("a", 8, 8, 3, 3)}, Conv{Weight: p("b", 8, 8, 1, 1)}
	mean := p("m", 8)
	norm := func(eps float64) BatchNorm { return BatchNorm{Mean: &mean, Var: &mean, Eps: eps} }
	pad := func(c Conv, n int) Conv { c.Padding, c.Stride = []int{n, n}, []int{2, 2}; return c }
	for _, row := range []struct {
		a, b Expr
		same bool
	}{
		{Sum{c3, c1}, Sum{pad(c1, 0), pad(c3, 1)}, true},
		{Sum{c3, c1, Identity{}}, Sum{c3, c1}, false},
		{Sum{c3, c1}, Seq{c3, c1}, false},
		{Seq{c3, norm(1e-5)}, Seq{Identity{}, pad(c3, 0), norm(1e-3)}, true},
		{Sum{c3, c1}, Sum{pad(c3, 0), Seq{Identity{Padding: []int{-1, -1}}, pad(c1, 0)}}, true},
		{Sum{c3, c1}, Sum{pad(c3, 0), pad(c1, 0)}, false},
		{Seq{c3, norm(1)}, Seq{norm(1), c3}, false},
		{c3, Conv{Weight: c3.Weight, Dilation: []int{2}}, false},
		{c1, Conv{Weight: c1.Weight, Dilation: []int{2}}, true},
		{Select{From: 1, To: 2, Of: 8}, Select{From: 1, To: 2, Of: 8, Apart: true}, false},
		{Sum{Seq{c3, norm(1)}, Seq{c1, norm(1)}}, Seq{Sum{c3, c1}, norm(1)}, false},
	} {
		if a, b := Canonical(row.a), Canonical(row.b); (a == b) != row.same {
			t.Errorf("%s and %s: the same is %t, want %t (%s, %s)", row.a, row.b, a == b, row.same, a, b)
		}
	}
}

// A padding is named, whatever it is: what is cut off is not the input as it is.
func TestPaddingNamed(t *testing.T) {
	for want, e := range map[string]Expr{
		"x": Identity{Stride: []int{1}}, "x(padding -1)": Identity{Padding: []int{-1}}, "x(padding 0)": Identity{Padding: []int{0}},
		"avgpool(2, padding -1)": AvgPool{Kernel: []int{2}, Padding: []int{-1}},
	} {
		if e.String() != want {
			t.Errorf("%s, want %s", e, want)
		}
	}
}

// TestEqual: an operator equals itself, and no operator that differs in a field of any name.
func TestEqual(t *testing.T) {
	p := func(key string) *Param { return &Param{Key: key} }
	n := []int{2, 3}
	all := []Expr{
		Conv{Weight: *p("w"), Bias: p("b"), Stride: n, Padding: n, Dilation: n, Groups: 2}, BatchNorm{p("g"), p("b"), p("m"), p("v"), 1}, Identity{Padding: n, Stride: n},
		Scale{p("s"), 1}, Shift{p("s"), 1}, AvgPool{Kernel: n, Stride: n, Padding: n, Dilation: n}, Select{From: 1, To: 2, Of: 3}, Seq{Scale{}, Shift{}}, Sum{Scale{}, Shift{}}, Concat{Scale{}, Shift{}},
		Seq{Shift{}, Scale{}}, Seq{Scale{}},
	}
	for i, a := range all {
		for j, b := range all {
			if Equal(a, b) != (i == j) {
				t.Errorf("%s and %s: equal is %t", a, b, i != j)
			}
		}
		if reflect.TypeOf(a).Kind() != reflect.Struct {
			continue
		}
		for f := range reflect.TypeOf(a).NumField() {
			other := reflect.New(reflect.TypeOf(a)).Elem()
			other.Set(reflect.ValueOf(a))
			switch v := other.Field(f); of := v.Addr().Interface().(type) {
			case *Param:
				of.Key += "2"
			case **Param:
				*of = nil
			case *[]int:
				*of = []int{2, 2}
			case *int:
				*of++
			case *float64:
				*of++
			case *bool:
				*of = true
			case *string:
				*of = "circular"
			default:
				t.Fatalf("%T: no other %T", a, of)
			}
			if e := other.Interface().(Expr); Equal(a, e) || Equal(e, a) || Equal(Seq{a}, Seq{e}) {
				t.Errorf("%T of another %s is equal", a, other.Type().Field(f).Name)
			}
		}
	}
}
