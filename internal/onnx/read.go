package onnx

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"repfuse/internal/tensor"
)

// read reads the model.
func (m *Model) read() error {
	m.Metadata, m.Functions, m.bound = map[string]string{}, map[Operator]*Function{}, map[string]bool{}
	top := message{m.file.src, 0, m.file.src.size, &holder{}}
	if err := top.each(func(fl field) error { return m.field(top, fl) }); err != nil {
		return err
	}
	if m.Graph == nil {
		return errors.New("no graph in it, want an ONNX model")
	}
	for _, o := range m.opsets {
		if o.domain == "" {
			m.Opset = o.version
		}
	}
	if m.IR < 1 || m.Opset < 1 {
		return fmt.Errorf("IR version %d, opset %d, want both", m.IR, m.Opset)
	}
	if err := m.Graph.bind(nil); err != nil {
		return err
	}
	m.list()
	return nil
}

// list lists the tensors that the model is made of, under keys of their own: those of
// different bodies may have one name.
func (m *Model) list() {
	seen, listed := map[string]int{}, map[*Tensor]bool{}
	m.listed = map[string]bool{}
	add := func(t *Tensor, key string) {
		if seen[key]++; seen[key] > 1 {
			key = fmt.Sprintf("%s#%d", key, seen[key])
		}
		t.Key, listed[t], m.listed[key] = key, true, true
		m.tensors = append(m.tensors, t)
	}
	m.Graph.walk(func(g *Graph) {
		for _, t := range g.Initializers {
			if t.Type != tensor.Invalid {
				add(t, t.Key)
			}
		}
		for _, n := range g.Nodes {
			if n.Op != constant {
				continue
			}
			for _, a := range n.Attrs {
				if t := a.Tensor; t != nil && t.Type.IsFloat() && len(t.Shape) > 0 {
					add(t, n.out[0])
				}
			}
		}
	})
	for _, t := range m.file.externals {
		if !listed[t] {
			add(t, cmp.Or(t.Key, "external data"))
		}
	}
}

// constant is the operator that makes a value out of nothing.
var constant = Operator{Name: "Constant"}

func (m *Model) field(in message, f field) (err error) {
	switch f.number {
	case 1:
		m.IR = int64(f.value)
	case 7:
		if m.Graph != nil {
			return errors.New("two graphs")
		}
		m.Graph, err = m.file.graph(in, f)
	case 8:
		m.opsets, err = readOpset(in, f, m.opsets)
	case 14:
		var p pair
		p, err = readPair(in, f)
		m.Metadata[p.key] = p.value
	case 20:
		err = in.fields(f, func(in message, f field) error {
			if f.number != 3 && f.number != 4 {
				return nil
			}
			p, err := readPair(in, f)
			m.bound[p.key] = true
			return err
		})
	case 25:
		err = m.function(in, f)
	}
	return err
}

func readOpset(in message, f field, to []opset) ([]opset, error) {
	var o opset
	err := in.fields(f, func(in message, f field) (err error) {
		switch f.number {
		case 1:
			o.domain, err = in.text(f)
		case 2:
			o.version = int64(f.value)
		}
		return err
	})
	o.domain = domain(o.domain)
	return append(to, o), err
}

// domain is the name of a domain: that of ONNX itself has two.
func domain(name string) string {
	if name == "ai.onnx" {
		return ""
	}
	return name
}

func (m *Model) function(in message, at field) error {
	var fn Function
	var op Operator
	err := in.fields(at, func(in message, f field) (err error) {
		switch f.number {
		case 1:
			op.Name, err = m.file.name(in, f)
		case 4:
			err = m.file.list(in, f, &fn.In)
		case 5:
			err = m.file.list(in, f, &fn.Out)
		case 7:
			var n *Node
			n, err = m.file.node(in, f, nil)
			fn.Nodes = append(fn.Nodes, n)
		case 9:
			fn.opsets, err = readOpset(in, f, fn.opsets)
		case 10:
			op.Domain, err = m.file.name(in, f)
		case 11:
			var a *Attr
			a, err = m.file.attr(in, f)
			fn.defaults = append(fn.defaults, a)
		case 13:
			op.Overload, err = m.file.name(in, f)
		}
		return err
	})
	op.Domain = domain(op.Domain)
	if err == nil && m.Functions[op] != nil {
		err = errors.New("it is there twice")
	}
	m.Functions[op] = &fn
	return named(err, "function", op.Name)
}

// name is the content of a field, one string for each name however often it is there.
func (f *file) name(in message, fl field) (string, error) {
	n := fl.end - fl.at
	if fl.wire != wireLen || n > maxText {
		return in.text(fl) // an error
	}
	b, err := in.src.view(fl.at, int(n))
	if s, known := f.names[string(b)]; known {
		return s, err
	}
	s := string(b)
	f.names[s] = s
	return s, err
}

// list appends a name to a list.
func (f *file) list(in message, fl field, to *[]string) error {
	s, err := f.name(in, fl)
	*to = append(*to, s)
	return err
}

