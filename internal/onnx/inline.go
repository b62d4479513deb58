package onnx

import "slices"

// maxInlined bounds the nodes that calls of functions become, and maxCalls how deep one
// may call another.
const (
	maxInlined = 1 << 17
	maxCalls   = 32
)

// inliner puts the nodes of the file's own functions in the place of the nodes that call
// them. In the file a call stays as it is where none of its nodes goes.
type inliner struct {
	m     *Model
	names Names
	nodes int
}

func (m *Model) inline() {
	if m.inlined || len(m.Functions) == 0 {
		return
	}
	m.inlined = true
	in := &inliner{m: m, names: m.Names()}
	m.Graph.walk(func(g *Graph) {
		var all []*Node
		for _, n := range g.Nodes {
			all = append(all, in.expand(n, n, 0)...)
		}
		g.Nodes = all
	})
}

// expand is the nodes that a node comes to; call is the node of the file that holds it.
func (in *inliner) expand(n, call *Node, depth int) []*Node {
	fn := in.m.Functions[n.Op]
	if fn == nil || depth == maxCalls || in.nodes+len(fn.Nodes) > maxInlined || !in.fits(fn, n) {
		return []*Node{n}
	}
	in.nodes += len(fn.Nodes)
	s := map[string]*Value{}
	for k, name := range fn.In {
		if k < len(n.In) {
			s[name] = n.In[k]
		}
	}
	for _, v := range n.In {
		if v != nil {
			v.Users = slices.DeleteFunc(v.Users, func(u *Node) bool { return u == n })
		}
	}
	given := map[string]*Value{}
	for k, name := range fn.Out {
		if k < len(n.Out) && n.Out[k] != nil {
			given[name] = n.Out[k]
		}
	}
	var all []*Node
	for _, inner := range fn.Nodes {
		all = append(all, in.expand(in.copy(inner, n, call, s, given), call, depth+1)...)
	}
	return all
}

// fits reports whether a function can stand where it is called: it has no bodies, takes its
// operators from the versions that the model takes, and names each output after a node's.
func (in *inliner) fits(fn *Function, call *Node) bool {
	for _, o := range fn.opsets {
		if !slices.Contains(in.m.opsets, o) {
			return false
		}
	}
	made := map[string]bool{}
	for _, name := range fn.In {
		made[name] = false
	}
	for _, n := range fn.Nodes {
		for _, name := range n.in {
			if _, known := made[name]; name != "" && !known {
				return false
			}
		}
		for _, name := range n.out {
			if _, known := made[name]; name != "" && known {
				return false
			}
			made[name] = true
		}
		if slices.ContainsFunc(n.Attrs, func(a *Attr) bool { return a.Graphs != nil }) {
			return false
		}
	}
	for k, name := range fn.Out {
		if !made[name] || slices.Contains(fn.Out[:k], name) {
			return false
		}
	}
	return len(call.In) <= len(fn.In) && len(call.Out) <= len(fn.Out)
}

// copy is a node of a function as it is in one call. s is the values so far, given those
// that the call's outputs stand for.
func (in *inliner) copy(inner, n, call *Node, s, given map[string]*Value) *Node {
	c := &Node{Op: inner.Op, span: call.span, graph: call.graph, call: call}
	if inner.Name != "" {
		c.Name = in.names.fresh(n.label() + "/" + inner.Name)
	}
	for _, a := range inner.Attrs {
		if a = in.attr(a, n); a != nil {
			c.Attrs = append(c.Attrs, a)
		}
	}
	for _, name := range inner.in {
		v := s[name]
		if v != nil {
			v.Users = append(v.Users, c)
			c.in = append(c.in, v.Name)
		} else {
			c.in = append(c.in, "")
		}
		c.In = append(c.In, v)
	}
	for _, name := range inner.out {
		var v *Value
		out := ""
		if name != "" {
			if v = given[name]; v == nil {
				v = &Value{Name: in.names.fresh(n.label() + "/" + name), graph: call.graph}
			}
			v.Maker, s[name], out = c, v, v.Name
		}
		c.Out, c.out = append(c.Out, v), append(c.out, out)
	}
	return c
}

// attr is an attribute of a function's node in one call, nil where the call leaves it out.
func (in *inliner) attr(a *Attr, call *Node) *Attr {
	if a.Ref == "" {
		return a
	}
	from := call.Attr(a.Ref)
	for _, d := range in.m.Functions[call.Op].defaults {
		if from == nil && d.Name == a.Ref {
			from = d
		}
	}
	if from == nil {
		return nil
	}
	b := *from
	b.Name, b.renamed = a.Name, true
	return &b
}
