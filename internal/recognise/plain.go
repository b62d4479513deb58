package recognise

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/pairs"
	"repfuse/internal/plan"
)

// plainFolder takes a checkpoint that holds nothing but the branches of blocks, whatever they are
// called: below each prefix every kernel size at most once, every other tensor a bias or a
// batch norm that goes with a kernel by its name.
func (r *recogniser) plainFolder() error {
	for _, key := range r.keys.Below("") {
		for f, module := range r.offer.giveaways(key) {
			if f.IsDeploy(r.keys, module) {
				return nil // fused already
			}
		}
		if t, _ := r.keys.Lookup("", key); len(t.Shape) == 2 {
			return nil // a layer of another kind
		}
	}
	var blocks []plain
	for _, n := range plainModules(r.keys.root) {
		if r.leaves(n.path) != nil {
			continue
		}
		p, err := r.gatherPlain(n)
		if err != nil || !p.flat() || !r.severalBranches(p) || n.path != "" && (p.sameExtents() != "" || !p.named() || !p.alike()) {
			return nil // not a plain folder: other words are found for it
		}
		if twice := p.sameExtents(); twice != "" && !p.alike() {
			return nil
		} else if twice != "" {
			return hint.Add(fmt.Errorf("%s: two kernels of one size are a sequence as likely as a sum", twice),
				"--family plain says that they are branches of one block")
		}
		blocks = append(blocks, p)
	}
	for _, p := range blocks {
		if err := r.takePlain(p, len(p.branches) > 1 && !p.named() && p.inARow()); err != nil {
			return err
		}
		r.note(plan.Note{Where: plainName, Text: "the kernels are taken as branches side by side, as nothing else is in the folder",
			Hint:      "a plan file names other blocks",
			Condition: &plan.Condition{If: "the kernels are branches side by side", By: plan.Assumed, Flag: "--family", Value: plainName, Modules: []string{p.module.path}}})
	}
	return nil
}

// plainModules lists the modules from n on that may be plain blocks: the outermost below which no
// module holds two kernels.
func plainModules(n *node) []*node {
	var all []*node
	for _, c := range n.children {
		if c.kernels() > 1 {
			all = append(all, plainModules(c)...)
		}
	}
	if len(all) == 0 {
		return []*node{n}
	}
	for _, c := range n.children {
		if c.kernels() < 2 {
			all = append(all, c)
		}
	}
	return all
}

// kernels counts the kernels with extents in and below a module.
func (n *node) kernels() int {
	count := 0
	if n.tensor != nil && !n.taken && len(n.tensor.Shape) > 2 {
		count++
	}
	for _, c := range n.children {
		count += c.kernels()
	}
	return count
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
	identity, _ := answer(r.sets, p.module.path, "identity")
	return identity == "yes"
}

// flat reports whether every tensor belongs to the module itself or to one right below it.
func (p *plain) flat() bool {
	nested := func(path string) bool { return strings.Contains(strings.TrimRight(path, "._-"), ".") }
	return !slices.ContainsFunc(p.branches, func(b plainBranch) bool { return nested(b.stem()) || nested(b.norm) }) && !slices.ContainsFunc(p.norms, nested)
}

// requestedPlain is a plain block where --family asks for one. Where it asks for them everywhere,
// only modules that are plain blocks are taken.
func (r *recogniser) requestedPlain(n *node, chosen *rule) error {
	everywhere := chosen.glob.Match("")
	if everywhere && !slices.Contains(plainModules(n), n) {
		return nil
	}
	p, err := r.gatherPlain(n)
	if everywhere && n.path != "" && (err != nil || !r.severalBranches(p)) {
		return nil
	}
	if err != nil {
		return hint.Add(fmt.Errorf("%s (plain): %w", plan.Shown(n.path), err), "name the branches in a plan file: repfuse plan --help")
	}
	chosen.used = true
	return r.takePlain(p, false)
}

// plain is the tensors of a plain block, sorted out by name.
type plain struct {
	module   *node
	branches []plainBranch
	norms    []string // what stands before running_mean in the keys of batch norms that no kernel goes with
	sep      string   // between a module's name and "weight": "." or "_"
}

type plainBranch struct {
	weight, bias, norm string
	shape              []int // of the weight
}

// stem is the weight's key without the word weight, where that stands at its end.
func (b plainBranch) stem() string {
	return strings.TrimRight(strings.TrimSuffix(b.weight, "weight"), "._-")
}

