package graph

import (
	"fmt"

	"repfuse/internal/op"
)

// left lists the sums and norms that are in no region, and what only looks linear.
func (f *finder) left() []Left {
	var all []Left
	for k := range f.Nodes {
		n := &f.Nodes[k]
		switch {
		case f.covered[k]:
		case n.Kind == Opaque && n.Why != "":
			all = append(all, Left{k, NotLinear, n.Why})
		case n.Kind == Add && f.why[k] != nil:
			all = append(all, Left{k, f.why[k].reason, f.why[k].text()})
		case n.Kind == Add:
			all = append(all, Left{k, NoLayer, "no branch has a layer"})
		case n.Kind == Linear && isNorm(n.Op):
			all = append(all, f.norm(k))
		}
	}
	return all
}

func isNorm(e op.Expr) (yes bool) {
	op.Walk(e, func(e op.Expr) {
		if _, ok := e.(op.BatchNorm); ok {
			yes = true
		}
	})
	return yes
}

// norm is why norm k is left. A search that ended at a sum before it says nothing of it.
func (f *finder) norm(k int) Left {
	if why := f.why[k]; why != nil && why.reason != TwoInputs && why.reason != UsedInside {
		return Left{k, why.reason, why.text()}
	}
	in, out := f.Nodes[k].Inputs[0], f.Nodes[k].Outputs[0]
	detail := "behind " + f.value(in)
	if m := f.maker[in]; m >= 0 {
		detail = "behind " + f.node(m)
	}
	switch {
	case f.Values[out].Output:
		detail += ", before an output of the network"
	case len(f.readers[out]) == 1:
		detail += ", before " + f.node(f.readers[out][0])
	case len(f.readers[out]) > 1:
		detail += fmt.Sprintf(", before %d others", len(f.readers[out]))
	}
	return Left{k, NoLayer, detail}
}

// different names two values of list that do not come from one.
func (f *finder) different(list []int) string {
	first := f.of[list[0]].root
	for _, v := range list[1:] {
		if r := f.of[v].root; r != first {
			return f.value(first) + " and " + f.value(r)
		}
	}
	return f.value(first)
}

// value is how messages call a value.
func (f *finder) value(v int) string {
	if f.Values[v].Name != "" {
		return f.Values[v].Name
	}
	if f.maker[v] >= 0 {
		return "what " + f.node(f.maker[v]) + " gives"
	}
	return fmt.Sprintf("input %d", v)
}

// node is how messages call a node.
func (f *finder) node(k int) string {
	n := &f.Nodes[k]
	if n.Name != "" {
		return fmt.Sprintf("%s (%s)", n.Name, n.Type)
	}
	return fmt.Sprintf("%s number %d", n.Type, k)
}
