package adapter

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// addition is what an adapter adds to one layer of the base.
type addition struct {
	from   *Adapter
	name   string // of the module, as the adapter has it
	module string // the same without what PEFT puts before it
	target string // the key in the base
	// down is applied first; mid and alpha may be nil.
	down, mid, up, alpha *tensor.Named
	transposed           bool // the product is that of the transposed weight
	keys                 []string
}

// part is a key of PEFT or of kohya's scripts: a module, a role, and what PEFT puts in of the
// adapter's own name.
var part = regexp.MustCompile(`^(.+)\.(?:(lora_A|lora_B|lora_down|lora_mid|lora_up)(?:\.[^.]+)?\.weight|(lora_embedding_[AB])(?:\.[^.]+)?|(alpha))$`)

// wrapping is what PEFT puts before the names of the model that it wraps.
const wrapping = "base_model.model."

// additions sorts the tensors of an adapter by module, in their order.
func (a *Adapter) additions(tensors []tensor.Named) ([]*addition, error) {
	var all []*addition
	var strange []string
	byModule := map[string]*addition{}
	for k := range tensors {
		t := &tensors[k]
		key := strings.TrimPrefix(t.Key, a.prefix)
		for _, o := range others {
			if strings.Contains(key, o.part) {
				return nil, unknown(a.Path, o.name)
			}
		}
		m := part.FindStringSubmatch(key)
		if m == nil {
			strange = append(strange, key)
			continue
		}
		d := byModule[m[1]]
		if d == nil {
			d = &addition{from: a, name: m[1], module: strings.TrimPrefix(m[1], wrapping)}
			byModule[m[1]] = d
			all = append(all, d)
		}
		role := d.role(m[2] + m[3] + m[4])
		if *role != nil {
			return nil, fmt.Errorf("%s: %s and %s are one part of %s", a.Path, strings.TrimPrefix((*role).Key, a.prefix), key, d.module)
		}
		*role = t
		d.keys = append(d.keys, t.Key)
	}
	if len(strange) > 0 {
		return nil, a.leave(fmt.Errorf("%s: %s: no part of a LoRA, want lora_A and lora_B, or lora_down and lora_up", a.Path, plan.List(strange, shown)), strange, keysOf(all), family.QuoteGlob(a.prefix+strange[0]))
	}
	return all, nil
}

// role is where a part goes by the last of its key.
func (d *addition) role(name string) **tensor.Named {
	switch name {
	case "lora_A", "lora_down":
		return &d.down
	case "lora_embedding_A":
		d.transposed = true
		return &d.down
	case "lora_mid":
		return &d.mid
	case "alpha":
		return &d.alpha
	}
	return &d.up
}

// shown is how many keys an error names.
const shown = 3

// keysOf is the keys of all parts as the adapter has them.
func keysOf(all []*addition) (keys []string) {
	for _, d := range all {
		for _, key := range d.keys {
			keys = append(keys, strings.TrimPrefix(key, d.from.prefix))
		}
	}
	return keys
}

// leave adds to an error the flag that leaves some keys of the adapter out: by what they and none
// that stays begin with, else as otherwise has it.
func (a *Adapter) leave(err error, keys, stay []string, otherwise string) error {
	common := keys[0]
	for _, key := range keys {
		for !strings.HasPrefix(key, common) {
			common = common[:len(common)-1]
		}
	}
	glob := family.QuoteGlob(a.prefix+common) + "**"
	if slices.ContainsFunc(stay, func(key string) bool { return strings.HasPrefix(key, common) }) || common == "" {
		glob = otherwise
	}
	return hint.Add(err, "--drop '%s' leaves out what is not to be merged; %s lists keys", glob, hint.Command("inspect", "-v", a.Path))
}

// kohya is what kohya's scripts and LyCORIS put before the name of a network and of a module in it.
var kohya = regexp.MustCompile(`^(?:lora|lycoris)_`)

// index finds the layers of a base by the names that adapters have for them.
type index struct {
	exact map[string]*tensor.Named // by key
	flat  map[string][]string      // keys by the module with '_' for '.'
}

func newIndex(base []tensor.Named) *index {
	x := &index{exact: map[string]*tensor.Named{}, flat: map[string][]string{}}
	for k := range base {
		t := &base[k]
		x.exact[t.Key] = t
		if module, ok := strings.CutSuffix(t.Key, ".weight"); ok {
			flat := strings.ReplaceAll(module, ".", "_")
			x.flat[flat] = append(x.flat[flat], t.Key)
		}
	}
	return x
}

// find lists the keys that a module's name may be of: those of the module itself, else, where
// '_' stands for '.', all that come to it behind lora_ and a word such as unet or te1.
func (x *index) find(module string) []string {
	if key := module + ".weight"; x.exact[key] != nil {
		return []string{key}
	}
	if strings.Contains(module, ".") {
		return nil
	}
	found := slices.Clone(x.flat[module])
	if at := kohya.FindString(module); at != "" {
		rest := module[len(at):]
		_, below, _ := strings.Cut(rest, "_")
		found = append(append(found, x.flat[rest]...), x.flat[below]...)
	}
	return found
}