// gatherPlain pairs kernels with biases and batch norms by the words of their names: w3 with b3,
// conv3x3 with bn3x3, conv3x3_bn and conv3x3.bn, kernel_3x3 with bias_3x3.
func (r *recogniser) gatherPlain(n *node) (plain, error) {
	p := plain{module: n, sep: "."}
	below := r.keys.Below(n.path)
	norms, biases := map[string]string{}, map[string]string{} // by their words
	isNorm := map[string]bool{}
	for _, key := range below {
		if m, ok := strings.CutSuffix(key, "running_mean"); ok && m != "" {
			p.sep = m[len(m)-1:]
			norms[pairs.Words(m)] = m
			isNorm[m] = true
		}
	}
	taken := map[string]bool{}
	for _, key := range below {
		t, _ := r.keys.Lookup(n.path, key)
		switch {
		case begins(key, isNorm):
			taken[key] = true
		case len(t.Shape) > 2:
			taken[key] = true
			p.branches = append(p.branches, plainBranch{weight: key, shape: t.Shape})
		case len(t.Shape) == 1 && biases[pairs.Words(key)] == "":
			biases[pairs.Words(key)] = key
		}
	}
	for k := range p.branches {
		b := &p.branches[k]
		if stem, ok := strings.CutSuffix(b.weight, "weight"); ok && stem != "" && strings.ContainsAny(stem[len(stem)-1:], "._-") {
			p.sep = stem[len(stem)-1:]
		}
		w := pairs.Words(b.weight)
		if bias := biases[w]; bias != "" {
			if t, _ := r.keys.Lookup(n.path, bias); t.Shape[0] == b.shape[0] {
				b.bias, taken[bias] = bias, true
				delete(biases, w)
			}
		}
		if next, ok := strings.CutSuffix(w, " 0"); ok && norms[w] == "" { // of an nn.Sequential
			w = next + " 1"
		}
		b.norm = norms[w]
		delete(norms, w)
	}
	p.norms = slices.Collect(maps.Values(norms))
	return p, p.accountsFor(below, taken)
}

// begins reports whether a key begins with one of many words.
func begins(key string, words map[string]bool) bool {
	for k := range len(key) + 1 {
		if words[key[:k]] {
			return true
		}
	}
	return false
}

// named reports whether the name of every branch has the extent of its kernel.
func (p *plain) named() bool {
	return !slices.ContainsFunc(p.branches, func(b plainBranch) bool {
		return !slices.Contains(strings.Fields(pairs.Words(b.weight)), strconv.Itoa(b.shape[2])) && !strings.Contains(b.weight, strconv.Itoa(b.shape[2])+"x")
	})
}

// alike reports whether all kernels take and give as many channels.
func (p *plain) alike() bool {
	return !slices.ContainsFunc(p.branches, func(b plainBranch) bool { return !slices.Equal(b.shape[:2], p.branches[0].shape[:2]) })
}

// inARow reports whether one kernel could take what another gives.
func (p *plain) inARow() bool {
	return slices.ContainsFunc(p.branches, func(a plainBranch) bool {
		return slices.ContainsFunc(p.branches, func(b plainBranch) bool { return a.weight != b.weight && (a.shape[0] == b.shape[1] || b.shape[1] == 1) })
	})
}

// accountsFor refuses a block with tensors that are no part of a branch, and one
// whose stray batch norms are more than one identity's.
func (p *plain) accountsFor(below []string, taken map[string]bool) error {
	for _, key := range below {
		if !taken[key] {
			return fmt.Errorf("%s is no kernel, and no bias or batch norm of one", key)
		}
	}
	if len(p.branches) == 0 {
		return fmt.Errorf("has no kernel")
	}
	if len(p.norms) > 1 {
		slices.Sort(p.norms)
		return fmt.Errorf("%s go with no kernel by their names", strings.Join(p.norms, "* and ")+"*")
	}
	return nil
}

func (p *plain) sameExtents() string {
	for k, b := range p.branches {
		for _, c := range p.branches[:k] {
			if slices.Equal(b.shape[2:], c.shape[2:]) {
				return c.weight + " and " + b.weight
			}
		}
	}
	return ""
}

// expression writes the block in the notation, so that it is matched as any other.
func (p *plain) expression() string {
	var branches []string
	bn := func(m string) string { return "bn(" + family.Quote(family.Stem(m)) + ")" }
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
		list[k] = b.stem()
	}
	return strings.Join(list, " + ")
}

// takePlain enters a plain block, which makes fused.weight and fused.bias. Where asked is set, it is a
// question whether the kernels stand side by side.
func (r *recogniser) takePlain(p plain, asked bool) error {
	text := p.expression()
	if asked {
		text = "ask(parallel: " + text + ")"
	}
	expr, err := family.Parse(text)
	if err != nil {
		return fmt.Errorf("%s (plain): %w", plan.Shown(p.module.path), err)
	}
	f := &family.Family{Name: plainName, Title: "Branches under any names",
		Make: []family.Output{{Key: family.Stem("fused" + p.sep), Expr: expr, Text: text}},
		Ask: []family.Question{
			{Name: "identity", About: "whether the block adds its input (x) to " + p.names(), Default: "ask"},
			{Name: "parallel", About: "whether " + p.names() + " stand side by side, and are not layers one after the other", Default: "ask"}}}
	c := r.proven(r.match(f, p.module.path))
	if c.problem != nil {
		return c.problem
	}
	r.take(c)
	return nil
}
