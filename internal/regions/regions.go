// Package regions makes plan blocks of what package graph finds in a network's graph. It
// is the maker of blocks beside recognition by names: where names say the same of a
// block, its keys in the deploy form are theirs; where they say something else, it is an
// error that shows both.
package regions

import (
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Name is the family of a block that the graph alone shows, Title what it is.
const (
	Name  = "graph"
	Title = "Layers that the graph shows"
)

// Network is a graph over the tensors of a checkpoint.
type Network struct {
	*graph.Graph
	// Source is the graph's file, for notes and errors.
	Source string
	// Elsewhere is the keys that are read by what the graph does not know as linear.
	Elsewhere map[string]bool
	// Computed is the keys that operands are computed of, of which the graph knows no formula.
	Computed map[string]bool
}

// Blocks finds the regions of a network and makes a block of each, written under its
// largest kernel's own keys. A region whose tensors are used elsewhere too, unless it is
// the same layer again, stays as it is.
func Blocks(n Network, tensors []tensor.Named, o graph.Options) (*plan.Found, error) {
	found, left, err := graph.Find(n.Graph, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.Source, err)
	}
	m := &maker{Network: n, stored: map[string]bool{}, found: &plan.Found{Dropped: map[string]string{}, Renamed: map[string]string{}, Kept: map[string]string{}, Computed: n.Computed}}
	for _, t := range tensors {
		m.stored[t.Key] = true
	}
	m.count(found)
	made := map[string]bool{}
	for _, r := range found {
		b, why := m.block(r)
		switch text := fmt.Sprint(b.Used) + op.Canonical(r.Expr); {
		case why != "":
			m.leave(r, why)
		case !made[text]: // a layer that the network runs twice is one block
			made[text] = true
			m.found.Blocks = append(m.found.Blocks, b)
		}
	}
	m.note(left)
	return m.found, nil
}

type maker struct {
	Network
	stored map[string]bool
	// readers is the distinct expressions that read a key.
	readers map[string]map[string]bool
	found   *plan.Found
}

// count notes what reads each key: regions, and the nodes that are in none.
func (m *maker) count(regions []graph.Region) {
	m.readers = map[string]map[string]bool{}
	read := func(e op.Expr, who string) {
		for p := range op.Params(e) {
			if m.readers[p.Key] == nil {
				m.readers[p.Key] = map[string]bool{}
			}
			m.readers[p.Key][who] = true
		}
	}
	inside := map[int]bool{}
	for _, r := range regions {
		read(r.Expr, op.Canonical(r.Expr))
		for _, k := range r.Nodes {
			inside[k] = true
		}
	}
	for k, n := range m.Nodes {
		if !inside[k] && n.Op != nil {
			read(n.Op, fmt.Sprintf("node %d", k))
		}
	}
}

// block makes the block of a region, or says why it cannot be one.
func (m *maker) block(r graph.Region) (b plan.Block, why string) {
	var largest *op.Conv
	op.Walk(r.Expr, func(e op.Expr) {
		if c, ok := e.(op.Conv); ok && (largest == nil || tensor.Elems(c.Weight.Shape[2:]) > tensor.Elems(largest.Weight.Shape[2:])) {
			largest = &c
		}
	})
	if largest == nil {
		return b, "it has no kernel"
	}
	var used []string
	for p := range op.Params(r.Expr) {
		if m.Elsewhere[p.Key] || len(m.readers[p.Key]) > 1 {
			return b, p.Key + " is used elsewhere too"
		}
		if !m.stored[p.Key] {
			return b, p.Key + " is no tensor of the checkpoint"
		}
		used = append(used, p.Key)
		if norm, ok := strings.CutSuffix(p.Key, "running_mean"); ok && m.stored[norm+"num_batches_tracked"] {
			used = append(used, norm+"num_batches_tracked")
		}
	}
	slices.Sort(used)
	used = slices.Compact(used)
	out := plan.Output{Weight: largest.Weight.Key, Expr: r.Expr, Form: r.Form}
	switch {
	case !r.Form.Bias:
	case largest.Bias != nil:
		out.Bias = largest.Bias.Key
	default:
		out.Bias = family.Child(tensor.Parent(largest.Weight.Key), "bias")
	}
	if r.Form.Bias && m.stored[out.Bias] && !slices.Contains(used, out.Bias) {
		return b, out.Bias + " is there already"
	}
	return plan.Block{Path: tensor.Common(used...), Family: Name, Title: Title, Outputs: []plan.Output{out}, Used: used}, ""
}

// leave notes why a region stays as it is, with its keys.
func (m *maker) leave(r graph.Region, why string) {
	for p := range op.Params(r.Expr) {
		m.found.Kept[p.Key] = "one layer by the graph, and not fused: " + why
	}
	m.found.Notes = append(m.found.Notes, plan.Note{Where: m.Values[r.Sink].Name, Text: "one layer by the graph, and not fused: " + why})
}

// note says what the graph leaves, and of each norm that is left why.
func (m *maker) note(left []graph.Left) {
	for _, l := range left {
		n := m.Nodes[l.Node]
		if n.Op == nil {
			continue
		}
		for p := range op.Params(n.Op) {
			m.found.Kept[p.Key] = "left by the graph: " + l.Detail
		}
	}
	m.found.Notes = append(m.found.Notes, Notes(left)...)
}

// Notes counts what a graph leaves, by the reasons.
func Notes(left []graph.Left) []plan.Note {
	var notes []plan.Note
	count := map[graph.Reason]int{}
	for _, l := range left {
		count[l.Reason]++
	}
	for _, l := range left {
		if n := count[l.Reason]; n > 0 {
			delete(count, l.Reason)
			steps := "steps"
			if n == 1 {
				steps = "step"
			}
			notes = append(notes, plan.Note{Where: Name, Text: fmt.Sprintf("%d %s left %s: %s%s", n, steps, l.Reason, l.Detail, plan.More(n-1))})
		}
	}
	return notes
}
