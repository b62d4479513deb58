package pickle

import (
	"errors"
	"fmt"
	"slices"
)

func tuple(m *machine) { m.push(Tuple(slices.Clone(m.popMark()))) }

func tupleOf(n int) func(*machine) {
	return func(m *machine) {
		t := make(Tuple, n)
		for k := range t {
			t[n-1-k] = m.pop()
		}
		m.push(t)
	}
}

func list(m *machine) { m.push(&List{slices.Clone(m.popMark())}) }

func dict(m *machine) {
	d := &Dict{}
	m.setPairs(d, m.popMark())
	m.push(d)
}

func appendOne(m *machine) { m.extend([]any{m.pop()}) }

func appends(m *machine) { m.extend(m.popMark()) }

// extend adds items to the sequence on top of the stack.
func (m *machine) extend(items []any) {
	switch t := m.top().(type) {
	case *List:
		t.Items = append(t.Items, items...)
	case *Object:
		t.List = append(t.List, items...)
	default:
		m.fail(fmt.Errorf("%s, want a list", Describe(t)))
	}
}

func setItem(m *machine) {
	v := m.pop()
	m.update([]any{m.pop(), v})
}

func setItems(m *machine) { m.update(m.popMark()) }

// update adds keys and values in turn to the mapping on top of the stack.
func (m *machine) update(items []any) {
	switch t := m.top().(type) {
	case *Dict:
		m.setPairs(t, items)
	case *Object:
		if t.Items == nil {
			t.Items = &Dict{}
		}
		m.setPairs(t.Items, items)
	default:
		m.fail(fmt.Errorf("%s, want a dict", Describe(t)))
	}
}

func (m *machine) setPairs(d *Dict, items []any) {
	if len(items)%2 != 0 {
		m.fail(errors.New("a key without a value"))
		return
	}
	for i := 0; i < len(items); i += 2 {
		d.set(items[i], items[i+1])
	}
}

func addItems(m *machine) {
	items := m.popMark()
	if s, ok := m.top().(*Set); ok {
		s.Items = append(s.Items, items...)
	} else {
		m.fail(fmt.Errorf("%s, want a set", Describe(m.top())))
	}
}

func frozenSet(m *machine) { m.push(&Set{slices.Clone(m.popMark())}) }

func global(m *machine) { m.push(Global{m.line(), m.line()}) }

func stackGlobal(m *machine) {
	name, module := m.pop(), m.pop()
	a, ok1 := module.(string)
	b, ok2 := name.(string)
	if !ok1 || !ok2 {
		m.fail(fmt.Errorf("%s and %s, want two names", Describe(module), Describe(name)))
	}
	m.push(Global{a, b})
}

// persistent is a reference. PyTorch before 1.6 also refers so to the classes that
// it keeps the source of, as ('module', class, …): that is the class.
func persistent(m *machine) {
	id := m.pop()
	if t, ok := id.(Tuple); ok && len(t) > 1 && t[0] == "module" {
		if class, ok := t[1].(Global); ok {
			m.push(class)
			return
		}
	}
	p := &Persistent{id}
	m.refs = append(m.refs, p)
	m.push(p)
}

// build gives an object its state. That of a container is attributes beside its
// items, such as the _metadata of a state dict, which no tensor is among.
func build(m *machine) {
	state := m.pop()
	switch t := m.top().(type) {
	case *Object:
		t.State = state
	case *Dict, *List, *Set:
	default:
		m.fail(fmt.Errorf("%s, want an object", Describe(t)))
	}
}
