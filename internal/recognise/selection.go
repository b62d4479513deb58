package recognise

import (
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// wrappers are modules that only wrap another: DistributedDataParallel and SWA's
// AveragedModel, torch.compile.
var wrappers = []string{"module.", compiled}

// compiled is what torch.compile puts into the keys of the module that it compiles, which need
// not be the outermost.
const compiled = "_orig_mod."

// averaged is how many models SWA's AveragedModel has averaged, beside its module.
const averaged = "n_averaged"

// Why a tensor is none that blocks are looked for among.
const (
	unasked  = "left out, as no --only asks for it"
	beside   = "beside what --only asks for"
	observed = "state of a quantization observer"
	counted  = "how many models were averaged"
)

// selection is the tensors of a checkpoint, and those among them that blocks are looked
// for, under the keys that blocks have.
type selection struct {
	plan.Selection
	sources []plan.Source
	chosen  []tensor.Named
	added   [][]tensor.Named // of each adapter
	notes   []plan.Note
}

// choose decides which tensors are looked at, and takes off their keys what only wraps
// the model: what is asked for, or where nothing is, what all of them begin with, o.Wrapper
// being another such beginning.
func choose(tensors []tensor.Named, o Options) (*selection, error) {
	asked := o.asked()
	s := &selection{Selection: asked, sources: plan.Sources(tensors, "")}
	s.leaveTraining()
	adapters := make([][]plan.Source, len(o.Adapters))
	for k, a := range o.Adapters {
		adapters[k] = plan.Sources(a.Tensors, "")
	}
	if err := s.leaveUnasked(adapters); err != nil {
		return nil, err
	}
	if s.Prefix == "" {
		s.Prefix = s.commonPrefix(o.Wrapper)
	}
	if s.Prefix != asked.Prefix {
		s.note("every key begins with %s, which is taken off", s.Prefix)
	}
	if err := s.rename(); err != nil {
		return nil, err
	}
	s.add(adapters)
	return s, nil
}

// Asked is the tensors that a selection asks for, in their order; an error where that is none of them.
func Asked(tensors []tensor.Named, by plan.Selection) ([]tensor.Named, error) {
	s := &selection{Selection: by, sources: plan.Sources(tensors, "")}
	if err := s.leaveUnasked(nil); err != nil {
		return nil, err
	}
	asked := looked(s.sources)
	if len(asked) == 0 && len(tensors) > 0 {
		flags := ""
		for k, glob := range slices.Concat(by.Only, by.Without) {
			flag := " --drop "
			if k < len(by.Only) {
				flag = " --only "
			}
			flags += flag + glob
		}
		return nil, hint.Add(fmt.Errorf("no tensor is asked for, by%s", flags), "repfuse inspect -v SRC lists the keys; what --drop fits is left out whatever --only asks for")
	}
	return asked, nil
}

// add puts the tensors of adapters behind those of the base.
func (s *selection) add(adapters [][]plan.Source) {
	for _, list := range adapters {
		s.sources = append(s.sources, list...)
		s.added = append(s.added, looked(list))
	}
}

// looked is the tensors that are looked at.
func looked(list []plan.Source) []tensor.Named {
	all := []tensor.Named{}
	for _, t := range list {
		if t.Apart == "" {
			all = append(all, t.Named)
		}
	}
	return all
}

func (s *selection) note(format string, args ...any) {
	s.notes = append(s.notes, plan.Note{Text: fmt.Sprintf(format, args...)})
}

// leaveTraining drops what training alone has a use for: the state of observers and fake
// quantizers, of which the weights are floating still, and SWA's count.
func (s *selection) leaveTraining() {
	n, averages := 0, !slices.ContainsFunc(s.sources, func(t plan.Source) bool { return t.Key != averaged && !strings.HasPrefix(t.Key, wrappers[0]) })
	for k := range s.sources {
		switch t := &s.sources[k]; {
		case isObserver(t.Key):
			t.Apart, t.Why = plan.Dropped, observed
			n++
		case t.Key == averaged && averages:
			t.Apart, t.Why = plan.Dropped, counted
		}
	}
	if n > 0 {
		s.note("%d tensors are state of quantization observers and are dropped; the weights are those before quantization", n)
	}
}

// isObserver reports whether a key is below an observer or a fake quantizer, by the names
// that torch.ao.quantization gives them: in eager mode one name, in FX mode with a number.
func isObserver(key string) bool {
	for module, rest, below := strings.Cut(key, "."); below; module, rest, below = strings.Cut(rest, ".") {
		switch strings.TrimRight(module, "_0123456789") {
		case "activation_post_process", "weight_fake_quant", "bias_fake_quant":
			return true
		}
	}
	return false
}

// leaveUnasked drops or keeps what the globs leave out. They are of the keys as they are in
// the file, with or without torch.compile's part. Of adapters all is asked for.
func (s *selection) leaveUnasked(adapters [][]plan.Source) error {
	only, without := family.CompileGlobs(s.Only), family.CompileGlobs(s.Without)
	used := map[string]bool{}
	fits := func(texts []string, globs []family.Glob, key string) (at int) {
		at = -1
		for k, g := range globs {
			if g.Match(key) || g.Match(uncompiled(key)) {
				used[texts[k]], at = true, k
			}
		}
		return at
	}
	for k, list := range append([][]plan.Source{s.sources}, adapters...) {
		for j := range list {
			t := &list[j]
			drop := fits(s.Without, without, t.Key)
			asked := k > 0 || len(only) == 0 || fits(s.Only, only, t.Key) >= 0
			switch {
			case t.Apart != "":
			case drop >= 0:
				t.Apart, t.Why = plan.Dropped, "--drop "+s.Without[drop]
			case asked:
			case s.KeepRest:
				t.Apart, t.Why = plan.Kept, beside
			default:
				t.Apart, t.Why = plan.Dropped, unasked
			}
		}
	}
	for _, list := range []struct {
		flag  string
		globs []string
	}{{"--only", s.Only}, {"--drop", s.Without}} {
		for _, g := range list.globs {
			if !used[g] {
				return hint.Add(fmt.Errorf("%s %s fits no key", list.flag, g), "repfuse inspect -v SRC lists the keys; ** stands for any part of one, dots included")
			}
		}
	}
	if s.KeepRest && len(only) == 0 {
		return fmt.Errorf("--rest keep without --only, of which the rest would be kept")
	}
	return nil
}

// commonPrefix is the wrappers that all chosen keys begin with; wrapper, where there is
// one, counts once.
func (s *selection) commonPrefix(wrapper string) string {
	all := func(prefix string) bool {
		none := true
		for _, t := range s.sources {
			if t.Apart == "" {
				none = false
				if !strings.HasPrefix(t.Key, prefix) {
					return false
				}
			}
		}
		return !none
	}
	prefix := ""
	for again := true; again; {
		again = false
		for _, w := range wrappers {
			if all(prefix + w) {
				prefix, again = prefix+w, true
			}
		}
		if wrapper != "" && all(prefix+wrapper) {
			prefix, wrapper, again = prefix+wrapper, "", true
		}
	}
	return prefix
}

// rename gives the chosen tensors their keys without the prefix and torch.compile's parts.
func (s *selection) rename() error {
	inside := 0
	s.chosen = make([]tensor.Named, 0, len(s.sources))
	for k := range s.sources {
		t := &s.sources[k]
		if t.Apart != "" {
			continue
		}
		name, ok := strings.CutPrefix(t.Key, s.Prefix)
		if !ok {
			name, ok = strings.CutPrefix(uncompiled(t.Key), s.Prefix)
		}
		if !ok {
			return s.misfit(t.Key)
		}
		if t.Name = uncompiled(name); t.Name != name {
			inside++
		}
		s.chosen = append(s.chosen, tensor.Named{Key: t.Name, Tensor: t.Tensor})
	}
	if inside > 0 {
		s.note("keys with %s, which torch.compile puts in: %d; it is taken off", compiled, inside)
	}
	return s.unique()
}

// unique is an error where two keys are one without torch.compile's parts, which alone makes them so.
func (s *selection) unique() error {
	if !slices.ContainsFunc(s.sources, func(t plan.Source) bool { return strings.Contains(t.Key, compiled) }) {
		return nil
	}
	from := map[string]string{}
	for _, t := range s.sources {
		if t.Apart != "" {
			continue
		}
		if other, twice := from[t.Name]; twice {
			return fmt.Errorf("%s and %s are both %s without %s", other, t.Key, t.Name, compiled)
		}
		from[t.Name] = t.Key
	}
	return nil
}

// misfit is the error for a key that the prefix does not fit, and what to type where it fits
// others.
func (s *selection) misfit(key string) error {
	err := fmt.Errorf("%s does not begin with the prefix %q", key, s.Prefix)
	if slices.ContainsFunc(s.sources, func(t plan.Source) bool { return strings.HasPrefix(t.Key, s.Prefix) }) {
		return hint.Add(err, "--only '%s**' leaves out what does not", s.Prefix)
	}
	return err
}

// uncompiled is a key without torch.compile's parts.
func uncompiled(key string) string {
	if !strings.Contains(key, compiled) {
		return key
	}
	return strings.ReplaceAll(strings.ReplaceAll("."+key, "."+compiled, "."), "."+compiled, ".")[1:]
}
