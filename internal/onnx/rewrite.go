package onnx

import (
	"cmp"
	"fmt"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// Layer is what takes the place of some nodes.
type Layer struct {
	// Gone is the nodes that it replaces, of one graph. What they make and Nodes do not
	// is read by nothing else.
	Gone []*Node
	// Reads is the values of the model that Nodes read.
	Reads []*Value
	Nodes []NewNode
	// Tensors are the initializers that it brings.
	Tensors []tensor.Spec
}

// NewNode is a node to be written.
type NewNode struct {
	// At is the node, one of those that go, in whose place it stands.
	At                         *Node
	Name, Domain, Op, Overload string
	In, Outs                   []string
	Attrs                      []NewAttr
	// Like is a node whose attributes it has as they are, nil if none.
	Like *Node
}

// NewAttr is an attribute of numbers.
type NewAttr struct {
	Name string
	Ints []int
	// Single says that it is one number and no list.
	Single bool
}

// Rewrite is a model with some nodes replaced, ready to be written.
type Rewrite struct {
	// Kept are the tensors of the source that stay, Fresh those that the layers bring: what
	// the writer of Create asks for.
	Kept  []tensor.Named
	Fresh []tensor.Spec
	// External says that some of them are to lie in a file of their own.
	External bool

	m       *Model
	pieces  []piece // of the model's file, except for what is streamed
	between []piece // of the old file of external data, whose name is old
	old     string
	places  map[string]place
}

// Rewrite lays out the model with the layers in it. What served only the nodes that go,
// goes too: nodes over constants, initializers with the inputs that list them, what the
// file says of values that are no longer there. location is the name of the file, in the
// new model's folder, that external data is to lie in.
func (m *Model) Rewrite(layers []Layer, location string) (*Rewrite, error) {
	r := &Rewrite{m: m, places: map[string]place{}}
	for _, l := range layers {
		r.Fresh = append(r.Fresh, l.Tensors...)
	}
	s, err := m.sweep(layers)
	if err != nil {
		return nil, err
	}
	var edits []edit
	fresh := map[*Node][]NewNode{}
	for _, l := range layers {
		for _, n := range l.Nodes {
			fresh[n.At] = append(fresh[n.At], n)
		}
	}
	m.Graph.walk(func(g *Graph) {
		edits = append(edits, s.edits(g)...)
		var e []edit
		if e, err = m.nodes(g, s.nodes, fresh, err); err == nil {
			edits = append(edits, e...)
		}
	})
	if err != nil {
		return nil, err
	}
	inside, outside := r.keep(s)
	if r.External = len(m.file.externals) > 0; r.External {
		edits = append(edits, r.moveOut(outside, len(layers) == 0, location)...)
	}
	for _, l := range layers {
		edits = append(edits, r.bring(l, location)...)
	}
	pieces, err := m.apply(edits)
	if err != nil {
		return nil, err
	}
	r.pieces = lay(pieces, inside, r.places)
	return r, nil
}

// Kept lists the tensors of the model that stay where the layers come.
func (m *Model) Kept(layers []Layer) ([]tensor.Named, error) {
	s, err := m.sweep(layers)
	if err != nil {
		return nil, err
	}
	var kept []tensor.Named
	for _, t := range m.tensors {
		if !s.tensors[t] {
			kept = append(kept, t.Named)
		}
	}
	return kept, nil
}

// keep lists the tensors that stay: those whose elements are streamed into the model, and
// those of external data.
func (r *Rewrite) keep(s *sweep) (inside, outside []*Tensor) {
	for _, t := range r.m.tensors {
		switch {
		case s.tensors[t]:
			continue
		case t.external != nil:
			outside = append(outside, t)
		case t.data.to > 0:
			inside = append(inside, t)
		default:
			r.places[t.Key] = place{disk.Place{File: copied}, t.Bytes()}
		}
		r.Kept = append(r.Kept, t.Named)
	}
	return inside, outside
}

// moveOut lays external data out in one file, the old one again where nothing else changes.
func (r *Rewrite) moveOut(outside []*Tensor, unchanged bool, location string) (edits []edit) {
	same := unchanged && oneFile(outside)
	spread(outside, r.Fresh, same, r.places)
	if same { // what lies between them stays as well
		r.old = outside[0].external.location
		r.between = lay([]piece{{span: span{0, r.m.file.sizes[r.old]}}}, outside, map[string]place{})
	}
	for _, t := range outside {
		edits = append(edits, t.moved(location, r.places[t.Key].Off)...)
	}
	return edits
}

// moved points a tensor at another place in another file.
func (t *Tensor) moved(location string, off int64) []edit {
	e := t.external
	if e.location == location && e.offset == off {
		return nil
	}
	var edits []edit
	for k, f := range e.fields {
		out := edit{span: f, in: e.in}
		if k == 0 {
			out.with = []piece{{text: e.text(location, off)}}
		}
		edits = append(edits, out)
	}
	return edits
}

// bring writes the tensors of a layer.
func (r *Rewrite) bring(l Layer, location string) []edit {
	g := l.Gone[0].graph
	end := g.Nodes[len(g.Nodes)-1].to
	if k := len(g.Initializers); k > 0 {
		end = g.Initializers[k-1].to
	}
	tensors, inputs := edit{span: span{end, end}, in: g.in}, edit{span: span{end, end}, in: g.in}
	if k := len(g.inputs); k > 0 {
		end = g.inputs[k-1].to
		inputs.span = span{end, end}
	}
	for _, t := range l.Tensors {
		tensors.with = append(tensors.with, r.tensor(t, location)...)
		if r.m.IR < 4 { // which wants every initializer among the inputs
			inputs.with = append(inputs.with, piece{text: inputText(t)})
		}
	}
	return []edit{tensors, inputs}
}

// tensor is an initializer: what stands before its elements, and their place.
func (r *Rewrite) tensor(t tensor.Spec, location string) []piece {
	var b []byte
	for _, d := range t.Shape {
		b = appendInt(b, 1, int64(d))
	}
	b = appendInt(b, 2, int64(elemOf(t.Type)))
	b = appendText(b, 8, t.Key)
	if r.External {
		e := reference{length: t.Bytes()}
		b = appendInt(append(b, e.text(location, r.places[t.Key].Off)...), 14, 1)
		return []piece{{text: appendText(nil, 5, b)}}
	}
	b = appendLen(appendTag(b, 9, wireLen), t.Bytes())
	head := appendLen(appendTag(nil, 5, wireLen), int64(len(b))+t.Bytes())
	return []piece{{text: append(head, b...)}, {key: t.Key, size: t.Bytes()}}
}

func elemOf(t tensor.Type) int {
	for n, typ := range elems {
		if typ == t {
			return n
		}
	}
	panic(fmt.Sprintf("onnx: no number for %s", t))
}

// inputText is a graph input for an initializer (ValueInfoProto).
func inputText(t tensor.Spec) []byte {
	var dims []byte
	for _, d := range t.Shape {
		dims = appendText(dims, 1, appendInt(nil, 1, int64(d)))
	}
	typ := appendText(appendInt(nil, 1, int64(elemOf(t.Type))), 2, dims)
	return appendText(nil, 11, appendText(appendText(nil, 1, t.Key), 2, appendText(nil, 1, typ)))
}

// pieces is the node as a field of its graph.
func (m *Model) pieces(n NewNode) ([]piece, error) {
	var b []byte
	for _, in := range n.In {
		b = appendText(b, 1, in)
	}
	for _, out := range n.Outs {
		b = appendText(b, 2, out)
	}
	b = appendText(b, 3, n.Name)
	b = appendText(b, 4, n.Op)
	for _, a := range n.Attrs {
		t := appendText(nil, 1, a.Name)
		kind, number := KindInts, 8
		if a.Single {
			kind, number = KindInt, 3
		}
		for _, v := range a.Ints {
			t = appendInt(t, number, int64(v))
		}
		b = appendText(b, 5, appendInt(t, 20, int64(kind)))
	}
	var like []piece
	if n.Like != nil {
		for _, a := range n.Like.Attrs {
			p, err := m.attrPieces(a)
			if err != nil {
				return nil, err
			}
			like = append(like, p...)
		}
	}
	var end []byte
	if n.Domain != "" {
		end = appendText(end, 7, n.Domain)
	}
	if n.Overload != "" {
		end = appendText(end, 8, n.Overload)
	}
	all := append(append([]piece{{text: b}}, like...), piece{text: end})
	return wrapped(1, all), nil
}

// wrapped is pieces as the content of a field.
func wrapped(number int, with []piece) []piece {
	var size int64
	for _, p := range with {
		size += p.len()
	}
	return append([]piece{{text: appendLen(appendTag(nil, number, wireLen), size)}}, with...)
}

// attrPieces is an attribute as it is in the file, except for its name.
func (m *Model) attrPieces(a *Attr) ([]piece, error) {
	if !a.renamed {
		return []piece{{span: a.span}}, nil
	}
	with := []piece{{text: appendText(nil, 1, a.Name)}}
	whole := message{m.file.src, a.from, a.to, &holder{}}
	err := whole.each(func(f field) error {
		return whole.fields(f, func(_ message, f field) error {
			if f.number != 1 {
				with = append(with, piece{span: span{f.start, f.end}})
			}
			return nil
		})
	})
	return wrapped(5, with), err
}

// Names is what things in a model are called.
type Names map[string]bool

// Names collects those of values, nodes and initializers.
func (m *Model) Names() Names {
	all := Names{}
	m.Graph.walk(func(g *Graph) {
		for _, v := range g.given {
			all[v.Name] = true
		}
		for _, name := range g.sparse {
			all[name] = true
		}
		for _, n := range g.Nodes {
			all[n.Name] = true
			for _, name := range n.out {
				all[name] = true
			}
		}
	})
	return all
}

// fresh is a new name that begins like the one given.
func (n Names) fresh(like string) string {
	name := like
	for k := 2; n[name] || name == ""; k++ {
		name = fmt.Sprintf("%s_%d", cmp.Or(like, "fused"), k)
	}
	n[name] = true
	return name
}
