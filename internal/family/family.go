// Package family holds the declarations: which key names make which expression,
// what becomes of the keys, what no key can say. A declaration is data in one
// notation (docs/notation.md); the built-in families, a user's own and the blocks of
// a plan file are all written in it.
//
// From the text to an expression over tensors, and the type that each step hands on:
//
//  1. Load reads a YAML file of declarations → []*Family (load.go)
//  2. Parse reads an expression of one → Node, over templates of keys: <n> in them is a
//     number to come (lexer.go, parse.go, node.go, key.go)
//  3. Family.Match tries the declaration at a module: the numbers come from the keys that
//     are there (indices.go), what no key says from the user and the facts (answers.go,
//     attributes.go), and each Node becomes an op.Expr (build.go, weights.go) → *Match
//  4. Format writes an op.Expr in the notation again, with all that was decided
//
// Parse and Format are each other's inverse: what is written is read as the same
// expression over the same tensors, whatever their keys are.
//
// The package does no arithmetic, except in the kernel generators (generate.go): formulas
// that the algebra cannot say.
package family

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Family is the declaration of one kind of block, or, where Network is set, of a
// whole network.
type Family struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Task is what its networks are for: classification, detection, segmentation, matching, restoration,
	// super-resolution or speech; none if they are for anything.
	Task   string `json:"task,omitempty"`
	Paper  string `json:"paper,omitempty"`
	Source string `json:"source,omitempty"`
	// Network marks a declaration that says how its blocks sit in a model: it need not
	// account for every key, and it allows the families in Enable below itself.
	Network bool     `json:"network,omitempty"`
	Enable  []string `json:"enable,omitempty"`
	// OnRequest marks families whose keys many modules have by chance: they are tried
	// only where --family or a network asks for them, or a fact names their class.
	OnRequest bool `json:"on_request,omitempty"`
	// Class is the module classes that the block has in its project, by which the facts
	// of a module tree ask for a family on request and choose a dialect.
	Class []string `json:"class,omitempty"`
	// Eps is what the family's batch norms add to the variance where no fact says it.
	Eps float64 `json:"eps,omitempty"`
	// Anchor lists the sets of keys that give a block away: a module that has all keys
	// of one set is such a block or a near miss.
	Anchor [][]Pattern `json:"anchor"`
	// Deployed is keys that only the deploy form has: where they are and no anchor is,
	// the block is fused already.
	Deployed []string `json:"deployed,omitempty"`
	// Make is the convolutions that come of a block: the key of the fused module,
	// relative to the block, and the expression that it stands for.
	Make []Output `json:"make,omitempty"`
	// Need is keys that must be there though no expression reads them, Alike kernels
	// over equally many input channels a group.
	Need  []string `json:"need,omitempty"`
	Alike []string `json:"alike,omitempty"`
	// Keep and Drop are globs of keys that the expressions do not use.
	Keep []string `json:"keep,omitempty"`
	Drop []Drop   `json:"drop,omitempty"`
	// Refuse is globs of keys beside which the block is not one convolution, and why.
	Refuse []Drop `json:"refuse,omitempty"`
	// Stale is globs of keys that stay in the result though they were fused, as the
	// reference leaves them.
	Stale []string `json:"stale,omitempty"`
	// Rename moves kept modules, old prefix to new.
	Rename []Rename `json:"rename,omitempty"`
	// Ask is what no key says, by name.
	Ask      []Question `json:"ask,omitempty"`
	Dialects []Dialect  `json:"dialects,omitempty"`
	Notes    []string   `json:"notes,omitempty"`
	// Dialect is the name of the dialect that this copy speaks; "" is the first.
	Dialect string `json:"dialect,omitempty"`
	// Own marks a family of the user's own file, which comes before the built-in ones.
	Own  bool `json:"own,omitempty"`
	file string
	line int
	node *yaml.Node
}

// Tasks is what networks are for, in the order in which families are listed. A family of any network
// has none, nor has one of the user's that does not say it.
var Tasks = []string{"classification", "detection", "segmentation", "matching", "restoration", "super-resolution", "speech", ""}

// ByTask groups families by their task, each group in the order given; at is the tasks that have families, in the order of Tasks.
func ByTask(list []*Family) (at []string, of map[string][]*Family) {
	of = map[string][]*Family{}
	for _, f := range list {
		of[f.Task] = append(of[f.Task], f)
	}
	return slices.DeleteFunc(slices.Clone(Tasks), func(task string) bool { return of[task] == nil }), of
}

// TaskTitle is a task as a heading.
func TaskTitle(task string) string {
	if task == "" {
		return "Any network"
	}
	return strings.ToUpper(task[:1]) + task[1:]
}

// Output is a convolution that a block becomes. Key is the fused module: a MODULE, in
// quotes or as it is, or kernel(KEY), kernel(KEY, KEY) for a weight and a bias under keys
// of their own; behind it a ? where the output is there only where its keys are.
type Output struct {
	Key  string `json:"key"`
	Expr Node   `json:"-"`
	Text string `json:"expression"` // as it was declared
}

// target is the templates of the keys that an output is written under.
type target struct {
	weight, bias string // bias is "" where only a weight was named
	optional     bool
}

