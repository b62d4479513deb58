package main

import (
	"repfuse/internal/family"
	"repfuse/internal/plan"
)

// jsonReport is a plan as JSON (docs/json.md).
type jsonReport struct {
	// The path that was given, and the format of what is there.
	Source string `json:"source"`
	Format string `json:"format"`
	// What was taken off every key.
	Prefix string `json:"prefix,omitempty"`
	// What is fused.
	Blocks []jsonBlock `json:"blocks"`
	// What becomes of each tensor of the source, in its order.
	Tensors []jsonFate `json:"tensors"`
	// What is written.
	Result []jsonTensor `json:"result"`
	// Deployed is the modules that are fused already.
	Deployed []string `json:"deployed,omitempty"`
	// What was assumed, or is worth knowing.
	Notes []jsonNote `json:"notes"`
}

// jsonBlock is a block and the convolutions that it becomes.
type jsonBlock struct {
	// The block's module, and the family that it was recognised as.
	Module string       `json:"module"`
	Family string       `json:"family"`
	Makes  []jsonOutput `json:"makes"`
	// The keys that its expressions read.
	Used []string `json:"used"`
	// What no key says, and how it was decided.
	Answers []jsonAnswer `json:"answers,omitempty"`
}

// jsonOutput is a convolution of the deploy form.
type jsonOutput struct {
	// The keys that it is written under.
	Weight string `json:"weight"`
	Bias   string `json:"bias,omitempty"`
	// What it computes, in the notation of docs/notation.md.
	Expression string `json:"expression"`
	// The channels that come in and go out, and their groups.
	In     int `json:"in"`
	Out    int `json:"out"`
	Groups int `json:"groups"`
	// One number an axis, none for a linear layer. Padding is what the deploy layer must
	// have to see what the block saw.
	Kernel     []int `json:"kernel"`
	Dilation   []int `json:"dilation"`
	Padding    []int `json:"padding"`
	Transposed bool  `json:"transposed,omitempty"`
}

// jsonAnswer is something that no key says.
type jsonAnswer struct {
	Question string `json:"question"`
	Value    string `json:"value"`
	// What decided: "said" by the user, a "fact" of the model, "shapes", "default".
	By string `json:"by"`
}

// jsonFate is what becomes of a tensor of the source.
type jsonFate struct {
	Key string `json:"key"`
	// Used by a block ("fused"), in the result as it was ("kept"), or "dropped".
	Fate string `json:"fate"`
	// The block that uses it.
	Module string `json:"module,omitempty"`
	// What it is called in the result, where that is something else.
	NewKey string `json:"new_key,omitempty"`
	// Why it was dropped.
	Why string `json:"why,omitempty"`
}

// jsonTensor is a tensor of the result.
type jsonTensor struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"`
}

// jsonNote is something that was assumed, or is worth knowing.
type jsonNote struct {
	Where string `json:"where,omitempty"`
	Text  string `json:"text"`
	// What to type to have it otherwise.
	Hint string `json:"hint,omitempty"`
}

func planReport(s *source, items []plan.Item) jsonReport {
	r := jsonReport{Source: s.Path, Format: s.Format, Prefix: s.plan.Prefix, Deployed: s.plan.Deployed,
		Blocks: []jsonBlock{}, Tensors: []jsonFate{}, Notes: []jsonNote{}}
	for _, b := range s.plan.Blocks {
		r.Blocks = append(r.Blocks, blockReport(b))
	}
	for _, f := range s.plan.Fates {
		j := jsonFate{Key: f.Key, Fate: f.Fate, Why: f.Why}
		if f.Block >= 0 {
			j.Module = s.plan.Blocks[f.Block].Path
		}
		if f.Fate == plan.Kept && f.NewKey != f.Key {
			j.NewKey = f.NewKey
		}
		r.Tensors = append(r.Tensors, j)
	}
	for _, it := range items {
		r.Result = append(r.Result, jsonTensor{it.Key, it.Type.String(), it.Shape})
	}
	for _, n := range s.Notes {
		r.Notes = append(r.Notes, jsonNote{Where: s.Path, Text: n})
	}
	for _, n := range s.plan.Notes {
		r.Notes = append(r.Notes, jsonNote(n))
	}
	return r
}

func blockReport(b plan.Block) jsonBlock {
	j := jsonBlock{Module: b.Path, Family: b.Family, Used: b.Used}
	for _, o := range b.Outputs {
		f := o.Form
		j.Makes = append(j.Makes, jsonOutput{o.Weight, o.Bias, family.Format(o.Expr, b.Path),
			f.In, f.Out, f.Groups, f.Kernel(), f.Dilation(), f.Padding(), f.Transposed})
	}
	for _, a := range b.Answers {
		j.Answers = append(j.Answers, jsonAnswer{a.Name, a.Value, a.By})
	}
	return j
}