// graph reads a GraphProto.
func (f *file) graph(in message, at field) (*Graph, error) {
	g := &Graph{infos: map[string]*info{}}
	err := in.fields(at, func(in message, fl field) (err error) {
		g.in = in.in
		switch fl.number {
		case 1:
			var n *Node
			if n, err = f.node(in, fl, g); err == nil {
				g.Nodes = append(g.Nodes, n)
			}
		case 2:
			g.Name, err = in.text(fl)
		case 5:
			var t *Tensor
			if t, err = f.tensor(in, fl); err == nil {
				g.Initializers = append(g.Initializers, t)
			}
		case 11, 12, 13:
			err = f.info(in, fl, g)
		case 14:
			var name string
			err = in.fields(fl, func(in message, fl field) (err error) {
				if fl.number == 1 {
					name, err = f.name(in, fl)
				}
				return err
			})
			g.about = append(g.about, about{name, span{fl.start, fl.end}})
		case 15:
			err = f.sparse(in, fl, g)
		}
		return err
	})
	return g, err
}

// sparse takes the name of a SparseTensorProto, which is that of its values.
func (f *file) sparse(in message, fl field, g *Graph) error {
	return in.fields(fl, func(in message, fl field) error {
		if fl.number != 1 {
			return nil
		}
		return in.fields(fl, func(in message, fl field) error {
			if fl.number != 8 {
				return nil
			}
			return f.list(in, fl, &g.sparse)
		})
	})
}

// info reads a ValueInfoProto.
func (f *file) info(in message, at field, g *Graph) error {
	i := &info{}
	err := in.fields(at, func(in message, fl field) (err error) {
		switch fl.number {
		case 1:
			i.name, err = f.name(in, fl)
		case 2:
			err = in.fields(fl, func(in message, fl field) error {
				if fl.number != 1 { // a sequence, a map, ...
					return nil
				}
				return in.fields(fl, i.tensorType)
			})
		}
		return err
	})
	if err != nil {
		return named(err, "value", i.name)
	}
	switch at.number {
	case 11:
		g.Inputs = append(g.Inputs, &Value{Name: i.name, Input: true, graph: g})
		g.inputs = append(g.inputs, span{at.start, at.end})
	case 12:
		g.outputs = append(g.outputs, i.name)
	case 13:
		g.about = append(g.about, about{i.name, span{at.start, at.end}})
	}
	if g.infos[i.name] == nil || at.number == 11 {
		g.infos[i.name] = i
	}
	return nil
}

// tensorType reads a field of TypeProto.Tensor.
func (i *info) tensorType(in message, f field) error {
	switch f.number {
	case 1:
		i.elem = int(f.value)
	case 2:
		i.known = true
		return in.fields(f, func(in message, f field) error {
			if f.number != 1 {
				return nil
			}
			if len(i.dims) == maxRank {
				return fmt.Errorf("more than %d dimensions", maxRank)
			}
			i.dims = append(i.dims, -1)
			return in.fields(f, func(_ message, f field) error {
				if f.number == 1 && f.value > 0 && f.value < math.MaxInt32 {
					i.dims[len(i.dims)-1] = int(f.value)
				}
				return nil
			})
		})
	}
	return nil
}

// node reads a NodeProto of the graph g, which is nil in a function.
func (f *file) node(in message, at field, g *Graph) (*Node, error) {
	n := &Node{span: span{at.start, at.end}, graph: g}
	err := in.fields(at, func(in message, fl field) (err error) {
		switch fl.number {
		case 1:
			err = f.list(in, fl, &n.in)
		case 2:
			err = f.list(in, fl, &n.out)
		case 3:
			n.Name, err = in.text(fl)
		case 4:
			n.Op.Name, err = f.name(in, fl)
		case 5:
			var a *Attr
			if a, err = f.attr(in, fl); err == nil {
				n.Attrs = append(n.Attrs, a)
			}
		case 7:
			n.Op.Domain, err = f.name(in, fl)
		case 8:
			n.Op.Overload, err = f.name(in, fl)
		}
		return err
	})
	n.Op.Domain = domain(n.Op.Domain)
	if err == nil && n.Op == constant && len(n.out) != 1 {
		err = fmt.Errorf("%d outputs, want one", len(n.out))
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", n, err)
	}
	return n, err
}

// attr reads an AttributeProto.
func (f *file) attr(in message, at field) (*Attr, error) {
	a := &Attr{span: span{at.start, at.end}}
	err := in.fields(at, func(in message, fl field) (err error) {
		var numbers []uint64
		switch fl.number {
		case 1:
			a.Name, err = f.name(in, fl)
		case 2:
			a.Float = math.Float32frombits(uint32(fl.value))
		case 3:
			a.Int = int64(fl.value)
		case 4:
			if fl.end-fl.at <= maxText {
				a.Text, err = in.text(fl)
			}
		case 5:
			a.Tensor, err = f.tensor(in, fl)
		case 6, 11:
			var g *Graph
			if g, err = f.graph(in, fl); err == nil {
				a.Graphs = append(a.Graphs, g)
			}
		case 7:
			numbers, err = in.numbers(nil, fl, wireI32)
			for _, v := range numbers {
				a.Floats = append(a.Floats, math.Float32frombits(uint32(v)))
			}
		case 8:
			numbers, err = in.numbers(nil, fl, wireVarint)
			for _, v := range numbers {
				a.Ints = append(a.Ints, int64(v))
			}
		case 20:
			a.Kind = Kind(fl.value)
		case 21:
			a.Ref, err = f.name(in, fl)
		}
		return err
	})
	return a, named(err, "attribute", a.Name)
}
