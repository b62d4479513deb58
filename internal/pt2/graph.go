package pt2

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"repfuse/internal/disk"
)

// schema is the version of the program's text that is known; a minor one only adds what may be
// left out. PyTorch 2.6 writes 8.2, and its sources of 2026 have 8.17 to 8.20.
const schema = 8

// exported is the program's text, as far as it says what the network computes.
type exported struct {
	Version struct{ Major, Minor int } `json:"schema_version"`
	Module  struct {
		Graph struct {
			Outputs []map[string]any
			Nodes   []node
			Values  map[string]value `json:"tensor_values"`
		}
		Signature struct {
			Inputs []map[string]spec `json:"input_specs"`
		}
	} `json:"graph_module"`
}

type node struct {
	Target string
	Inputs []struct {
		Name string
		Arg  map[string]any
	}
	Outputs  []map[string]any
	Metadata struct {
		Stack string `json:"nn_module_stack"`
	}
}

// value is a tensor's element type, as a number, and its extents.
type value struct {
	DType int
	Sizes []extent
}

// extent is a number, or an expression, of which the hint says what it was.
type extent struct {
	Int  *int `json:"as_int"`
	Expr struct {
		Hint struct {
			Int *int `json:"as_int"`
		}
	} `json:"as_expr"`
}

func (e extent) number() (int, error) {
	switch {
	case e.Int != nil:
		return *e.Int, nil
	case e.Expr.Hint.Int != nil:
		return *e.Expr.Hint.Int, nil
	}
	return 0, errors.New("an extent is unknown")
}

// spec is an input of the program: of the user, or a tensor of the module's.
type spec struct {
	Arg        map[string]any
	Parameter  string `json:"parameter_name"`
	Buffer     string `json:"buffer_name"`
	Persistent *bool
}

// traced is a graph.json, see package trace.
type traced struct {
	Version   int               `json:"version"`
	Device    string            `json:"device"`
	Inputs    []int             `json:"inputs"`
	Outputs   []int             `json:"outputs"`
	Keys      map[string]int    `json:"keys"`
	Constants map[string][]any  `json:"constants"`
	Classes   map[string]string `json:"classes"`
	Values    [][]any           `json:"values"`
	Ops       []operator        `json:"ops"`
}

type operator struct {
	Op    string         `json:"op"`
	At    string         `json:"at"`
	In    []any          `json:"in"`
	Named map[string]any `json:"named"`
	Out   []int          `json:"out"`
}

// maker numbers the program's values.
type maker struct {
	values map[string]value
	number map[string]int
	traced
}

// textOf makes the text of a graph.json of a program's.
func textOf(text []byte) ([]byte, error) {
	var p exported
	if err := disk.JSON(text, &p); err != nil {
		return nil, err
	}
	if p.Version.Major != schema {
		return nil, fmt.Errorf("schema %d.%d, want %d, which PyTorch writes since 2.5", p.Version.Major, p.Version.Minor, schema)
	}
	m := &maker{values: p.Module.Graph.Values, number: map[string]int{},
		traced: traced{Version: 1, Device: "torch.export", Keys: map[string]int{}, Constants: map[string][]any{}, Classes: map[string]string{}}}
	for _, input := range p.Module.Signature.Inputs {
		for kind, s := range input {
			if err := m.input(kind, s); err != nil {
				return nil, err
			}
		}
	}
	for k, n := range p.Module.Graph.Nodes {
		if err := m.node(n); err != nil {
			return nil, fmt.Errorf("node %d (%s): %w", k, n.Target, err)
		}
	}
	for _, out := range p.Module.Graph.Outputs {
		for _, name := range tensors(out) {
			n, err := m.value(name)
			if err != nil {
				return nil, err
			}
			m.Outputs = append(m.Outputs, n)
		}
	}
	return json.Marshal(m.traced)
}

// input places what a program is given: the user's tensors, entries of the state dict, and
// tensors that are in neither.
func (m *maker) input(kind string, s spec) error {
	for _, name := range tensors(s.Arg) {
		n, err := m.value(name)
		if err != nil {
			return err
		}
		key := s.Parameter
		if s.Buffer != "" && (s.Persistent == nil || *s.Persistent) {
			key = s.Buffer
		}
		switch {
		case key != "":
			m.Keys[key] = n
		case kind == "user_input":
			m.Inputs = append(m.Inputs, n)
		default:
			m.Constants[fmt.Sprint(n)] = nil
		}
	}
	return nil
}

// value is a tensor's number, in the order in which they are met.
func (m *maker) value(name string) (int, error) {
	if n, ok := m.number[name]; ok {
		return n, nil
	}
	v, ok := m.values[name]
	if !ok {
		return 0, fmt.Errorf("%s is no tensor of the graph", name)
	}
	sizes, err := numbers(v.Sizes)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	said := []any{fmt.Sprintf("type %d", v.DType)}
	for _, n := range sizes {
		said = append(said, n)
	}
	m.number[name] = len(m.Values)
	m.Values = append(m.Values, said)
	return m.number[name], nil
}

func (m *maker) node(n node) error {
	o := operator{Op: strings.TrimPrefix(n.Target, "torch.ops."), In: []any{}, Named: map[string]any{}, Out: []int{}}
	stack := strings.Split(n.Metadata.Stack[strings.LastIndexByte(n.Metadata.Stack, ';')+1:], ",")
	if len(stack) == 3 {
		o.At = stack[1]
		m.Classes[o.At] = stack[2][strings.LastIndexByte(stack[2], '.')+1:]
	}
	for _, in := range n.Inputs {
		arg, err := m.argument(in.Arg)
		if err != nil {
			return err
		}
		if in.Name == "alpha" || in.Name == "beta" { // that have a name alone
			o.Named[in.Name] = arg
		} else {
			o.In = append(o.In, arg)
		}
	}
	for _, out := range n.Outputs {
		for _, name := range tensors(out) {
			at, err := m.value(name)
			if err != nil {
				return err
			}
			o.Out = append(o.Out, at)
		}
	}
	m.Ops = append(m.Ops, o)
	return nil
}

// argument is an argument as a graph.json has it: {"as_ints": [1, 1]} is [1, 1], tensors
// are "%" and their numbers, and what else there is is its kind.
func (m *maker) argument(arg map[string]any) (any, error) {
	for kind, x := range arg {
		switch kind {
		case "as_none":
			return nil, nil
		case "as_int", "as_float", "as_bool", "as_string", "as_ints", "as_floats", "as_bools":
			return x, nil
		}
	}
	all := []any{}
	for _, name := range tensors(arg) {
		n, err := m.value(name)
		if err != nil {
			return nil, err
		}
		all = append(all, fmt.Sprintf("%%%d", n))
	}
	if _, one := arg["as_tensor"]; one && len(all) == 1 {
		return all[0], nil
	}
	if len(all) == 0 {
		return strings.Join(slices.Sorted(maps.Keys(arg)), " "), nil
	}
	return all, nil
}

// tensors lists the names of the tensors in an argument, however nested: objects that
// have a name and nothing else. The graphs in it are given theirs beside them.
func tensors(x any) []string {
	var names []string
	switch x := x.(type) {
	case []any:
		for _, y := range x {
			names = append(names, tensors(y)...)
		}
	case map[string]any:
		if name, ok := x["name"].(string); ok && len(x) == 1 {
			return []string{name}
		}
		for _, kind := range slices.Sorted(maps.Keys(x)) {
			if kind != "as_graph" {
				names = append(names, tensors(x[kind])...)
			}
		}
	}
	return names
}
