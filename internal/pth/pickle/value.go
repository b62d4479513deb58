// Package pickle reads Python pickles as data. Nothing in a pickle is called: what
// a pickle asks to be called becomes an Object, which says what was asked for and
// with which arguments, except for a few containers that are data themselves.
//
// The machine cannot be made to recurse, to wait or to allocate much more than
// what it reads: each opcode makes at most one value, long strings stay in the file
// as Blobs, and the stack, the memo and the number of values are bounded. Values
// may hold each other in circles, as in Python; who walks them bounds the walk.
package pickle

import "fmt"

// A value is nil, a bool, an int64, a *big.Int, a float64, a string (also the byte
// strings of Python 2), or one of the types below.
type (
	// Bytes is a short byte string.
	Bytes []byte
	// Tuple is a sequence that does not change.
	Tuple []any
	// List is a sequence.
	List struct{ Items []any }
	// Set is a set; equal items are not joined.
	Set struct{ Items []any }
	// Persistent is a reference to something outside of the pickle.
	Persistent struct{ ID any }
)

// Global is the name of a class or function. It is a name and nothing else.
type Global struct{ Module, Name string }

func (g Global) String() string { return g.Module + "." + g.Name }

// Blob is a string too long to be held: N bytes from byte Off of the input on.
// Those of a Latin1 blob are UTF-8 text that stands for a byte each rune, as Python 3
// writes byte strings in protocol 2.
type Blob struct {
	Off, N int64
	Text   bool
	Latin1 bool
}

// Object is an instance of a class or the result of a function, neither of which
// was called.
type Object struct {
	Class Global
	// Called says that Class was to be called with Args (REDUCE), which any function
	// can be; else it is a class of which Args make an instance (NEWOBJ).
	Called bool
	Args   Tuple
	State  any   // what BUILD gave it
	Items  *Dict // what SETITEMS gave it, or nil
	List   []any // what APPENDS gave it
}

// Attr is an attribute of the object: an entry of its state.
func (o *Object) Attr(name string) (any, bool) {
	if t, ok := o.State.(Tuple); ok && len(t) == 2 { // the instance's dict and its slots
		if v, ok := lookup(t[1], name); ok {
			return v, true
		}
		return lookup(t[0], name)
	}
	return lookup(o.State, name)
}

func lookup(state any, name string) (any, bool) {
	d, ok := state.(*Dict)
	if !ok {
		return nil, false
	}
	return d.Get(name)
}

// Dict is a mapping in the order of its insertion.
type Dict struct {
	Pairs []Pair
	index map[string]int // of string keys, once there are many
}

// Pair is one entry of a Dict.
type Pair struct{ Key, Value any }

// manyPairs is where searching a Dict from the start gives way to an index.
const manyPairs = 16

// Get finds the value under a string key.
func (d *Dict) Get(key string) (any, bool) {
	if i := d.find(key); i >= 0 {
		return d.Pairs[i].Value, true
	}
	return nil, false
}

func (d *Dict) find(key string) int {
	if d.index != nil {
		if i, ok := d.index[key]; ok {
			return i
		}
		return -1
	}
	for i, p := range d.Pairs {
		if p.Key == key {
			return i
		}
	}
	return -1
}

// set adds an entry, or replaces the value of one with the same string key, in its
// place, as Python does. Other keys are only added.
func (d *Dict) set(key, value any) {
	s, ok := key.(string)
	if !ok {
		d.Pairs = append(d.Pairs, Pair{key, value})
		return
	}
	if i := d.find(s); i >= 0 {
		d.Pairs[i].Value = value
		return
	}
	d.Pairs = append(d.Pairs, Pair{key, value})
	switch {
	case d.index != nil:
		d.index[s] = len(d.Pairs) - 1
	case len(d.Pairs) >= manyPairs:
		d.index = make(map[string]int, 2*manyPairs)
		for i, p := range d.Pairs {
			if k, ok := p.Key.(string); ok {
				d.index[k] = i
			}
		}
	}
}

// Describe says in a word or two what kind of value v is.
func Describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool, int64, float64:
		return fmt.Sprint(v)
	case string:
		return "a string"
	case Bytes, Blob:
		return "bytes"
	case Tuple:
		return "a tuple"
	case *List:
		return "a list"
	case *Dict:
		return "a dict"
	case *Set:
		return "a set"
	case Global:
		return v.String()
	case *Object:
		if v.Called {
			return "what " + v.Class.String() + "(…) returns"
		}
		return "a " + v.Class.String()
	case *Persistent:
		return "a persistent reference"
	}
	return "a number beyond 64 bits"
}
