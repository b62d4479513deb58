// Package plan is what would be done with a checkpoint, as data: which blocks it holds,
// what each becomes, and what becomes of every key. Whoever finds blocks, by names or in
// a graph, hands over a Found, and New settles the rest. Nothing here reads an element,
// so a plan costs the same whatever the checkpoint weighs.
package plan

import (
	"fmt"
	"strconv"
	"strings"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Plan is what would be done with a checkpoint.
type Plan struct {
	Selection
	Blocks []Block
	// Fates is what becomes of each tensor, in the checkpoint's order.
	Fates []Fate
	Notes []Note
	// Deployed lists the modules that are fused already.
	Deployed []string
}

// Selection is which tensors blocks are looked for among, and what is taken off their keys.
type Selection struct {
	// Prefix is taken off each key that is looked at.
	Prefix string `json:"prefix,omitempty"`
	// Only and Without are globs of keys as they are in the file: what fits one of Only is looked
	// at, all where there is none, except what fits one of Without, which is dropped.
	Only    []string `json:"only,omitempty"`
	Without []string `json:"without,omitempty"`
	// KeepRest keeps, as it is, what Only leaves out; else it is dropped.
	KeepRest bool `json:"keep_rest,omitempty"`
}

// Block is a block and the convolutions that it becomes. Its keys and paths are those of
// the checkpoint without the plan's prefix.
type Block struct {
	Path, Family, Title string
	Outputs             []Output
	// Used is the keys that the block's expressions read, Stale those among them that
	// stay in the result all the same, as the block's own project leaves them.
	Used, Stale []string
	// Answers is what no key says and how it was decided.
	Answers []Answer
}

// Output is a convolution that a block becomes: the keys it is written under and
// what it computes.
type Output struct {
	Weight, Bias string // Bias is "" where nothing adds a constant
	Expr         op.Expr
	Form         op.Form
}

// Answer is how a question that no key answers was decided.
type Answer struct {
	Name, Value string
	// By is who decided: "said" by the user, a "fact" of the model, "shapes", "default".
	By string
}

// What becomes of a tensor.
const (
	Fused   = "fused"   // an expression reads it, and it is gone
	Kept    = "kept"    // it is in the result as it was, perhaps under another key
	Dropped = "dropped" // the deploy model does not have it
)

// Source is a tensor of the checkpoint.
type Source struct {
	tensor.Named
	// Name is its key without what only wraps the model; blocks are found among names.
	Name string
	// Apart is Kept or Dropped, and Why the reason, where blocks are not to read it; else "".
	Apart, Why string
}

// Fate is what becomes of one tensor.
type Fate struct {
	tensor.Named
	// Name is the key by which blocks read it; Apart says that they were not to.
	Name  string
	Apart bool
	Fate  string
	// Block is the index of the block that uses it, or -1.
	Block int
	// NewKey is the key in the result of a tensor that is kept.
	NewKey string
	// Why is the reason for keeping or dropping.
	Why string
}

// Note is something that was assumed, or is worth knowing.
type Note struct {
	// A module, a key or a path.
	Where string `json:"where,omitempty"`
	Text  string `json:"text"`
	// What to type to have it otherwise.
	Hint string `json:"hint,omitempty"`
	// What a verdict depends on by it; nil where it is no assumption.
	Condition *Condition `json:"-"`
}

// String is the note as one line, without its hint.
func (n Note) String() string {
	if n.Where == "" {
		return n.Text
	}
	return n.Where + ": " + n.Text
}

// Shown is a module's path for people: the root is a dot.
func Shown(path string) string {
	if path == "" {
		return "."
	}
	return path
}

// AdapterKey is how a plan names a key of adapter number n, which lies in a checkpoint of its own.
func AdapterKey(n int, key string) string { return "adapter" + strconv.Itoa(n) + ":" + key }

// IsAdapterKey reports whether a key is one that AdapterKey made.
func IsAdapterKey(key string) bool {
	rest, ok := strings.CutPrefix(key, "adapter")
	number := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	return ok && number > 0 && strings.HasPrefix(rest[number:], ":")
}

// List is the first of some names, and how many there are more.
func List(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// More is how a list ends of which n are not named.
func More(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}
