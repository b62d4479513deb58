package fuse

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/op/optest"
	"repfuse/internal/tensor"
)

func collapsed(t *testing.T, e op.Expr, typ tensor.Type) []byte {
	t.Helper()
	c, err := Collapse(e, typ)
	if err != nil {
		t.Fatalf("%s: %v", e, err)
	}
	b, err := c.Weight.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if c.Bias != nil {
		v, err := c.Bias.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, v...)
	}
	return b
}

// TestAlgebra: the identities that the algebra has, bit for bit, since both sides
// are the real value rounded. Mild values keep them from the sign of a zero.
func TestAlgebra(t *testing.T) {
	for seed := range uint64(200) {
		n := int(1 + seed%4)
		r := rand.New(rand.NewPCG(seed, 5))
		conv := func(key string, k int) op.Expr {
			return op.Conv{Weight: *param(key, tensor.F32, []int{n, n, k, k}, normal(r, n*n*k*k)...)}
		}
		a, b, c, d := conv("a", 3), conv("b", 1), op.Seq{conv("c", 3), randomBN(r, "bn", n)}, conv("d", 3)
		two := op.Scale{Factor: 2}
		for _, law := range []struct {
			name        string
			left, right op.Expr
		}{
			{"Sum commutes", op.Sum{a, b, c}, op.Sum{c, b, a}},
			{"Sum associates", op.Sum{op.Sum{a, b}, c}, op.Sum{a, op.Sum{b, c}}},
			{"Seq associates", op.Seq{op.Seq{a, b}, c}, op.Seq{a, op.Seq{b, c}}},
			{"Identity is one", op.Seq{op.Identity{}, a, op.Identity{}}, a},
			{"Seq distributes", op.Seq{op.Sum{a, b}, d}, op.Sum{op.Seq{a, d}, op.Seq{b, d}}},
			{"scaling distributes", op.Seq{op.Sum{a, c}, two}, op.Sum{op.Seq{a, two}, op.Seq{c, two}}},
		} {
			if !bytes.Equal(collapsed(t, law.left, tensor.F32), collapsed(t, law.right, tensor.F32)) {
				t.Fatalf("seed %d: %s: %s and %s differ", seed, law.name, law.left, law.right)
			}
		}
	}
}

// TestInputsUnchanged: collapsing writes to none of the tensors it reads.
func TestInputsUnchanged(t *testing.T) {
	for seed := range uint64(100) {
		e := optest.Random(seed, optest.Options{Rank: 2, Mild: true})
		var before [][]byte
		for p := range op.Params(e) {
			b, _ := p.ReadAll()
			before = append(before, b)
		}
		collapsed(t, e, tensor.F32)
		for k, p := range slices.Collect(op.Params(e)) {
			if b, _ := p.ReadAll(); !bytes.Equal(b, before[k]) {
				t.Fatalf("seed %d: %s has changed", seed, p.Key)
			}
		}
	}
}
