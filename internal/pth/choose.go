package pth

import (
	"errors"
	"fmt"
	"strings"

	"repfuse/internal/hint"
	"repfuse/internal/pth/pickle"
	"repfuse/internal/tensor"
)

// averaged is where projects keep an exponential moving average of the weights,
// which is what they evaluate and ship, in the order in which loaders ask for it.
var averaged = []string{
	"ema.module", "ema.state_dict", "ema.model", "ema.ema", "ema",
	"params_ema", "state_dict_ema", "model_ema.module", "model_ema.state_dict", "model_ema",
	"ema_net", "net_ema", "ema_model.module", "ema_model", "state_dict.avg_model",
}

// usual is where projects keep the weights. The dict ema_state_dict of mmengine is
// not averaged: it swaps the two when it saves, and state_dict is the average.
var usual = []string{
	"state_dict", "model", "model_state_dict", "net", "params", "module", "network", "weights",
	".", "state_dict.model", "ema_state_dict",
}

// maxOthers is with how many other states the chosen one is compared.
const maxOthers = 8

// choose takes a state dict, says why that one, and finds its tensors.
func (a *archive) choose(o Options) (*File, error) {
	all := states(a.value)
	if len(all) == 0 {
		return nil, a.noState()
	}
	s, why, err := pick(all, o)
	if err != nil {
		return nil, err
	}
	f := &File{Chosen: s.path}
	if d, ok := a.value.(*pickle.Dict); ok && hasPrefix(d, "pytorch-lightning_version") {
		f.Wrapper = "model."
	}
	tensors, notes, err := a.tensors(s)
	if err != nil {
		return nil, err
	}
	f.Tensors = make([]tensor.Named, 0, len(tensors))
	for _, t := range tensors {
		f.Tensors = append(f.Tensors, tensor.Named{Key: t.key, Tensor: t.tensor()})
	}
	if why != "" {
		f.Notes = append(f.Notes, why)
	}
	f.Notes = append(f.Notes, notes...)
	for _, other := range all {
		if other.path == s.path {
			continue
		}
		f.Others = append(f.Others, other.path)
		if len(f.Others) <= maxOthers {
			f.Notes = append(f.Notes, a.differ(s.path, tensors, other))
		}
	}
	if s.module != nil {
		f.Facts, err = moduleFacts(s.module)
	}
	return f, err
}

func (a *archive) noState() error {
	d, ok := a.value.(*pickle.Dict)
	if !ok {
		return fmt.Errorf("holds %s, want a state dict or a module", pickle.Describe(a.value))
	}
	var keys []string
	for _, p := range d.Pairs {
		name, ok := p.Key.(string)
		if !ok || len(keys) == 8 {
			continue
		}
		if o, ok := p.Value.(*pickle.Object); ok {
			name += " (" + pickle.Describe(o) + ")"
		}
		keys = append(keys, name)
	}
	if len(keys) == 0 {
		return errors.New("holds a dict without a state dict")
	}
	return fmt.Errorf("holds a dict without a state dict, only %s", strings.Join(keys, ", "))
}

// pick is the state that o asks for, or the one that loaders take.
func pick(all []state, o Options) (s state, why string, err error) {
	if o.State != "" {
		for _, s := range all {
			if s.path == o.State {
				return s, "", nil
			}
		}
		if len(all) == 1 && all[0].path == "." {
			return state{}, "", NoDict(o.State)
		}
		return state{}, "", fmt.Errorf("no state dict %q, want %s", o.State, paths(all))
	}
	if len(all) == 1 {
		return all[0], "", nil
	}
	for _, name := range averaged {
		if s, ok, err := named(all, name); ok || err != nil {
			return s, "took " + s.path + ", averaged weights by its name", err
		}
	}
	for _, name := range usual {
		if s, ok, err := named(all, name); ok || err != nil {
			why := "took " + s.path + " by its name"
			if _, both, _ := named(all, "ema_state_dict"); both && name == "state_dict" {
				why = "took state_dict, where mmengine saves the averaged weights; its ema_state_dict holds the others"
			}
			return s, why, err
		}
	}
	return state{}, "", ambiguous(all)
}

// ErrOneDict says that a state dict is asked for by a name and that there is one alone, without a name.
var ErrOneDict = errors.New("there is one state dict alone")

// NoDict is that error of a name.
func NoDict(name string) error {
	return hint.Add(fmt.Errorf("--state %s: %w", name, ErrOneDict), "leave --state out")
}

// named finds the state of that name, at the outermost level where there is one.
func named(all []state, name string) (found state, ok bool, err error) {
	depth := func(s state) int { return strings.Count(s.path, ".") }
	for _, s := range all {
		if s.path == name {
			return s, true, nil
		}
		if !strings.HasSuffix(s.path, "."+name) || name == "." {
			continue
		}
		switch {
		case !ok || depth(s) < depth(found):
			found, ok, err = s, true, nil
		case depth(s) == depth(found):
			err = ambiguous([]state{found, s})
		}
	}
	return found, ok, err
}

func ambiguous(all []state) error {
	return fmt.Errorf("holds several state dicts, want the choice of one: %s", paths(all))
}

func paths(all []state) string {
	const shown = 16
	var names []string
	for _, s := range all[:min(len(all), shown)] {
		names = append(names, s.path)
	}
	if len(all) > shown {
		names = append(names, fmt.Sprintf("and %d more", len(all)-shown))
	}
	return strings.Join(names, ", ")
}

// keyed is a tensor that was found under its key.
type keyed struct {
	key string
	stored
}

// tensors finds the tensors of a state.
func (a *archive) tensors(s state) (list []keyed, notes []string, err error) {
	entries, notes, err := s.entries()
	if err != nil {
		return nil, nil, err
	}
	list = make([]keyed, 0, len(entries))
	for _, e := range entries {
		t, err := a.tensor(e.value)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", e.key, err)
		}
		list = append(list, keyed{e.key, t})
	}
	return list, notes, nil
}
