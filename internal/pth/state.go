package pth

import (
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/pth/pickle"
)

// entry is one tensor of a state dict, not yet looked into.
type entry struct {
	key   string
	value any
}

// state is something in a file that a model's tensors can be taken from.
type state struct {
	path   string
	dict   *pickle.Dict   // a state dict, or
	module *pickle.Object // a module, pickled whole
	// shadow is set on a Lightning dict of NanoDet's that holds two copies: which one
	// this state is.
	shadow string
}

// The bounds of looking for states: how deep, at how many values, and under how
// long names.
const (
	maxDepth = 6
	maxLooks = 1 << 16
	maxName  = 64
)

// apart are the parts of a training state that hold tensors which are not weights.
var apart = []string{"optim", "sched", "scaler", "callback", "loops", "hyper", "rng", "grad"}

// finder looks for states.
type finder struct {
	found []state
	seen  map[any]bool
	looks int
}

// states finds every state dict and every pickled module, from the outside in.
func states(root any) []state {
	f := &finder{seen: map[any]bool{}}
	f.look(root, ".", 0)
	return f.found
}

func (f *finder) look(v any, path string, depth int) {
	if f.looks++; f.looks > maxLooks || depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case *pickle.Dict:
		if f.seen[v] {
			return
		}
		f.seen[v] = true
		if isState(v) {
			f.add(state{path: path, dict: v})
		}
		for _, p := range v.Pairs {
			name, ok := p.Key.(string)
			if ok && len(name) <= maxName && f.isNew(p.Value) && !isApart(name) {
				f.look(p.Value, join(path, name), depth+1)
			}
		}
	case *pickle.Object:
		f.lookObject(v, path, depth)
	}
}

// isNew says whether a value could hold a state and was not looked at yet.
func (f *finder) isNew(v any) bool {
	switch v.(type) {
	case *pickle.Dict, *pickle.Object:
		return !f.seen[v]
	}
	return false
}

// lookObject looks into a module, a dict of a class of its own, or an object that
// holds either.
func (f *finder) lookObject(o *pickle.Object, path string, depth int) {
	if f.seen[o] {
		return
	}
	f.seen[o] = true
	if isModule(o) {
		f.add(state{path: path, module: o})
		return
	}
	if o.Items != nil {
		f.look(o.Items, path, depth+1)
	}
	if d, ok := o.State.(*pickle.Dict); ok {
		f.look(d, path, depth+1)
	}
}

// add notes a state, or the two that NanoDet keeps in one dict: the weights under
// model., and under avg_model. their average, which its loader puts over them.
func (f *finder) add(s state) {
	if s.dict != nil && hasPrefix(s.dict, "avg_model.") && hasPrefix(s.dict, "model.") {
		avg, live := s, s
		avg.path, avg.shadow = join(s.path, "avg_model"), "avg_model."
		live.path, live.shadow = join(s.path, "model"), "model."
		f.found = append(f.found, avg, live)
		return
	}
	f.found = append(f.found, s)
}

func hasPrefix(d *pickle.Dict, prefix string) bool {
	return slices.ContainsFunc(d.Pairs, func(p pickle.Pair) bool {
		key, ok := p.Key.(string)
		return ok && strings.HasPrefix(key, prefix)
	})
}

func join(path, name string) string {
	if path == "." {
		return name
	}
	return path + "." + name
}

func isApart(name string) bool {
	lower := strings.ToLower(name)
	return slices.ContainsFunc(apart, func(part string) bool { return strings.Contains(lower, part) })
}

// isState says whether most of a dict is tensors under names.
func isState(d *pickle.Dict) bool {
	n := 0
	for _, p := range d.Pairs {
		if _, ok := p.Key.(string); ok && isTensor(p.Value) {
			n++
		}
	}
	return n > 0 && 2*n >= len(d.Pairs)
}

// entries is the tensors of the state under the keys that it has or, a module, would
// give them. Notes say what is not among them.
func (s state) entries() (list []entry, notes []string, err error) {
	if s.module != nil {
		list, err = moduleEntries(s.module)
		return list, nil, err
	}
	list = make([]entry, 0, len(s.dict.Pairs))
	for _, p := range s.dict.Pairs {
		key, ok := p.Key.(string)
		switch o, isObject := p.Value.(*pickle.Object); {
		case !ok:
			notes = append(notes, fmt.Sprintf("left out %s under %s, which is no name", pickle.Describe(p.Value), pickle.Describe(p.Key)))
		case isTensor(p.Value), isObject && o.Called && !strings.HasSuffix(key, "_extra_state"):
			list = append(list, entry{key, p.Value}) // what a function returns is found out, or refused by its name, later
		default:
			notes = append(notes, fmt.Sprintf("left out %s, which is %s and not a tensor", key, pickle.Describe(p.Value)))
		}
	}
	return s.unshadow(list), notes, nil
}

// unshadow takes one of the two copies of a NanoDet dict, under the keys model.X.
func (s state) unshadow(list []entry) []entry {
	if s.shadow == "" {
		return list
	}
	var out []entry
	place := map[string]int{}
	for _, e := range list {
		if key, ok := strings.CutPrefix(e.key, "avg_"); ok && strings.HasPrefix(key, "model.") {
			continue
		}
		place[e.key] = len(out)
		out = append(out, e)
	}
	if s.shadow == "model." {
		return out
	}
	for _, e := range list {
		key, ok := strings.CutPrefix(e.key, "avg_")
		if !ok || !strings.HasPrefix(key, "model.") {
			continue
		}
		if i, ok := place[key]; ok {
			out[i].value = e.value
		} else {
			out = append(out, entry{key, e.value})
		}
	}
	return out
}
