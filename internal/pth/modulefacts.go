package pth

import (
	"math"
	"strings"

	"repfuse/internal/facts"
	"repfuse/internal/pth/pickle"
	"repfuse/internal/tensor"
)

// moduleFacts is what the modules below root say of themselves by their attributes.
func moduleFacts(root *pickle.Object) (*facts.Model, error) {
	m := &facts.Model{Version: facts.Version, Modules: map[string]facts.Module{}}
	keyless, err := withoutTensors(root)
	if err != nil {
		return nil, err
	}
	known := map[*pickle.Object]facts.Module{} // a module can be in many places
	err = visit(root, func(path string, o *pickle.Object) error {
		m.Order = append(m.Order, path)
		if f, ok := known[o]; ok {
			m.Modules[path] = f
			return nil
		}
		f := factsOf(o)
		err := children(path, o, func(sub string, child *pickle.Object) error {
			if keyless[sub] {
				if f.Keyless == nil {
					f.Keyless = map[string]string{}
				}
				f.Keyless[strings.TrimPrefix(sub, path+".")] = child.Class.Name
			}
			return nil
		})
		known[o], m.Modules[path] = f, f
		return err
	})
	return m, err
}

// withoutTensors is the paths of the modules in which there is no saved tensor.
func withoutTensors(root *pickle.Object) (map[string]bool, error) {
	empty := map[string]bool{}
	if err := visit(root, func(path string, _ *pickle.Object) error {
		empty[path] = true
		return nil
	}); err != nil {
		return nil, err
	}
	entries, err := moduleEntries(root)
	for _, e := range entries {
		for path := e.key; path != ""; {
			path = tensor.Parent(path)
			delete(empty, path)
		}
	}
	return empty, err
}

// factsOf reads the attributes that torch.nn gives its convolutions and norms, by
// whatever class, and the booleans and numbers that the module has of its own.
func factsOf(o *pickle.Object) facts.Module {
	f := facts.Module{
		Class:    o.Class.Name,
		Kernel:   extents(o, "kernel_size"),
		Stride:   extents(o, "stride"),
		Padding:  extents(o, "padding"),
		Dilation: extents(o, "dilation"),
	}
	if v, ok := o.Attr("eps"); ok {
		if eps, ok := v.(float64); ok {
			f.Eps = &eps
		}
	}
	if v, ok := o.Attr("padding_mode"); ok {
		f.PaddingMode, _ = v.(string)
	}
	if v, ok := o.Attr("padding"); ok {
		if mode, ok := v.(string); ok {
			f.Padding = namedPadding(mode, f.Kernel, f.Dilation)
		}
	}
	if v, ok := o.Attr("groups"); ok {
		if n, ok := v.(int64); ok && n > 0 && n <= math.MaxInt32 {
			f.Groups = int(n)
		}
	}
	if v, ok := o.Attr("transposed"); ok {
		f.Transposed, _ = v.(bool)
	}
	f.Flags = flags(o)
	return f
}

// extents is an attribute that is a number or a list of them.
func extents(o *pickle.Object, name string) []int {
	v, ok := o.Attr(name)
	if !ok {
		return nil
	}
	if n, ok := v.(int64); ok {
		v = pickle.Tuple{n}
	}
	if l, ok := v.(*pickle.List); ok {
		v = pickle.Tuple(l.Items)
	}
	list, err := numbers(v)
	if err != nil || len(list) == 0 {
		return nil
	}
	return list
}

// namedPadding is what 'valid' and 'same' come to; 'same' around a kernel of even
// extent is not the same on both sides and has no number.
func namedPadding(mode string, kernel, dilation []int) []int {
	if len(kernel) != len(dilation) {
		return nil
	}
	padding := make([]int, len(kernel))
	for i, k := range kernel {
		reach := dilation[i] * (k - 1)
		switch {
		case mode == "valid":
		case mode == "same" && reach%2 == 0:
			padding[i] = reach / 2
		default:
			return nil
		}
	}
	return padding
}

// flags is the booleans and numbers of a module itself. Numbers are float64, as they
// are when the same facts come from a modules.json.
func flags(o *pickle.Object) map[string]any {
	out := map[string]any{}
	d, ok := o.State.(*pickle.Dict)
	if !ok {
		return nil
	}
	for _, p := range d.Pairs {
		name, ok := p.Key.(string)
		if !ok || strings.HasPrefix(name, "_") || name == "training" {
			continue
		}
		switch v := p.Value.(type) {
		case bool:
			out[name] = v
		case int64:
			out[name] = float64(v)
		case float64:
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				out[name] = v
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
