package pickle

import (
	"errors"
	"fmt"
	"slices"
)

func tuple(m *machine) error {
	items, err := m.popMark()
	if err != nil {
		return err
	}
	return m.push(Tuple(slices.Clone(items)))
}

func tupleOf(n int) func(*machine) error {
	return func(m *machine) error {
		if len(m.stack)-m.floor() < n {
			return errStack
		}
		at := len(m.stack) - n
		t := Tuple(slices.Clone(m.stack[at:]))
		m.stack = m.stack[:at]
		return m.push(t)
	}
}

func list(m *machine) error {
	items, err := m.popMark()
	if err != nil {
		return err
	}
	return m.push(&List{slices.Clone(items)})
}

func dict(m *machine) error {
	items, err := m.popMark()
	if err != nil {
		return err
	}
	d := &Dict{}
	if err := setPairs(d, items); err != nil {
		return err
	}
	return m.push(d)
}

func appendOne(m *machine) error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	return m.extend([]any{v})
}

func appends(m *machine) error {
	items, err := m.popMark()
	if err != nil {
		return err
	}
	return m.extend(items)
}

// extend adds items to the sequence on top of the stack.
func (m *machine) extend(items []any) error {
	target, err := m.top()
	if err != nil {
		return err
	}
	switch t := target.(type) {
	case *List:
		t.Items = append(t.Items, items...)
	case *Object:
		t.List = append(t.List, items...)
	default:
		return fmt.Errorf("%s, want a list", Describe(target))
	}
	return nil
}

func setItem(m *machine) error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	k, err := m.pop()
	if err != nil {
		return err
	}
	return m.update([]any{k, v})
}

func setItems(m *machine) error {
	items, err := m.popMark()
	if err != nil {
		return err
	}
	return m.update(items)
}

// update adds keys and values in turn to the mapping on top of the stack.
func (m *machine) update(items []any) error {
	target, err := m.top()
	if err != nil {
		return err
	}
	switch t := target.(type) {
	case *Dict:
		return setPairs(t, items)
	case *Object:
		if t.Items == nil {
			t.Items = &Dict{}
		}
		return setPairs(t.Items, items)
	}
	return fmt.Errorf("%s, want a dict", Describe(target))
}

func setPairs(d *Dict, items []any) error {
	if len(items)%2 != 0 {
		return errors.New("a key without a value")
	}
	for i := 0; i < len(items); i += 2 {
		d.set(items[i], items[i+1])
	}
	return nil
}

func addItems(m *machine) error {
	items, err := m.popMark()
	if err != nil {
		return err
	}
	target, err := m.top()
	if err != nil {
		return err
	}
	s, ok := target.(*Set)
	if !ok {
		return fmt.Errorf("%s, want a set", Describe(target))
	}
	s.Items = append(s.Items, items...)
	return nil
}

func frozenSet(m *machine) error {
	items, err := m.popMark()
	if err != nil {
		return err
	}
	return m.push(&Set{slices.Clone(items)})
}

func global(m *machine) error {
	module, err := m.in.line()
	if err != nil {
		return err
	}
	name, err := m.in.line()
	if err != nil {
		return err
	}
	return m.push(Global{module, name})
}

func stackGlobal(m *machine) error {
	name, err := m.pop()
	if err != nil {
		return err
	}
	module, err := m.pop()
	if err != nil {
		return err
	}
	a, ok1 := module.(string)
	b, ok2 := name.(string)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s and %s, want two names", Describe(module), Describe(name))
	}
	return m.push(Global{a, b})
}

// persistent is a reference. PyTorch before 1.6 also refers so to the classes that
// it keeps the source of, as ('module', class, …): that is the class.
func persistent(m *machine) error {
	id, err := m.pop()
	if err != nil {
		return err
	}
	if t, ok := id.(Tuple); ok && len(t) > 1 && t[0] == "module" {
		if class, ok := t[1].(Global); ok {
			return m.push(class)
		}
	}
	p := &Persistent{id}
	m.refs = append(m.refs, p)
	return m.push(p)
}

// build gives an object its state. That of a container is attributes beside its
// items, such as the _metadata of a state dict, which no tensor is among.
func build(m *machine) error {
	state, err := m.pop()
	if err != nil {
		return err
	}
	target, err := m.top()
	if err != nil {
		return err
	}
	switch t := target.(type) {
	case *Object:
		t.State = state
	case *Dict, *List, *Set:
	default:
		return fmt.Errorf("%s, want an object", Describe(target))
	}
	return nil
}
