package onnx

import "fmt"

// scope is the names that a graph gives, and those around it.
type scope struct {
	names  map[string]*Value
	around *scope
}

func (s *scope) find(name string) *Value {
	for ; s != nil; s = s.around {
		if v := s.names[name]; v != nil {
			return v
		}
	}
	return nil
}

// bind gives every name of the graph and of its bodies the value that it stands for.
// A node may read only what stands before it: so a graph has no cycle.
func (g *Graph) bind(around *scope) error {
	s := &scope{map[string]*Value{}, around}
	if err := g.declare(s); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		if err := n.bind(g, s); err != nil {
			return err
		}
	}
	for _, name := range g.outputs {
		v := s.find(name)
		if v == nil {
			return fmt.Errorf("output %q: no node makes it", name)
		}
		v.Output = true
	}
	for name, v := range s.names {
		v.info = g.infos[name]
	}
	g.infos = nil
	return nil
}

// declare enters the graph's inputs and initializers.
func (g *Graph) declare(s *scope) error {
	for _, v := range g.Inputs {
		if s.names[v.Name] != nil {
			return fmt.Errorf("two inputs are called %q", v.Name)
		}
		s.names[v.Name] = v
		g.given = append(g.given, v)
	}
	for _, t := range g.Initializers {
		v := s.names[t.Key]
		switch {
		case t.Key == "":
			return fmt.Errorf("an initializer without a name")
		case v == nil:
			v = &Value{Name: t.Key, graph: g}
			s.names[t.Key] = v
			g.given = append(g.given, v)
		case v.Tensor != nil:
			return fmt.Errorf("two initializers are called %q", t.Key)
		}
		v.Tensor = t
	}
	for _, name := range g.sparse {
		if s.names[name] != nil {
			return fmt.Errorf("two initializers are called %q", name)
		}
		s.names[name] = &Value{Name: name, graph: g}
	}
	return nil
}

func (n *Node) bind(g *Graph, s *scope) error {
	for _, name := range n.in {
		var v *Value
		if name != "" {
			if v = s.find(name); v == nil {
				return fmt.Errorf("%s reads %q, which nothing before it makes", n, name)
			}
			v.Users = append(v.Users, n)
		}
		n.In = append(n.In, v)
	}
	for _, a := range n.Attrs {
		for _, body := range a.Graphs {
			if err := body.bind(s); err != nil {
				return fmt.Errorf("%s: %w", n, err)
			}
		}
	}
	for _, name := range n.out {
		var v *Value
		if name != "" {
			if s.names[name] != nil {
				return fmt.Errorf("%s makes %q, which is there already", n, name)
			}
			v = &Value{Name: name, Maker: n, graph: g}
			s.names[name] = v
		}
		n.Out = append(n.Out, v)
	}
	return nil
}

// walk visits the graph and then its bodies, each before those in it.
func (g *Graph) walk(visit func(*Graph)) {
	visit(g)
	for _, n := range g.Nodes {
		for _, a := range n.Attrs {
			for _, body := range a.Graphs {
				body.walk(visit)
			}
		}
	}
}