func (o Output) target() (target, error) {
	text, optional := strings.CutSuffix(o.Key, "?")
	if !strings.HasPrefix(text, `"`) && !strings.HasPrefix(text, "kernel(") {
		return target{Child(text, "weight"), Child(text, "bias"), optional}, nil
	}
	p := &parser{text: text}
	p.next()
	to := target{optional: optional}
	if p.quoted {
		module := p.word()
		to.weight, to.bias = Child(module, "weight"), Child(module, "bias")
	} else {
		p.word()
		p.expect("(")
		if to.weight = p.word(); p.accept(",") {
			to.bias = p.word()
		}
		p.expect(")")
	}
	if p.err == nil && p.tok != "" {
		p.fail("want the end")
	}
	if p.err != nil {
		return target{}, fmt.Errorf("%s: %w", o.Key, p.err)
	}
	return to, nil
}

// NewOutput is the output that is written under two keys, as a module sees them; bias is
// "" where nothing adds a constant.
func NewOutput(weight, bias, expression string) Output {
	o := Output{Text: expression}
	module := Stem(strings.TrimSuffix(weight, "weight"))
	switch {
	case Child(module, "weight") == weight && (bias == "" || Child(module, "bias") == bias):
		o.Key = module
		if t, err := o.target(); module != "." && (err != nil || t.optional || t.weight != weight || strings.Contains(module, "<") || !printable(module)) {
			o.Key = strconv.Quote(module)
		}
	case bias == "":
		o.Key = "kernel(" + QuoteKey(weight) + ")"
	default:
		o.Key = "kernel(" + QuoteKey(weight) + ", " + QuoteKey(bias) + ")"
	}
	return o
}

// Drop is keys that the deploy model does not have and why.
type Drop struct {
	Glob string `json:"keys"`
	Why  string `json:"why"`
}

// Rename moves the keys below a prefix.
type Rename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Question is a choice that changes the kernel and that keys do not show.
type Question struct {
	Name  string `json:"name"`
	About string `json:"about"`
	// Default is "ask" (the user must say), "yes", "no" or a value.
	Default string `json:"default"`
	// Facts are the rules by which a fact of the module tree answers: "keyless NAME",
	// "flag NAME", "stride MODULE" (yes where it is 1). The first that applies decides.
	Facts []string `json:"facts,omitempty"`
}

// Dialect is the same expression with another ε, other keys or another fate of keys.
type Dialect struct {
	Name    string            `json:"name"`
	Title   string            `json:"title,omitempty"`
	Eps     float64           `json:"eps,omitempty"`
	Class   []string          `json:"class,omitempty"`
	Make    []Output          `json:"make,omitempty"`
	Keep    []string          `json:"keep,omitempty"`
	Drop    []Drop            `json:"drop,omitempty"`
	Stale   []string          `json:"stale,omitempty"`
	Rename  []Rename          `json:"rename,omitempty"`
	Answers map[string]string `json:"answers,omitempty"`
}

// Pattern is a key relative to the block that must be there, perhaps with given
// kernel extents, or with any but them, or of a given shape.
type Pattern struct {
	Key    string `json:"key"` // a glob
	Kernel []int  `json:"kernel,omitempty"`
	Other  bool   `json:"other,omitempty"`  // any extents but Kernel
	Absent bool   `json:"absent,omitempty"` // the key must not be there
	Shape  []int  `json:"shape,omitempty"`  // of the whole tensor, -1 where it does not matter
}

const anyExtent = -1

// String is the family's name, with its dialect where it is not the first.
func (f *Family) String() string {
	if f.Dialect == "" {
		return f.Name
	}
	return f.Name + "/" + f.Dialect
}

// YAML is the declaration as it was written, a file of its own that --families reads.
func (f *Family) YAML() []byte {
	list := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{f.node}}
	file := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "families"}, list}}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(file); err != nil {
		panic(fmt.Sprintf("family: a declaration that YAML cannot hold: %v", err))
	}
	return out.Bytes()
}

// In is the family speaking the named dialect.
func (f *Family) In(dialect string) (*Family, error) {
	if dialect == "" {
		return f, nil
	}
	for _, d := range f.Dialects {
		if d.Name == dialect {
			return f.speaking(d), nil
		}
	}
	names := make([]string, len(f.Dialects))
	for k, d := range f.Dialects {
		names[k] = f.Name + "/" + d.Name
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s/%s: %s has no dialects", f.Name, dialect, f.Name)
	}
	return nil, fmt.Errorf("%s/%s: no such dialect, want %s or one of %s", f.Name, dialect, f.Name, strings.Join(names, ", "))
}

// OfClass is the family in the dialect that modules of a class speak; ok reports
// whether the family or one of its dialects names the class.
func (f *Family) OfClass(class string) (g *Family, ok bool) {
	for _, d := range f.Dialects {
		if slices.Contains(d.Class, class) {
			return f.speaking(d), true
		}
	}
	return f, slices.Contains(f.Class, class)
}

func (f *Family) speaking(d Dialect) *Family {
	g := *f
	g.Dialect, g.Title, g.Eps = d.Name, cmp.Or(d.Title, f.Title), cmp.Or(d.Eps, f.Eps)
	override(&g.Make, d.Make)
	override(&g.Keep, d.Keep)
	override(&g.Drop, d.Drop)
	override(&g.Stale, d.Stale)
	override(&g.Rename, d.Rename)
	g.Ask = slices.Clone(f.Ask)
	for k, q := range g.Ask {
		if a, ok := d.Answers[q.Name]; ok {
			g.Ask[k].Default = a
		}
	}
	return &g
}

// override replaces a list where there is another.
func override[T any](to *[]T, by []T) {
	if by != nil {
		*to = by
	}
}

// Question finds what the family asks under a name.
func (f *Family) Question(name string) (Question, bool) {
	for _, q := range f.Ask {
		if q.Name == name {
			return q, true
		}
	}
	return Question{}, false
}
