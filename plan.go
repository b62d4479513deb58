package repfuse

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/adapter"
	"repfuse/internal/checkpoint"
	"repfuse/internal/disk"
	"repfuse/internal/facts"
	"repfuse/internal/family"
	"repfuse/internal/graph"
	"repfuse/internal/hint"
	"repfuse/internal/onnx"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/recognise"
	"repfuse/internal/record"
	"repfuse/internal/regions"
	"repfuse/internal/tensor"
	"repfuse/internal/trace"
)

// Recognition says what a checkpoint's keys do not. Each list has entries of the form
// VALUE or GLOB=VALUE, where GLOB, such as stage2.**, picks the modules that it holds for; of
// several that fit, the last decides.
type Recognition struct {
	Reading
	// Eps is the ε that batch norms add to the variance, where no fact says it.
	Eps []string
	// Identity is yes or no: whether blocks add their input, where no key says it.
	Identity []string
	// Set answers another question, as NAME=VALUE.
	Set []string
	// Family is NAME or NAME/DIALECT of the blocks; none leaves modules as they are, with all below
	// them that no other entry names.
	Family []string
	// Families are paths of files with declarations beside the built-in ones.
	Families []string
	// FoldNorms also folds each batch norm that stands behind a layer, of any network; that
	// nothing without keys stands between the two is the caller's word.
	FoldNorms bool
	// Graph is the path of a graph.json of repfuse exporter, traced from a model of the
	// same architecture, of a .pt2 of torch.export, or of an .onnx whose initializers have the checkpoint's keys; "" takes the one that lies beside the tensors, if one does. With a
	// graph nothing is assumed.
	Graph string
	// AnyCost lifts the rule that a layer that a graph shows may not cost more products
	// than its parts. FreezeInputs takes initializers of an .onnx that are inputs too for
	// constants.
	AnyCost, FreezeInputs bool
	// Plan is the path of a file that names the blocks by hand, see Planned.YAML.
	Plan string
	// With are PATH or PATH=WEIGHT of adapters, LoRA and LoCon as PEFT and kohya's scripts write them, that are
	// merged into the layers. Their keys are behind adapter1:, adapter2: and so on, for Drop too.
	With []string
	// Prefix is taken off each key that is looked at; "module.", "_orig_mod." and what else only
	// wraps a model are without being asked.
	Prefix string
	// Only and Drop are globs of keys as they are in the file: blocks are looked for among what fits
	// one of Only, all where there is none, and what fits one of Drop is dropped.
	Only, Drop []string
	// KeepRest keeps, as it is, what Only leaves out; else it is dropped.
	KeepRest bool
	// Strict makes an error of each condition that nobody's word answers, an *OpenError.
	Strict bool
}

// given reports whether anything is said that decides what is recognised.
func (r *Recognition) given() bool {
	return len(r.Only)+len(r.Drop)+len(r.Eps)+len(r.Identity)+len(r.Set)+len(r.Family)+len(r.Families)+len(r.With) > 0 || r.Plan != "" || r.Prefix != "" || r.Graph != "" || r.FoldNorms
}

