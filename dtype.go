package repfuse

import (
	"fmt"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/tensor"
)

// types is the element types that are asked for, in the order of the entries.
type types []asked

// asked is TYPE or GLOB=TYPE.
type asked struct {
	text string
	glob family.Glob
	to   tensor.Type
	used bool // of GLOB, whether it fits anything
}

// parseTypes reads an option DType.
func parseTypes(entries []string) (types, error) {
	var all types
	for _, text := range entries {
		at := strings.LastIndexByte(text, '=')
		a := asked{text: text, glob: family.CompileGlob("**"), used: at < 0}
		if at >= 0 {
			a.glob = family.CompileGlob(text[:at])
		}
		name := text[at+1:]
		short := map[string]tensor.Type{"f16": tensor.F16, "half": tensor.F16, "bf16": tensor.BF16, "f32": tensor.F32, "f64": tensor.F64}
		var err error
		if a.to = short[name]; a.to == tensor.Invalid {
			a.to, err = tensor.ParseType(name)
		}
		if err != nil || !a.to.IsFloat() {
			return nil, fmt.Errorf("--dtype %s, want float16, bfloat16, float32 or float64", text)
		}
		all = append(all, a)
	}
	return all, nil
}

// of is the type that a floating tensor of the result is to have by its key.
func (all types) of(key string) tensor.Type {
	to := tensor.Invalid
	for k := range all {
		if all[k].glob.Match(key) {
			to, all[k].used = all[k].to, true
		}
	}
	return to
}

// statisticsStay is what a hint says where fused tensors have the types.
const statisticsStay = "; statistics of batch norms keep their type"

// unused is an error where of was asked for no key that a glob fits; its hint ends in more.
func (all types) unused(more string) error {
	for _, a := range all {
		if !a.used {
			return hint.Add(fmt.Errorf("--dtype %s fits no floating tensor of the result", a.text), "GLOB is of keys as DST has them; ** stands for any part of one, dots included%s", more)
		}
	}
	return nil
}
