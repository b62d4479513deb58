package recognise

import (
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
)

// plainFolder takes a checkpoint that holds nothing but the branches of one block,
// whatever they are called: a flat folder, each kernel size at most once, every other
// tensor a bias or a batch norm that goes with a kernel by its name.
func (r *recogniser) plainFolder() error {
	for _, key := range r.keys.Below("") {
		for f, module := range r.offer.giveaways(key) {
			if f.IsDeploy(r.keys, module) {
				return nil // fused already
			}
		}
	}
	p, err := r.gatherPlain(r.keys.root)
	if err != nil || !p.flat() || !r.severalBranches(p) {
		return nil // not a plain folder: other words are found for it
	}
	if twice := p.sameExtents(); twice != "" {
		return &hint.Error{
			Err:  fmt.Errorf("%s: two kernels of one size are a sequence as likely as a sum", twice),
			Hint: "--family plain says that they are branches of one block"}
	}
	r.note(plan.Note{Where: plainName, Text: "the kernels are taken as branches side by side, as nothing else is in the folder",
		Hint:      "a plan file names other blocks",
		Condition: &plan.Condition{If: "the kernels are branches side by side", By: plan.Assumed, Flag: "--family", Value: plainName, Modules: []string{""}}})
	return r.takePlain(r.keys.root, p)
}

// severalBranches reports whether there is anything to add up: two kernels, or one
// and an identity, which a batch norm stands for only where its name says so.
func (r *recogniser) severalBranches(p plain) bool {
	if len(p.branches) > 1 {
		return true
	}
	if len(p.norms) == 1 {
		return strings.Contains(p.norms[0], "id") || strings.Contains(p.norms[0], "skip")
	}
	identity, _ := answer(r.sets, "", "identity")
	return identity == "yes"
}

// flat reports whether every tensor belongs to a module at the top.
func (p *plain) flat() bool {
	return !slices.ContainsFunc(p.branches, func(b plainBranch) bool {
		return strings.Contains(strings.TrimSuffix(b.weight, p.sep+"weight"), ".")
	}) && !slices.ContainsFunc(p.norms, func(m string) bool { return strings.Contains(m, ".") })
}

// requestedPlain is a plain block where --family asks for one.
func (r *recogniser) requestedPlain(n *node, chosen *choice) error {
	p, err := r.gatherPlain(n)
	if err != nil {
		if chosen.glob.Match("") && n.path != "" {
			return nil // asked for everywhere: only modules that are plain blocks
		}
		return &hint.Error{Err: fmt.Errorf("%s (plain): %w", plan.Shown(n.path), err), Hint: "name the branches in a plan file: repfuse plan --help"}
	}
	chosen.used = true
	return r.takePlain(n, p)
}

// plain is the tensors of a plain block, sorted out by name.
type plain struct {
	branches []plainBranch
	norms    []string // modules of batch norms that no kernel goes with
	sep      string   // between a module's name and "weight": "." or "_"
}

type plainBranch struct {
	weight, bias, norm string
	extents            []int
}

// gatherPlain pairs kernels with biases and batch norms by name: conv3x3 with
// bn3x3, conv3x3_bn, conv3x3.bn or, of conv3x3.conv, conv3x3.bn.
func (r *recogniser) gatherPlain(n *node) (plain, error) {
	p := plain{sep: "."}
	below := r.keys.Below(n.path)
	taken := map[string]bool{}
	norms := map[string]bool{}
	for _, key := range below {
		if m, ok := strings.CutSuffix(key, "running_mean"); ok && m != "" {
			norms[m[:len(m)-1]] = true
			p.sep = m[len(m)-1:]
		}
	}
	for _, key := range below {
		t, _ := r.keys.Lookup(n.path, key)
		stem, ok := strings.CutSuffix(key, "weight")
		if !ok || stem == "" || len(t.Shape) != 4 {
			continue
		}
		p.sep = stem[len(stem)-1:]
		stem = stem[:len(stem)-1]
		b := plainBranch{weight: key, extents: t.Shape[2:], norm: normOf(stem, norms)}
		taken[key] = true
		if bias := stem + p.sep + "bias"; slices.Contains(below, bias) {
			b.bias = bias
			taken[bias] = true
		}
		delete(norms, b.norm)
		p.branches = append(p.branches, b)
	}
	for m := range norms {
		p.norms = append(p.norms, m)
	}
	return p, p.accountsFor(below, taken)
}

