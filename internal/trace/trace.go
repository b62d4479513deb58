package trace

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"repfuse/internal/graph"
	"repfuse/internal/hint"
	"repfuse/internal/op"
	"repfuse/internal/regions"
	"repfuse/internal/tensor"
)

// Read makes the graph of a traced model over the tensors of a checkpoint. A key that the
// checkpoint lacks, or has in another shape, is an error: it is of another architecture.
func Read(text []byte, tensors []tensor.Named) (*regions.Network, error) {
	f, values, err := parse(text)
	if err != nil {
		return nil, err
	}
	r := &reader{file: f, values: values, graph: &graph.Graph{}, elsewhere: map[string]bool{}, computed: map[string]bool{}}
	if err := r.bind(tensors); err != nil {
		return nil, err
	}
	r.constants()
	for _, n := range f.Inputs {
		r.place(n, fmt.Sprintf("input %d", n))
	}
	for k := range f.Ops {
		r.node(&f.Ops[k])
	}
	for _, n := range f.Outputs {
		if at := r.values[n].at; at >= 0 {
			r.graph.Values[at].Output = true
		}
	}
	return &regions.Network{Graph: r.graph, Elsewhere: r.elsewhere, Computed: r.computed}, nil
}

// reader makes nodes of operators.
type reader struct {
	*file
	values []value
	graph  *graph.Graph
	// elsewhere is the keys that nodes read which are not known to be linear.
	elsewhere map[string]bool
	// computed is those that they read as part of another value.
	computed map[string]bool
}

// bind gives the values that are parameters the checkpoint's tensors.
func (r *reader) bind(tensors []tensor.Named) error {
	have := make(map[string]tensor.Named, len(tensors))
	for _, t := range tensors {
		have[t.Key] = t
	}
	order := func(a, b string) int { return cmp.Or(cmp.Compare(r.Keys[a], r.Keys[b]), cmp.Compare(a, b)) }
	for _, key := range slices.SortedFunc(maps.Keys(r.Keys), order) {
		v := &r.values[r.Keys[key]]
		t, ok := have[key]
		var err error
		switch {
		case !ok:
			err = fmt.Errorf("the graph has %s, which the checkpoint lacks", key)
		case !slices.Equal(t.Shape, v.shape):
			err = fmt.Errorf("%s has shape %v, and %v in the graph", key, t.Shape, v.shape)
		}
		if err != nil {
			return hint.Add(err, "trace the model that the checkpoint is of: export.graph(model, \"graph.json\", x)")
		}
		v.fixed, v.of = true, append(v.of, key)
		if v.key == nil {
			v.key = &t
		}
	}
	return nil
}

// constants marks what no key holds, and finds those that are one number.
func (r *reader) constants() {
	for word, elements := range r.Constants {
		n, _ := reference("%" + word)
		v := &r.values[n]
		v.fixed = true
		first, same := 0.0, len(elements) > 0
		for k, x := range elements {
			number, ok := x.(float64)
			if k == 0 {
				first = number
			}
			same = same && ok && number == first
		}
		if same {
			v.literal = &first
		}
	}
}

// place gives a value its place in the graph.
func (r *reader) place(n int, name string) int {
	v := &r.values[n]
	if v.at < 0 {
		v.at = len(r.graph.Values)
		r.graph.Values = append(r.graph.Values, graph.Value{Name: name, Shape: v.shape})
	}
	return v.at
}

// node makes the node of an operator. What comes of parameters alone is none.
func (r *reader) node(o *operator) {
	ins := r.inputs(o)
	if len(ins) == 0 {
		r.fold(o)
		return
	}
	n := graph.Node{Name: o.At, Type: o.Op, Module: o.At, Class: r.Classes[o.At], Inputs: ins}
	for k, out := range o.Out {
		name := cmp.Or(o.At, "the model") + " (" + short(o.Op) + ")"
		if k > 0 {
			name = fmt.Sprintf("%s [%d]", name, k)
		}
		n.Outputs = append(n.Outputs, r.place(out, name))
	}
	if is := linear[short(o.Op)]; is != nil && len(o.Out) > 0 {
		l, why := is(call{r, o})
		if why == "" && len(ins) != max(1, len(l.minus)) {
			why = "of more values than it has places for"
		}
		if why == "" {
			l.fill(&n)
			n.Outputs = n.Outputs[:1] // a batch norm's statistics are its own
			r.values[o.Out[0]].axis = r.axisAfter(l, o)
		}
		n.Why = why
	}
	if n.Kind == graph.Opaque {
		for _, v := range o.reads() {
			r.readElsewhere(v)
		}
	}
	r.graph.Nodes = append(r.graph.Nodes, n)
}

// axisAfter is where the channels of an operator's output are, as far as those before it
// say; graph.AnyAxis where none does.
func (r *reader) axisAfter(l result, o *operator) int {
	switch {
	case l.kind == graph.Move:
		return l.to
	case l.axis != graph.AnyAxis:
		return l.axis
	}
	for _, n := range o.reads() {
		if !r.values[n].fixed {
			return r.values[n].axis
		}
	}
	return graph.AnyAxis
}

// readElsewhere notes the key that a value is, or the keys that it was computed of.
func (r *reader) readElsewhere(n int) {
	v := &r.values[n]
	for _, key := range v.of {
		r.elsewhere[key] = true
		if v.key == nil {
			r.computed[key] = true
		}
	}
}

// inputs is the graph's values that an operator reads: none where all is fixed.
func (r *reader) inputs(o *operator) (list []int) {
	for _, n := range o.reads() {
		if !r.values[n].fixed {
			list = append(list, r.place(n, fmt.Sprintf("value %d", n)))
		}
	}
	return list
}

// fold marks what comes of parameters and constants alone, and keeps a parameter that is
// only seen in another shape.
func (r *reader) fold(o *operator) {
	reads := o.reads()
	for _, n := range o.Out {
		r.values[n].fixed = true
		for _, from := range reads {
			r.values[n].of = append(r.values[n].of, r.values[from].of...)
		}
	}
	if len(reads) == 0 || len(o.Out) != 1 {
		return
	}
	from, to := &r.values[reads[0]], &r.values[o.Out[0]]
	switch short(o.Op) {
	case "t":
		to.key, to.turned = from.key, !from.turned && len(from.shape) == 2
	case "view", "_reshape_alias", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "detach", "alias", "clone", "expand", "lift_fresh":
		copies := len(to.shape) == 3 && slices.Equal(to.shape[1:], from.shape) // of a matrix, one for each of a batch
		if slices.Equal(to.shape, from.shape) || copies || tensor.Elems(from.shape) == tensor.Elems(to.shape) && !from.turned && from.elem == to.elem {
			to.key, to.literal, to.turned = from.key, from.literal, from.turned
		}
	}
}

// result is what a linear operator is in the graph.
type result struct {
	kind  graph.Kind
	op    op.Expr
	after []int
	// axis is where the channels are, to where a Move takes them.
	axis, to int
	minus    []bool
}

func (l result) fill(n *graph.Node) {
	n.Kind, n.Op, n.After, n.Axis, n.To, n.Minus = l.kind, l.op, l.after, l.axis, l.to, l.minus
}
