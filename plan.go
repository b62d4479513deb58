package repfuse

import (
	"context"
	"errors"

	"repfuse/internal/plan"
	"repfuse/internal/planfile"
)

// PlanOptions say what to plan.
type PlanOptions struct {
	Recognition
	// DType is the element types of the result's floating tensors, of what is fused and of
	// what is kept: entries TYPE or GLOB=TYPE, GLOB being of the result's keys, TYPE float16, bfloat16, float32
	// or float64; of several that fit, the last decides. What none fits is as it came.
	DType []string
	// Expect is the path of a deploy checkpoint, or of a text file with a KEY or a
	// KEY [N, N] a line, that the result is to match.
	Expect string
}

// Planned is what would be done with a checkpoint.
type Planned struct {
	// The path that was given, and the format of what is there.
	Source string `json:"source"`
	Format string `json:"format"`
	// SourceBytes is what the elements of the source's tensors come to, Bytes those of the result's.
	SourceBytes int64 `json:"source_bytes"`
	Bytes       int64 `json:"bytes"`
	// What was taken off every key.
	Prefix string `json:"prefix,omitempty"`
	// What is fused.
	Blocks []Block `json:"blocks"`
	// What becomes of each tensor of the source, in its order.
	Tensors []Fate `json:"tensors"`
	// What is written.
	Result []Spec `json:"result"`
	// Deployed is the modules that are fused already.
	Deployed []string `json:"deployed,omitempty"`
	// What was assumed, or is worth knowing.
	Notes []Note `json:"notes"`
	// What the result depends on and nothing in the source shows.
	Conditions []Condition `json:"conditions"`
	// Differences is how the result differs from what was expected, a sentence for each key.
	Differences []string `json:"differences,omitempty"`
	// unexpected is the first of them of each kind, and how many there are more.
	unexpected []error

	// from is what was planned, closed by now.
	from *source
	// inputs is the paths of the files that were read; some may be "".
	inputs []string
	plan   *plan.Plan
	file   *planfile.File
}

// Block is a block and the convolutions that it becomes.
type Block struct {
	// The block's module, "" for the root, and the family that it was recognised as.
	Module string   `json:"module"`
	Family string   `json:"family"`
	Title  string   `json:"title,omitempty"`
	Makes  []Output `json:"makes"`
	// The keys that its expressions read.
	Used []string `json:"used"`
	// What no key says, and how it was decided.
	Answers []Answer `json:"answers,omitempty"`
}

// Output is a convolution of the deploy form.
type Output struct {
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
	Stride     []int `json:"stride,omitempty"` // where it is known
	Dilation   []int `json:"dilation"`
	Padding    []int `json:"padding"`
	Transposed bool  `json:"transposed,omitempty"`
}

// Answer is something that no key says.
type Answer struct {
	Question string `json:"question"`
	Value    string `json:"value"`
	// What decided: "said" by the user, a "fact" of the model, "shapes", "default".
	By string `json:"by"`
}

// Fate is what becomes of a tensor of the source.
type Fate struct {
	Key string `json:"key"`
	// Used by a block ("fused"), in the result as it was ("kept"), or "dropped".
	Fate string `json:"fate"`
	// The block that uses it.
	Module string `json:"module,omitempty"`
	// What it is called in the result, where that is something else.
	NewKey string `json:"new_key,omitempty"`
	// Why it is kept or dropped.
	Why string `json:"why,omitempty"`
}

// Plan says what would be fused, what not, and why. It reads headers only and costs the
// same whatever the checkpoint weighs, except where a record of Fuse lies beside it, to whose
// checksums the elements are held. That no block is recognised is an error, except
// where the checkpoint is fused already.
func Plan(ctx context.Context, src string, o PlanOptions) (*Planned, error) {
	s, err := o.read(ctx, src)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	p, _, err := o.planned(s)
	return p, err
}

// planned is the plan of a source, and the tensors of the result as package stream takes them.
func (o *PlanOptions) planned(s *source) (*Planned, []plan.Item, error) {
	to, err := parseTypes(o.DType)
	if err != nil {
		return nil, nil, err
	}
	conditions, err := s.under(o.Strict)
	if err != nil {
		return nil, nil, err
	}
	p := &Planned{Source: s.Path, Format: s.Format, Prefix: s.plan.Prefix, Deployed: s.plan.Deployed,
		Tensors: make([]Fate, 0, len(s.plan.Fates)), Notes: s.notes(), Conditions: conditions,
		inputs: append(o.inputs(), s.paths()...), plan: s.plan, from: s, file: planfile.Of(s.plan)}
	p.Blocks = blocksOf(s.plan, p.file)
	for _, f := range s.plan.Fates {
		p.SourceBytes += f.Bytes()
		t := Fate{Key: f.Key, Fate: f.Fate, Why: f.Why}
		if f.Block >= 0 {
			t.Module = s.plan.Blocks[f.Block].Path
		}
		if f.Fate == plan.Kept && f.NewKey != f.Key {
			t.NewKey = f.NewKey
		}
		p.Tensors = append(p.Tensors, t)
	}
	items := s.plan.Items(to.of)
	if err := to.unused(statisticsStay); err != nil {
		return nil, nil, err
	}
	for _, it := range items {
		p.Bytes += it.Bytes()
		p.Result = append(p.Result, specOf(it.Spec))
	}
	if o.Expect != "" {
		err = p.expected(o)
	}
	return p, items, err
}

// blocksOf is the blocks of a plan that is written down as file.
func blocksOf(p *plan.Plan, file *planfile.File) []Block {
	blocks := make([]Block, len(p.Blocks))
	for k, b := range p.Blocks {
		j := Block{Module: b.Path, Family: b.Family, Title: b.Title, Used: b.Used}
		for i, o := range b.Outputs {
			f := o.Form
			j.Makes = append(j.Makes, Output{o.Weight, o.Bias, file.Blocks[k].Make[i].Text, f.In, f.Out, f.Groups, f.Kernel(), f.Stride, f.Dilation(), f.Padding(), f.Transposed})
		}
		for _, a := range b.Answers {
			j.Answers = append(j.Answers, Answer{a.Name, a.Value, a.By})
		}
		blocks[k] = j
	}
	return blocks
}

// YAML is the plan as the text of a file that Recognition.Plan takes, with all that was
// decided. It has been read back and comes to the same plan.
func (p *Planned) YAML() ([]byte, error) {
	text := p.file.YAML()
	file, err := planfile.Read("plan.yaml", text)
	if err == nil {
		err = readBack(p.from, p.plan, file)
	}
	return text, err
}

// Unexpected is nil where the result is as expected, else the first differences of each kind, and how many there are
// more, joined.
func (p *Planned) Unexpected() error { return errors.Join(p.unexpected...) }
