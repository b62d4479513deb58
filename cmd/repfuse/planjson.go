package main

import (
	"repfuse/internal/family"
	"repfuse/internal/plan"
)

// jsonReport is a plan as JSON (docs/json.md).
type jsonReport struct {
	Source  string       `json:"source"`
	Format  string       `json:"format"`
	Prefix  string       `json:"prefix,omitempty"`
	Blocks  []jsonBlock  `json:"blocks"`
	Tensors []jsonFate   `json:"tensors"`
	Result  []jsonTensor `json:"result"`
	// Deployed is the modules that are fused already.
	Deployed []string   `json:"deployed,omitempty"`
	Notes    []jsonNote `json:"notes"`
}

type jsonBlock struct {
	Module  string       `json:"module"`
	Family  string       `json:"family"`
	Makes   []jsonOutput `json:"makes"`
	Used    []string     `json:"used"`
	Answers []jsonAnswer `json:"answers,omitempty"`
}

type jsonOutput struct {
	Weight     string `json:"weight"`
	Bias       string `json:"bias,omitempty"`
	Expression string `json:"expression"`
	In         int    `json:"in"`
	Out        int    `json:"out"`
	Groups     int    `json:"groups"`
	Kernel     []int  `json:"kernel"`
	Dilation   []int  `json:"dilation"`
	Padding    []int  `json:"padding"`
	Transposed bool   `json:"transposed,omitempty"`
}

type jsonAnswer struct {
	Question string `json:"question"`
	Value    string `json:"value"`
	By       string `json:"by"`
}

type jsonFate struct {
	Key    string `json:"key"`
	Fate   string `json:"fate"`
	Module string `json:"module,omitempty"`
	NewKey string `json:"new_key,omitempty"`
	Why    string `json:"why,omitempty"`
}

type jsonTensor struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"`
}

type jsonNote struct {
	Where string `json:"where,omitempty"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
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