// normOf finds the batch norm that goes with a kernel by its name.
func normOf(stem string, norms map[string]bool) string {
	for _, name := range []string{stem + "_bn", stem + ".bn", stem + ".1"} {
		if norms[name] {
			return name
		}
	}
	for _, pair := range [][2]string{{"conv", "bn"}, {"conv", "norm"}, {".0", ".1"}} {
		if at := strings.LastIndex(stem, pair[0]); at >= 0 {
			if name := stem[:at] + pair[1] + stem[at+len(pair[0]):]; norms[name] {
				return name
			}
		}
	}
	return ""
}

// accountsFor refuses a block with tensors that are no part of a branch, and one
// whose stray batch norms are more than one identity's.
func (p *plain) accountsFor(below []string, taken map[string]bool) error {
	norms := slices.Clone(p.norms)
	for _, b := range p.branches {
		norms = append(norms, b.norm)
	}
	for _, key := range below {
		in := func(m string) bool { return m != "" && strings.HasPrefix(key, m+p.sep) }
		if !taken[key] && !slices.ContainsFunc(norms, in) {
			return fmt.Errorf("%s is no kernel, and no bias or batch norm of one", key)
		}
	}
	if len(p.branches) == 0 {
		return fmt.Errorf("has no kernel")
	}
	if len(p.norms) > 1 {
		slices.Sort(p.norms)
		return fmt.Errorf("%s go with no kernel by their names", strings.Join(p.norms, " and "))
	}
	return nil
}

func (p *plain) sameExtents() string {
	for k, b := range p.branches {
		for _, c := range p.branches[:k] {
			if slices.Equal(b.extents, c.extents) {
				return c.weight + " and " + b.weight
			}
		}
	}
	return ""
}

// expression writes the block in the notation, so that it is matched as any other.
func (p *plain) expression() string {
	var branches []string
	bn := func(m string) string { return "bn(" + family.Quote(family.Stem(m+p.sep)) + ")" }
	for _, b := range p.branches {
		s := "kernel(" + family.QuoteKey(b.weight)
		if b.bias != "" {
			s += ", " + family.QuoteKey(b.bias)
		}
		s += ")"
		if b.norm != "" {
			s += " > " + bn(b.norm)
		}
		branches = append(branches, s)
	}
	if len(p.norms) == 1 {
		branches = append(branches, bn(p.norms[0]))
	} else {
		branches = append(branches, "ask(identity: x)")
	}
	return strings.Join(branches, "\n+ ")
}

// names lists the kernels that are taken for branches, so that a question about them
// says so.
func (p *plain) names() string {
	list := make([]string, len(p.branches))
	for k, b := range p.branches {
		list[k] = strings.TrimSuffix(b.weight, p.sep+"weight")
	}
	return strings.Join(list, " + ")
}

// takePlain enters a plain block, which makes fused.weight and fused.bias.
func (r *recogniser) takePlain(n *node, p plain) error {
	text := p.expression()
	expr, err := family.Parse(text)
	if err != nil {
		return fmt.Errorf("%s (plain): %w", plan.Shown(n.path), err)
	}
	f := &family.Family{Name: plainName, Title: "Branches under any names",
		Make: []family.Output{{Key: family.Stem("fused" + p.sep), Expr: expr, Text: text}},
		Ask:  []family.Question{{Name: "identity", About: "whether the block adds its input (x) to " + p.names(), Default: "ask"}}}
	c := r.match(f, n.path)
	if c.problem != nil {
		return c.problem
	}
	r.take(c)
	return nil
}
