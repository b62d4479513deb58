package recognise_test

import (
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// sample is a plan of a checkpoint that holds a block of a family.
type sample struct {
	name    string
	tensors []tensor.Named
	blocks  []plan.Block
}

// samples is the reference cases that hold a family, else the blocks whose keys and
// shapes alone are tested.
func (p *page) samples(f *family.Family) []sample {
	var list []sample
	for _, c := range p.of(f) {
		list = append(list, sample{c.Meta.Name, c.Train, c.Blocks})
	}
	if len(list) > 0 {
		return list
	}
	for _, v := range p.variants {
		if slices.ContainsFunc(v.blocks, func(b plan.Block) bool { return isOf(b, f) }) {
			list = append(list, v)
		}
	}
	return list
}

// isOf reports whether a block is a family's, in whichever dialect.
func isOf(b plan.Block, f *family.Family) bool {
	name, _, _ := strings.Cut(b.Family, "/")
	return name == f.Name
}

// keys is a block's keys with their shapes and what comes of them: of the sample that
// has most of them, in the first dialect where there is one.
func (p *page) keys(f *family.Family) {
	var of sample
	var block plan.Block
	better := func(b plan.Block) bool {
		if first := b.Family == f.Name; block.Family != "" && first != (block.Family == f.Name) {
			return first
		}
		return len(b.Used) > len(block.Used)
	}
	for _, s := range p.samples(f) {
		for _, b := range s.blocks {
			if isOf(b, f) && better(b) {
				of, block = s, b
			}
		}
	}
	if block.Outputs == nil {
		return
	}
	p.printf("Keys before and after, of %s", block.Family)
	if len(p.of(f)) > 0 {
		p.printf(" in %s", of.name)
	}
	if block.Path != "" {
		p.printf(" below `%s`", block.Path)
	}
	p.printf(":\n\n```\n%s→\n%s```\n\n", listed(before(of, block)), listed(after(block)))
}

// before is the tensors that a block reads, less the counters of batch norms.
func before(s sample, b plan.Block) []tensor.Spec {
	var list []tensor.Spec
	for _, t := range s.tensors {
		if slices.Contains(b.Used, t.Key) && !strings.HasSuffix(t.Key, "num_batches_tracked") {
			list = append(list, tensor.Spec{Key: below(b, t.Key), Shape: t.Shape})
		}
	}
	return list
}

func after(b plan.Block) []tensor.Spec {
	var list []tensor.Spec
	for _, o := range b.Outputs {
		list = append(list, tensor.Spec{Key: below(b, o.Weight), Shape: o.Form.WeightShape()})
		if o.Bias != "" {
			list = append(list, tensor.Spec{Key: below(b, o.Bias), Shape: []int{o.Form.Out}})
		}
	}
	return list
}

func below(b plan.Block, key string) string {
	if b.Path == "" {
		return key
	}
	return strings.TrimPrefix(key, b.Path+".")
}

// listed is keys and shapes, a line each; the tensors of a module that have one
// shape share a line.
func listed(list []tensor.Spec) string {
	type line struct{ module, shape string }
	names := map[line][]string{}
	var order []line
	width := 0
	for _, s := range list {
		at := strings.LastIndexByte(s.Key, '.') + 1
		l := line{s.Key[:at], shapeOf(s.Shape)}
		if names[l] == nil {
			order = append(order, l)
		}
		names[l] = append(names[l], s.Key[at:])
	}
	keys := make([]string, len(order))
	for k, l := range order {
		keys[k] = l.module + names[l][0]
		if len(names[l]) > 1 {
			keys[k] = l.module + "{" + strings.Join(names[l], ", ") + "}"
		}
		width = max(width, len(keys[k]))
	}
	var text strings.Builder
	for k, l := range order {
		fmt.Fprintf(&text, "%-*s  %s\n", width, keys[k], l.shape)
	}
	return text.String()
}

// questions is the cases that keys alone do not decide.
func (p *page) questions() {
	p.printf("## What is asked\n\nReference cases of which the keys leave something open that changes the kernel, what repfuse says, and what is\ntyped without the exporter's facts and with them.\n\n")
	p.printf("| case | repfuse says | without facts | with facts |\n|---|---|---|---|\n")
	for _, c := range p.cases {
		if c.refused == "" && c.asked != nil {
			p.printf("| %s | %s | %s | %s |\n", c.Meta.Name, cell(firstLine(c.asked)), orNothing(c.flags()), orNothing(typed(c.request, c.told)))
		}
	}
	p.printf("\nOthers are left as they are, or something is assumed (the first of several dialects, an answer, ε), which stands as a\nnote on the plan; what the reference did is done where it is asked for.\n\n")
	p.printf("| case | without facts | with facts |\n|---|---|---|\n")
	for _, c := range p.cases {
		if c.refused == "" && c.asked == nil && c.flags() != "" {
			p.printf("| %s | %s | %s |\n", c.Meta.Name, orNothing(c.flags()), orNothing(typed(c.request, c.told)))
		}
	}
	p.printf("\n")
}

func firstLine(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func (p *page) refusals() {
	p.printf("## What is refused\n\nReference cases that are not fused:\n\n| case | repfuse says | why |\n|---|---|---|\n")
	for _, c := range p.cases {
		if c.refused != "" {
			p.printf("| %s | %s | %s |\n", c.Meta.Name, cell(firstLine(c.asked)), cell(c.why))
		}
	}
	p.printf("\nKeys beside which a block of a family is not one convolution:\n\n| family | key | why |\n|---|---|---|\n")
	for _, f := range p.families {
		for _, d := range f.Refuse {
			p.printf("| [%s](#%s) | `%s` | %s |\n", f.Name, f.Name, d.Glob, cell(d.Why))
		}
	}
	p.printf("\n")
}

func (p *page) bugs() {
	p.printf("## Mistakes of the references\n\nHere repfuse gives what equals the form that was trained, which is not what the project's own code gives.\n\n")
	p.printf("| case | source | what the reference gets wrong | keys not compared |\n|---|---|---|---|\n")
	for _, c := range p.cases {
		if c.bug != "" {
			p.printf("| %s | %s | %s | %s |\n", c.Meta.Name, cell(c.Meta.Repo), cell(c.bug), code(c.wrong))
		}
	}
}
