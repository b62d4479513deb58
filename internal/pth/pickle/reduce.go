package pickle

import (
	"errors"
	"fmt"
	"slices"
)

// reduce is a call of a function that is not made.
func reduce(m *machine) {
	args := m.args()
	m.pushNew(m.pop(), args, true)
}

// newObject is an instance of a class.
func newObject(m *machine) {
	args := m.args()
	m.pushNew(m.pop(), args, false)
}

// newObjectEx has arguments by name as well, which follow the others.
func newObjectEx(m *machine) {
	named, args := m.pop(), m.args()
	m.copy(int64(len(args)))
	m.pushNew(m.pop(), append(slices.Clip(args), named), false)
}

// copySlack is how many more items may be copied than there were bytes to make them.
// What Python writes is copied once, and each item takes a byte at least.
const copySlack = 1 << 16

// copy counts n more that are copied, and fails where they are too many.
func (m *machine) copy(n int64) {
	if m.copied += n; m.copied > m.at-m.from+copySlack {
		m.fail(errors.New("makes values of one another again and again"))
	}
}

// copied is how many items, or bytes of text, went into a container made of others.
func copied(args Tuple) int64 {
	n := 0
	for _, a := range args {
		switch a := a.(type) {
		case string:
			n += len(a)
		case Tuple:
			n += len(a)
		case *List:
			n += len(a.Items)
		case *Set:
			n += len(a.Items)
		case *Dict:
			n += len(a.Pairs)
		}
	}
	return int64(n)
}

func (m *machine) args() Tuple {
	v := m.pop()
	t, ok := v.(Tuple)
	if !ok {
		m.fail(fmt.Errorf("%s for arguments, want a tuple", Describe(v)))
	}
	return t
}

// pushNew makes the value that class and args describe: a container where the class
// is one of those below, else an Object that describes no more than it was given.
func (m *machine) pushNew(class any, args Tuple, called bool) {
	g, ok := class.(Global)
	if !ok { // something made by the pickle is called in turn
		m.push(&Object{Class: Global{"object", "__call__"}, Called: true, Args: args})
		return
	}
	v, ok := container(g, args)
	if ok {
		m.copy(copied(args))
	} else {
		v = &Object{Class: g, Called: called, Args: args}
	}
	m.push(v)
}

// container is the value of a class that is data and nothing else: the allow-list.
func container(g Global, args Tuple) (any, bool) {
	switch g {
	case Global{"collections", "OrderedDict"}, Global{"collections", "Counter"},
		Global{"builtins", "dict"}, Global{"__builtin__", "dict"}:
		return mapping(args)
	case Global{"collections", "defaultdict"}: // its argument is what makes new values
		if len(args) <= 1 {
			return &Dict{}, true
		}
		return mapping(args[1:])
	case Global{"builtins", "set"}, Global{"__builtin__", "set"},
		Global{"builtins", "frozenset"}, Global{"__builtin__", "frozenset"}:
		items, ok := sequence(args)
		return &Set{items}, ok
	case Global{"builtins", "list"}, Global{"__builtin__", "list"}:
		items, ok := sequence(args)
		return &List{items}, ok
	case Global{"builtins", "tuple"}, Global{"__builtin__", "tuple"}, Global{"torch", "Size"}:
		items, ok := sequence(args)
		return Tuple(items), ok
	case Global{"_codecs", "encode"}:
		return encode(args)
	case Global{"builtins", "bytearray"}, Global{"__builtin__", "bytearray"}, Global{"builtins", "bytes"}:
		if len(args) == 1 {
			switch args[0].(type) {
			case Bytes, Blob:
				return args[0], true
			}
		}
	case Global{"copyreg", "_reconstructor"}, Global{"copy_reg", "_reconstructor"}:
		if len(args) > 0 {
			if class, ok := args[0].(Global); ok {
				return &Object{Class: class, Args: args[1:]}, true
			}
		}
	}
	return nil, false
}

// mapping is a dict of what it is made of: nothing, another one, or pairs.
func mapping(args Tuple) (any, bool) {
	d := &Dict{}
	if len(args) == 0 {
		return d, true
	}
	if from, ok := args[0].(*Dict); ok && len(args) == 1 {
		for _, p := range from.Pairs {
			d.set(p.Key, p.Value)
		}
		return d, true
	}
	pairs, ok := sequence(args)
	for _, p := range pairs {
		kv, isPair := pair(p)
		if !isPair {
			return nil, false
		}
		d.set(kv[0], kv[1])
	}
	return d, ok
}

func pair(v any) ([]any, bool) {
	switch v := v.(type) {
	case Tuple:
		return v, len(v) == 2
	case *List:
		return v.Items, len(v.Items) == 2
	}
	return nil, false
}

// sequence is the items of the only argument, if it has any.
func sequence(args Tuple) ([]any, bool) {
	switch {
	case len(args) == 0:
		return nil, true
	case len(args) > 1:
		return nil, false
	}
	switch v := args[0].(type) {
	case Tuple:
		return slices.Clone(v), true
	case *List:
		return slices.Clone(v.Items), true
	case *Set:
		return slices.Clone(v.Items), true
	}
	return nil, false
}

// encode is how Python 3 writes a byte string where a pickle has only text:
// _codecs.encode(text, 'latin1').
func encode(args Tuple) (any, bool) {
	if len(args) != 2 || args[1] != "latin1" && args[1] != "latin-1" {
		return nil, false
	}
	switch v := args[0].(type) {
	case string:
		b := make(Bytes, 0, len(v))
		for _, r := range v {
			if r > 0xff {
				return nil, false
			}
			b = append(b, byte(r))
		}
		return b, true
	case Blob:
		v.Latin1 = v.Text
		return v, v.Text
	}
	return nil, false
}
