package pth

import (
	"errors"
	"fmt"

	"repfuse/internal/pth/pickle"
)

// The bounds of walking a module tree, whose modules may be shared or, in a file made
// for it, hold themselves. A step is a module, an entry of one of its dicts, or 16 bytes
// of its path. YOLOv6 takes 2,000 of them.
const (
	maxModuleDepth = 64
	maxSteps       = 1 << 20
)

// isModule says whether an object has what every torch.nn.Module has.
func isModule(o *pickle.Object) bool {
	return attrs(o, "_parameters") != nil && attrs(o, "_buffers") != nil && attrs(o, "_modules") != nil
}

// attrs is an attribute that is a dict, or nil.
func attrs(o *pickle.Object, name string) *pickle.Dict {
	v, ok := o.Attr(name)
	if !ok {
		return nil
	}
	d, _ := v.(*pickle.Dict)
	return d
}

// visit calls each for a module and then for those inside it, in the order of
// state_dict(), with their paths.
func visit(root *pickle.Object, each func(path string, o *pickle.Object) error) error {
	steps := 0
	var walk func(path string, o *pickle.Object, depth int) error
	walk = func(path string, o *pickle.Object, depth int) error {
		if depth > maxModuleDepth {
			return fmt.Errorf("modules nest more than %d deep", maxModuleDepth)
		}
		if steps += cost(path, o); steps > maxSteps {
			return fmt.Errorf("modules and their entries take more than %d steps", maxSteps)
		}
		if err := each(path, o); err != nil {
			return err
		}
		return children(path, o, func(sub string, child *pickle.Object) error { return walk(sub, child, depth+1) })
	}
	return walk("", root, 0)
}

// cost is the steps that visiting a module takes: its entries, each of which makes a
// key that begins with the path.
func cost(path string, o *pickle.Object) int {
	n := 1
	for _, name := range []string{"_parameters", "_buffers", "_modules"} {
		for _, p := range attrs(o, name).Pairs {
			key, _ := p.Key.(string)
			n += 1 + (len(path)+len(key))/16
		}
	}
	if v, ok := o.Attr("_non_persistent_buffers_set"); ok {
		if s, ok := v.(*pickle.Set); ok {
			n += len(s.Items)
		}
	}
	return n
}

// children calls each for the modules directly in o. An entry that is None is none.
func children(path string, o *pickle.Object, each func(path string, child *pickle.Object) error) error {
	for _, p := range attrs(o, "_modules").Pairs {
		name, ok := p.Key.(string)
		child, isObject := p.Value.(*pickle.Object)
		switch {
		case p.Value == nil:
			continue
		case !ok || !isObject || !isModule(child):
			return fmt.Errorf("%s: module %s is %s, want a module", path, pickle.Describe(p.Key), pickle.Describe(p.Value))
		}
		sub := name
		if path != "" {
			sub = path + "." + name
		}
		if err := each(sub, child); err != nil {
			return err
		}
	}
	return nil
}

// moduleEntries is the state_dict() of a module: for each module its parameters, then
// the buffers that are meant to be saved, then its children.
func moduleEntries(root *pickle.Object) ([]entry, error) {
	var list []entry
	err := visit(root, func(path string, o *pickle.Object) error {
		if path != "" {
			path += "."
		}
		fleeting := transient(o)
		for _, d := range []*pickle.Dict{attrs(o, "_parameters"), attrs(o, "_buffers")} {
			for _, p := range d.Pairs {
				name, ok := p.Key.(string)
				if !ok {
					return errors.New(path + ": a tensor without a name")
				}
				if p.Value != nil && !(d == attrs(o, "_buffers") && fleeting[name]) {
					list = append(list, entry{path + name, p.Value})
				}
			}
		}
		return nil
	})
	return list, err
}

// transient is the names of the buffers that state_dict() leaves out.
func transient(o *pickle.Object) map[string]bool {
	names := map[string]bool{}
	if v, ok := o.Attr("_non_persistent_buffers_set"); ok {
		if s, ok := v.(*pickle.Set); ok {
			for _, item := range s.Items {
				if name, ok := item.(string); ok {
					names[name] = true
				}
			}
		}
	}
	return names
}