// inputs is the paths of the files that are named beside a checkpoint; "" is none.
func (r *Recognition) inputs() []string {
	paths := append([]string{r.Plan, r.Graph}, r.Families...)
	for _, text := range r.With {
		if path, _, err := adapter.Parse(text); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

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
		err = p.expected(o.Expect)
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

// Unexpected is nil where the result is as expected, else each difference as an error of
// its own, joined.
func (p *Planned) Unexpected() error {
	var all []error
	for _, text := range p.Differences {
		all = append(all, errors.New(text))
	}
	return errors.Join(all...)
}

// source is an open checkpoint and its plan.
type source struct {
	*checkpoint.Checkpoint
	plan *plan.Plan
	// adapters are merged into it, opened is the checkpoints that they lie in.
	adapters []*adapter.Adapter
	opened   []*checkpoint.Checkpoint
	// already is the modules that the record beside it says are fused; wasFused says that it
	// is a result by that record.
	already  []string
	wasFused bool
	// conditions is those that no note of the plan has.
	conditions []Condition
	// layers is what the plan writes into the network of an .onnx, by its own nodes.
	layers []onnx.Layer
	// rounded says that constants in the layers are as the file computed them.
	rounded bool
}

// read opens a checkpoint and plans it.
func (r *Recognition) read(ctx context.Context, path string) (*source, error) {
	s, err := r.open(ctx, path)
	if err != nil {
		return nil, err
	}
	if s.plan, err = s.recognised(r); err != nil {
		s.Close()
		return nil, ofShard(path, err)
	}
	return s, nil
}

// open opens a checkpoint with what the record beside it says of it, as far as its
// checksums hold.
func (r *Recognition) open(ctx context.Context, path string) (*source, error) {
	if err := r.checkValues(); err != nil {
		return nil, err
	}
	c, err := r.Reading.open(ctx, path)
	if err != nil {
		return nil, err
	}
	s := &source{Checkpoint: c}
	rec, err := record.Read(path)
	if err == nil && rec != nil {
		s.already, s.wasFused, err = rec.Fused(ctx, c.Tensors)
	}
	if err == nil {
		err = s.openAdapters(ctx, r.With)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// checkValues is an error where a value is none of its option.
func (r *Recognition) checkValues() error {
	for _, text := range r.Eps {
		if v, err := strconv.ParseFloat(text[strings.LastIndexByte(text, '=')+1:], 64); err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("--eps %s, want a number such as 1e-5", text)
		}
	}
	for _, text := range r.Identity {
		if value := text[strings.LastIndexByte(text, '=')+1:]; value != "yes" && value != "no" {
			return fmt.Errorf("--identity %s, want yes or no", text)
		}
	}
	return nil
}

// recognised plans a source. That nothing is recognised is an error unless it is fused
// already, by its keys or by its record.
func (s *source) recognised(r *Recognition) (*plan.Plan, error) {
	if s.Model != nil {
		return r.model(s)
	}
	p, err := r.recognise(s)
	if err == nil && !s.wasFused && len(p.Blocks)+len(p.Deployed) == 0 {
		err = s.unrecognised(r, p)
	}
	return p, err
}

// unrecognised is the error of a plan without blocks: what was seen all the same, and what to type.
func (s *source) unrecognised(r *Recognition, p *plan.Plan) error {
	text := fmt.Sprintf("%s: no block recognised among its %d tensors", s.Path, len(s.Tensors))
	var how []string
	for _, n := range slices.Backward(p.Notes) { // --fold-bn, which leaves no half of a network, is the last
		text += "; " + n.String()
		if n.Hint != "" {
			how = append(how, n.Hint)
		}
	}
	if len(r.Family)+len(r.Set)+len(r.Identity) == 0 { // else what there is was left, or is none by an answer
		how = append(how, s.command(r, "draft")+" drafts a family file from keys and shapes")
	}
	how = append(how, "repfuse families lists what is known; --family NAME asks for one, --plan FILE names blocks by hand")
	return &hint.Error{Err: errors.New(text), Hint: strings.Join(how, "; ")}
}

// notes is what is noted of the checkpoint and of its plan.
func (s *source) notes() []Note { return append(notesOf(s.Checkpoint), s.plan.Notes...) }

// under is what a claim about the source is under; an error where strict is asked for and
// something is open.
func (s *source) under(asked bool) ([]Condition, error) {
	all := append(plan.Conditions(s.plan.Notes), s.conditions...)
	if !asked {
		return all, nil
	}
	return all, strict(all, s.Facts == nil)
}

// recognise finds the blocks of a source by its keys.
func (r *Recognition) recognise(s *source) (*plan.Plan, error) {
	o, err := r.options(s)
	if err != nil {
		return nil, err
	}
	p, err := recognise.Plan(s.Tensors, o)
	return p, hint.For(err, s.Path)
}

// options is what is known of a source and said of it.
func (r *Recognition) options(s *source) (recognise.Options, error) {
	c := s.Checkpoint
	o := recognise.Options{Facts: c.Facts, Choices: r.Family, Selection: r.selection(), Wrapper: c.Wrapper, Sets: r.answers(), Deployed: s.already, Adapters: s.adapters,
		FoldNorms: r.FoldNorms, Ordered: c.Ordered()}
	var err error
	if o.Families, err = family.WithFiles(r.Families); err != nil {
		return o, err
	}
	if r.Plan != "" {
		text, err := readFile("--plan", r.Plan)
		if err != nil {
			return o, err
		}
		if o.File, err = planfile.Read(r.Plan, text); err != nil {
			return o, err
		}
	}
	o.Shown, err = r.graph(c, o.File)
	return o, err
}

// selection is which tensors are looked at.
func (r *Recognition) selection() plan.Selection {
	return plan.Selection{Prefix: r.Prefix, Only: r.Only, Without: r.Drop, KeepRest: r.KeepRest}
}

// graph is what the network's graph shows of a checkpoint: the one that is given or that lies beside
// the tensors. Where there is none, or a plan file names the blocks, it is nil.
func (r *Recognition) graph(c *checkpoint.Checkpoint, file *planfile.File) (func([]tensor.Named) (*plan.Found, error), error) {
	path, option, text := r.Graph, "--graph", []byte(nil)
	var err error
	switch {
	case path == "" && file != nil:
		return nil, nil
	case path == "" && c.Graph != nil:
		path, text = c.Path, c.Graph
	case path == "":
		path, option = filepath.Join(c.Path, facts.Graph), besideTensors
		if _, err := os.Lstat(path); err != nil {
			return nil, nil
		}
	case checkpoint.IsModel(path):
		return r.graphOfModel(path), nil
	default:
		if text, err = checkpoint.GraphOf(path); err != nil {
			return nil, err
		}
	}
	if text == nil {
		text, err = readFile(option, path)
	}
	return func(tensors []tensor.Named) (*plan.Found, error) {
		n, err := trace.Read(text, tensors)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		n.Source = path
		return regions.Blocks(*n, tensors, graph.Options{AnyCost: r.AnyCost})
	}, err
}

// answers is all settings in one form: Eps and Identity are short for Set.
func (r *Recognition) answers() []string {
	all := append([]string{}, r.Set...)
	short := func(name string, list []string) {
		for _, s := range list {
			at := strings.LastIndexByte(s, '=') + 1
			all = append(all, s[:at]+name+"="+s[at:])
		}
	}
	short("eps", r.Eps)
	short("identity", r.Identity)
	return all
}

// said is what the record keeps of it, with paths that are the same everywhere.
func (r *Recognition) said() record.Said {
	name := func(path string) string {
		if filepath.IsAbs(path) {
			path = filepath.Base(path)
		}
		return filepath.ToSlash(path)
	}
	s := record.Said{Eps: r.Eps, Identity: r.Identity, Set: r.Set, Family: r.Family, FoldNorms: r.FoldNorms, AnyCost: r.AnyCost, Graph: name(r.Graph), Plan: name(r.Plan)}
	for _, path := range r.Families {
		s.Families = append(s.Families, name(path))
	}
	return s
}

// besideTensors is in place of an option for a file that no one named.
const besideTensors = "beside the tensors:"

// readFile reads the file that an option names, or that lies beside the tensors.
func readFile(option, path string) ([]byte, error) {
	read := disk.Small
	if option == besideTensors {
		read = disk.SmallBeside
	}
	b, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", option, path, err)
	}
	return b, nil
}
