package onnx

import (
	"cmp"
	"fmt"
	"slices"
)

// sweep is what goes when layers come.
type sweep struct {
	nodes   map[*Node]bool
	tensors map[*Tensor]bool
	values  map[*Value]bool // that no node makes any longer
	uses    map[*Value]int  // what is left of them, where some went
}

func (m *Model) sweep(layers []Layer) (*sweep, error) {
	s := &sweep{map[*Node]bool{}, map[*Tensor]bool{}, map[*Value]bool{}, map[*Value]int{}}
	made := map[string]bool{}
	var gone []*Node
	for _, l := range layers {
		gone = append(gone, l.Gone...)
		for _, n := range l.Nodes {
			for _, out := range n.Outs {
				made[out] = true
			}
		}
		for _, v := range l.Reads {
			s.uses[v] = cmp.Or(s.uses[v], len(v.Users)) + 1
		}
	}
	for len(gone) > 0 {
		n := gone[0]
		gone = gone[1:]
		if s.nodes[n] {
			continue
		}
		s.nodes[n] = true
		for _, out := range n.Out {
			if out != nil && !made[out.Name] {
				s.values[out] = true
			}
		}
		for _, a := range n.Attrs {
			s.tensors[a.Tensor] = true
		}
		for _, in := range n.In {
			if in != nil {
				gone = append(gone, s.drop(in)...)
			}
		}
	}
	for v := range s.values {
		for _, n := range v.Users {
			if !s.nodes[n] {
				return nil, fmt.Errorf("%s reads %q, which would be gone", n, v.Name)
			}
		}
	}
	return s, nil
}

// drop takes one use of a value away. What made it goes where nothing reads its outputs.
func (s *sweep) drop(v *Value) (gone []*Node) {
	if _, begun := s.uses[v]; !begun {
		s.uses[v] = len(v.Users)
	}
	s.uses[v]--
	if s.uses[v] > 0 || v.Output {
		return nil
	}
	if v.Tensor != nil {
		s.tensors[v.Tensor], s.values[v] = true, true
	}
	n := v.Maker
	if n == nil || n.Op.Domain != "" || slices.ContainsFunc(n.Attrs, func(a *Attr) bool { return a.Graphs != nil }) {
		return nil
	}
	for _, out := range n.Out {
		if out == nil {
			continue
		}
		if left, begun := s.uses[out]; out.Output || begun && left > 0 || !begun && len(out.Users) > 0 {
			return nil
		}
	}
	return []*Node{n}
}

// nodes takes away from a graph the nodes that go and puts new ones where they stood. Of a
// call that loses a node the others are written in its place.
func (m *Model) nodes(g *Graph, gone map[*Node]bool, fresh map[*Node][]NewNode, err error) (edits []edit, _ error) {
	for k := 0; k < len(g.Nodes) && err == nil; {
		first := g.Nodes[k]
		run := 1
		for first.call != nil && k+run < len(g.Nodes) && g.Nodes[k+run].call == first.call {
			run++
		}
		group := g.Nodes[k : k+run]
		k += run
		if !slices.ContainsFunc(group, func(n *Node) bool { return gone[n] }) {
			continue
		}
		e := edit{span: first.span, in: g.in}
		for _, n := range group {
			if !gone[n] {
				fresh[n] = []NewNode{{Name: n.Name, Domain: n.Op.Domain, Op: n.Op.Name, Overload: n.Op.Overload, In: n.in, Outs: n.out, Like: n}}
			}
			for _, f := range fresh[n] {
				var p []piece
				if p, err = m.pieces(f); err != nil {
					return nil, err
				}
				e.with = append(e.with, p...)
			}
		}
		edits = append(edits, e)
	}
	return edits, err
}

// edits takes away from a graph what goes, except for nodes.
func (s *sweep) edits(g *Graph) (edits []edit) {
	without := func(at span) { edits = append(edits, edit{span: at, in: g.in}) }
	for _, t := range g.Initializers {
		if s.tensors[t] {
			without(t.span)
		}
	}
	for k, v := range g.Inputs {
		if v.Tensor != nil && s.tensors[v.Tensor] {
			without(g.inputs[k])
		}
	}
	names := map[string]bool{}
	for v := range s.values {
		if v.graph == g {
			names[v.Name] = true
		}
	}
	for _, a := range g.about {
		if names[a.name] {
			without(a.span)
		}
	}
	return edits
}
