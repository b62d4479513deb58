package pth

import (
	"errors"
	"fmt"

	"repfuse/internal/pth/pickle"
)

// The bounds of walking a module tree, whose modules may be shared or, in a file made
// for it, hold themselves.
const (
	maxModuleDepth = 64
	maxModules     = 1 << 16
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
// state_dict(), with their paths. The children come after their parent.
func visit(root *pickle.Object, each func(path string, o *pickle.Object) error) error {
	count := 0
	var walk func(path string, o *pickle.Object, depth int) error
	walk = func(path string, o *pickle.Object, depth int) error {
		if count++; count > maxModules || depth > maxModuleDepth {
			return fmt.Errorf("%s: more than %d modules or deeper than %d", path, maxModules, maxModuleDepth)
		}
		if err := each(path, o); err != nil {
			return err
		}
		return children(path, o, func(sub string, child *pickle.Object) error { return walk(sub, child, depth+1) })
	}
	return walk("", root, 0)
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
		if len(list) > maxLooks {
			return fmt.Errorf("more than %d tensors", maxLooks)
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
