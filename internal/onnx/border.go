package onnx

import (
	"math"
	"math/bits"
	"slices"

	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// border is a Pad by zeros and the nodes behind it that write a constant for each channel
// into what it added: how an exporter says that the padding is the bias of the layer before.
// DBB, ECBSR and others pad so between two convolutions.
type border struct {
	pad     *Node
	writers []*Node // ScatterND nodes, one behind the other
	// indices are the nodes that ask for shapes on the way, for the writers alone.
	indices []*Node
	*step
}

// nodes is all of them, the one that makes the output last.
func (b *border) nodes() []*Node { return slices.Concat(b.indices, []*Node{b.pad}, b.writers) }

// borders finds those of the graph.
func (t *Net) borders() {
	for _, n := range t.g.Nodes {
		if n.Op.Domain != "" || n.Op.Name != "Pad" || len(n.Out) != 1 || len(n.In) == 0 || n.In[0] == nil || t.facts.consts[n.In[0]] != nil {
			continue
		}
		b := &border{pad: n}
		for v := n.Out[0]; v != nil && !v.Output; {
			k := slices.IndexFunc(v.Users, func(u *Node) bool { return u.Op == scatterND && u.In[0] == v && u.graph == t.g && len(u.Out) == 1 })
			if k < 0 {
				break
			}
			b.writers = append(b.writers, v.Users[k])
			v = v.Users[k].Out[0]
		}
		if len(b.writers) > 0 && b.closed() && t.border(b) {
			for _, part := range b.nodes() {
				t.part[part] = true
			}
			last := b.writers[len(b.writers)-1]
			t.part[last], t.whole[last] = false, b
		}
	}
}

// closed finds the indices: what reads a value of the border must lead to its writers and
// to nothing else.
func (b *border) closed() bool {
	own := map[*Node]bool{b.pad: true}
	for _, w := range b.writers {
		own[w] = true
	}
	within := slices.Concat([]*Node{b.pad}, b.writers[:len(b.writers)-1])
	for len(within) > 0 && len(own) < maxIndices {
		n := within[0]
		within = within[1:]
		for _, v := range n.Out {
			if v == nil {
				continue
			}
			if v.Output {
				return false
			}
			for _, u := range v.Users {
				if own[u] {
					continue
				}
				if u.graph != n.graph || u.Op.Domain != "" || len(captures(u)) > 0 {
					return false
				}
				own[u] = true
				b.indices, within = append(b.indices, u), append(within, u)
			}
		}
	}
	return len(within) == 0
}

// maxIndices bounds how many nodes ask for shapes; an exporter writes some thirty for each
// writer.
const maxIndices = 1 << 10

var scatterND = Operator{Name: "ScatterND"}

// border checks that the nodes write the bias of the value before the padding into all of
// the padding, and into nothing else.
func (t *Net) border(b *border) bool {
	s, why := t.pad(b.pad)
	if why != "" || s.after == nil {
		return false
	}
	written, ok := t.written(b, s)
	if !ok {
		return false
	}
	bias, terms, ok := t.bias(b.pad.In[0], len(written))
	if !ok {
		return false
	}
	// The exporter computed v in the file's precision, from terms that it may have folded into
	// one bias since: so they are as large as the largest of all channels' is.
	near := 8 * tensor.Ulp(slices.Max(terms), t.constant(b.writers[0], 2).Type)
	for c, v := range written {
		if !(math.Abs(v-bias[c]) <= near) {
			return false
		}
	}
	s.border, s.rounded = true, true
	b.step = s
	return true
}

// written is the number that the nodes write into the padding of each channel.
func (t *Net) written(b *border, s *step) ([]float64, bool) {
	shape := t.facts.shapes[b.pad.Out[0]]
	begin := s.op.(op.Identity).Padding
	if n, err := tensor.Count(shape, tensor.F64); err != nil || n < 1 || n > 16*maxElems || len(shape) != len(begin)+2 {
		return nil, false
	}
	values := make([]float64, shape[1])
	for c := range values {
		values[c] = math.NaN()
	}
	set := make([]uint64, tensor.Elems(shape)/64+1)
	for _, n := range b.writers {
		if !t.scatter(n, shape, func(to int, v float64) bool {
			at := tensor.Place(to, shape)
			inner := true
			for a, k := range at[2:] {
				inner = inner && k >= begin[a] && k < shape[a+2]-s.after[a]
			}
			c := at[1]
			if inner || v != v || values[c] == values[c] && values[c] != v {
				return false
			}
			values[c] = v
			set[to/64] |= 1 << (to % 64)
			return true
		}) {
			return nil, false
		}
	}
	inner, count := shape[0]*shape[1], 0
	for a, n := range shape[2:] {
		inner *= n - begin[a] - s.after[a]
	}
	for _, w := range set {
		count += bits.OnesCount64(w)
	}
	return values, count == tensor.Elems(shape)-inner
}

// scatter visits the places that a ScatterND node over constants writes to.
func (t *Net) scatter(n *Node, shape []int, visit func(to int, v float64) bool) bool {
	if len(n.In) < 3 || n.In[1] == nil || t.facts.consts[n.In[1]] == nil || t.constant(n, 2) == nil {
		return false
	}
	index, err := t.facts.consts[n.In[1]].array()
	if err != nil || index.i == nil {
		return false
	}
	values, err := t.constant(n, 2).array()
	if err != nil {
		return false
	}
	if t.facts.spent += index.len(); t.facts.spent > maxSpent {
		return false
	}
	places, size, err := scattered(n, []*array{{typ: values.typ, shape: shape}, index, values})
	if err != nil {
		return false
	}
	for k, to := range places {
		for j := range size {
			if !visit(to+j, values.f[k*size+j]) {
				return false
			}
		}
	}
	return true
}

// bias is the constant that a value has in each channel where the network's input is zero:
// that of the convolution before it, taken through what acts on channels after that. terms
// is the same with the magnitudes of all terms.
func (t *Net) bias(v *Value, channels int) (bias, terms []float64, ok bool) {
	var after []op.Expr
	for len(after) < maxDepth && v.Maker != nil && v.Maker.graph == t.g {
		s, why := t.step(v.Maker)
		if s == nil || why != "" || s.kind != graph.Linear {
			return nil, nil, false
		}
		after = append(after, s.op)
		if _, layer := s.op.(op.Conv); layer {
			break
		}
		v = s.reads[0]
	}
	bias, terms = make([]float64, channels), make([]float64, channels)
	for k := len(after) - 1; k >= 0; k-- {
		if !through(after[k], bias, terms) {
			return nil, nil, false
		}
	}
	return bias, terms, len(after) > 0
}

// through takes a constant through an operator that acts on channels, or starts with the
// bias of a convolution.
func through(e op.Expr, bias, terms []float64) bool {
	vector := func(p *op.Param, otherwise float64) func(c int) float64 {
		if p == nil {
			return func(int) float64 { return otherwise }
		}
		v, err := p.Floats()
		if err != nil || len(v) != 1 && len(v) != len(bias) {
			return nil
		}
		return func(c int) float64 { return v[c%len(v)] }
	}
	var factor, term func(c int) float64
	switch e := e.(type) {
	case op.Conv:
		factor, term = vector(nil, 0), vector(e.Bias, 0)
	case op.Scale:
		factor, term = vector(e.By, e.Factor), vector(nil, 0)
	case op.Shift:
		factor, term = vector(nil, 1), vector(e.By, e.Term)
	case op.Identity:
		return e.Padding == nil && e.Stride == nil
	case op.BatchNorm:
		gamma, beta, mean, variance := vector(e.Gamma, 1), vector(e.Beta, 0), vector(e.Mean, 0), vector(e.Var, 1)
		if gamma == nil || beta == nil || mean == nil || variance == nil {
			return false
		}
		for c := range bias {
			f := gamma(c) / math.Sqrt(variance(c)+e.Eps)
			bias[c] = (bias[c]-mean(c))*f + beta(c)
			terms[c] = (terms[c]+math.Abs(mean(c)))*math.Abs(f) + math.Abs(beta(c))
		}
		return true
	case op.Seq:
		for _, part := range e {
			if !through(part, bias, terms) {
				return false
			}
		}
		return true
	}
	if factor == nil || term == nil {
		return false
	}
	for c := range bias {
		bias[c] = bias[c]*factor(c) + term(c)
		terms[c] = terms[c]*math.Abs(factor(c)) + math.Abs(term(c))
	}
	return true
}
