package draft

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/text"
)

// Family is a proposed declaration of blocks of one kind.
type Family struct {
	Name    string
	Modules []string // the blocks' paths
	// Class is the modules' classes, and Eps the ε of all their batch norms, by the facts; 0 where they do not say one.
	Class []string
	Eps   float64
	// Answers is what is known of what would be asked, by a question's name.
	Answers map[string]Answer

	units    []*unit
	optional map[string]bool // by sig
	others   []string
	square   bool // some block gives as many channels as it takes
	joined   bool // a norm alone is in just those blocks that do, and others lack it
	keyless  string
	solid    map[string]bool // the layers whose dilation the facts hold in every block
	plain    bool            // the facts hold every layer, and so none is transposed
	asked    []Question
}

// Answer is yes or no, and what shows it.
type Answer struct{ Value, By string }

// Question is what no key says, in the words of a declaration.
type Question struct{ Name, About, facts string }

// Propose lists a family for each kind of block that a network seems to have, and says of blocks that
// contradict each other why there is none for them.
func Propose(in Input) (list []*Family, left []string) {
	d := newDrafter(in)
	for _, blocks := range kinds(d.blocks(d.root)) {
		f := &Family{Name: "draft", Answers: map[string]Answer{}, optional: map[string]bool{}}
		if len(list) > 0 {
			f.Name = fmt.Sprintf("draft-%d", len(list)+1)
		}
		if !slices.ContainsFunc(blocks, func(b block) bool { return b.evident() }) {
			continue
		}
		if other := d.unlike(blocks); other != "" {
			left = append(left, fmt.Sprintf("%s may be branches side by side, except that %s has layers of the same names whose channels do not add up", some(paths(blocks)), family.Text(other)))
			continue
		}
		if f.merge(blocks) {
			d.known(f)
			list = append(list, f)
		}
	}
	return list, left
}

// merge takes what blocks of one kind have in common; it reports whether they are of one form.
func (f *Family) merge(blocks []block) bool {
	merged, times := map[string]*unit{}, map[string]int{}
	f.joined = slices.ContainsFunc(blocks, func(b block) bool { return !b.lone() }) && !slices.ContainsFunc(blocks, func(b block) bool { return b.lone() != (b.in == b.out) })
	for _, b := range blocks {
		f.square = f.square || b.out%b.in == 0 && (b.in == b.out || b.in == 1)
		for _, glob := range b.others {
			if !slices.Contains(f.others, glob) {
				f.others = append(f.others, glob)
			}
		}
		for sig, u := range b.names() {
			times[sig]++
			m := merged[sig]
			if m == nil {
				merged[sig] = u
				f.units = append(f.units, u)
				continue
			}
			m.row, m.side = m.row && u.row, m.side && u.side
			for k := range m.parts {
				m.parts[k].behind = m.parts[k].behind || u.parts[k].behind
				if taps(u.parts[k].shape) > taps(m.parts[k].shape) {
					m.parts[k].shape = u.parts[k].shape
				}
			}
		}
	}
	slices.SortFunc(f.units, before)
	f.Modules = paths(blocks)
	slices.SortFunc(f.Modules, text.Natural)
	for sig, n := range times {
		f.optional[sig] = n < len(blocks)
	}
	return len(f.anchor()) > 0 && !slices.ContainsFunc(f.units, func(u *unit) bool { return len(u.parts) > 1 && !u.row && !u.side })
}

// unlike is a module that has the layers that all of a kind have, and is none of them: "" where there is none.
func (d *drafter) unlike(blocks []block) string {
	is := map[string]bool{}
	for _, b := range blocks {
		is[b.path] = true
	}
	var layers []string
	smallest := blocks[len(blocks)-1]
	for _, u := range smallest.units {
		if u.single() && !u.list {
			layers = append(layers, u.parts[0].layer)
		}
	}
	if len(layers) < 2 {
		return ""
	}
	name := func(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
	rare := slices.MinFunc(layers, func(a, b string) int { return len(d.kernels[name(a)]) - len(d.kernels[name(b)]) })
	for _, l := range d.kernels[name(rare)] {
		path, ok := strings.CutSuffix("."+l.path, "."+rare)
		module := strings.TrimPrefix(path, ".")
		if of := d.root.find(module); ok && !is[module] && !slices.ContainsFunc(layers, func(l string) bool { return of.find(l).kernel() == nil }) {
			return module
		}
	}
	return ""
}

func paths(blocks []block) []string {
	var all []string
	for _, b := range blocks {
		all = append(all, b.path)
	}
	return all
}

// known adds what the facts say of the modules of a kind: of a layer or a norm what they say of it in every block.
func (d *drafter) known(f *Family) {
	if d.Facts == nil {
		return
	}
	f.solid, f.plain = map[string]bool{}, true
	eps := map[float64]bool{}
	for _, u := range f.units {
		for _, p := range u.parts {
			f.solid[p.layer] = true
			for _, l := range d.each(f, p.layer) {
				m := d.Facts.Of(l.path)
				f.plain = f.plain && (len(m.Kernel) > 0 || len(l.kernel()) < 3)
				f.solid[p.layer] = f.solid[p.layer] && len(m.Kernel) > 0 && len(m.Dilation) > 0
			}
			for _, norm := range p.norms {
				for _, n := range d.each(f, norm) {
					e := d.Facts.Of(n.path).Eps
					if e == nil {
						e = new(float64)
					}
					eps[*e] = true
				}
			}
		}
	}
	if len(eps) == 1 {
		f.Eps = slices.Collect(maps.Keys(eps))[0]
	}
	skips := map[string]bool{} // whether keyless children of names that say identity are all that and no more
	for _, path := range f.Modules {
		m := d.Facts.Of(path)
		if m.Class != "" && !slices.Contains(f.Class, m.Class) {
			f.Class = append(f.Class, m.Class)
		}
		for name, class := range m.Keyless {
			if identityName.MatchString(name) {
				is, met := skips[name]
				skips[name] = class == "Identity" && (is || !met)
			}
		}
	}
	// The rule says no of every block without such a child: it is one name of one class, or a question.
	for name, is := range skips {
		if is && len(skips) == 1 && len(f.Class) == 1 {
			f.keyless = name
		}
	}
}

// each lists the layers or norms that a path with <n> names in the blocks of a kind.
func (d *drafter) each(f *Family, path string) (all []*node) {
	list, rest, numbered := strings.Cut(path, ".<n>")
	for _, module := range f.Modules {
		of := []*node{d.root.find(module).find(list)}
		if numbered {
			of = of[0].children
		}
		for _, n := range of {
			if n = n.find(strings.TrimPrefix(rest, ".")); n.isLeaf() {
				all = append(all, n)
			}
		}
	}
	return all
}

// Expression writes the sum of the branches in the notation, with what it asks. A norm alone may stand beside
// the branches or behind their sum, where neither its name nor the blocks without it show an identity.
func (f *Family) Expression() (text string, asks []Question) {
	f.asked = nil
	var terms []string
	alone, name := "", ""
	for _, u := range f.units {
		text := f.branch(u)
		if f.optional[u.sig()] {
			if !strings.HasPrefix(text, "bn(") && !strings.HasPrefix(text, "sum<") {
				text = "(" + text + ")"
			}
			text += "?"
		}
		if u.lone() {
			alone, name = text, u.name
		} else {
			terms = append(terms, text)
		}
	}
	sum := ""
	switch {
	case alone == "":
		sum = plus(append(terms, f.identity()...))
	case f.joined || identityName.MatchString(name):
		sum = plus(append(terms, alone))
	default:
		q := Question{Name: word(name) + "_beside", About: "whether " + name + " stands beside the branches, and not behind their sum"}
		beside := plus(append(slices.Clone(terms), alone))
		sum = f.ask(q, beside, "\n("+plus(append(terms, f.identity()...))+"\n) > "+alone)
	}
	inner := f.asked
	f.asked = nil
	sum = f.ask(Question{Name: "parallel", About: f.premise()}, sum, "")
	return strings.TrimSpace(sum), append(f.asked, inner...)
}

// plus is terms added up, each on its line.
func plus(terms []string) string { return "\n  " + strings.Join(terms, "\n  + ") }

// identity is the input as a term, where it can be one.
func (f *Family) identity() []string {
	if !f.square {
		return nil
	}
	rule := ""
	if f.keyless != "" {
		rule = "keyless " + f.keyless
	}
	if x := f.ask(Question{"identity", "whether the block adds its input", rule}, "x", ""); x != "" {
		return []string{x}
	}
	return nil
}

// ask is a part that is there if a question is answered yes, the other if no.
func (f *Family) ask(q Question, yes, no string) string {
	switch f.Answers[q.Name].Value {
	case "yes":
		return yes
	case "no":
		return no
	}
	if !slices.Contains(f.asked, q) {
		f.asked = append(f.asked, q)
	}
	if no != "" {
		yes += "," + lead(no) + no
	}
	return "ask(" + q.Name + ":" + lead(yes) + yes + ")"
}

// branch is the expression of a unit.
func (f *Family) branch(u *unit) string {
	var parts []string
	for k, p := range u.parts {
		text := f.part(p, k > 0 && (!u.side || u.row))
		if k == 0 && len(u.parts) > 1 && idLayerName.MatchString(p.layer) && taps(p.shape) == 1 {
			conv, rest, _ := strings.Cut(text, " > ")
			conv = f.ask(Question{Name: word(p.layer) + "_identity", About: "whether " + p.layer + " adds its input to what it gives"}, conv+" + x", conv)
			text = conv + " > " + rest
		}
		parts = append(parts, text)
	}
	row, side := strings.Join(parts, " > "), strings.Join(parts, " + ")
	switch {
	case u.list:
		return "sum<n>(" + row + ")"
	case len(parts) == 1 || !u.side:
		return row
	case !u.row:
		return side
	}
	return f.ask(Question{Name: word(u.name) + "_in_a_row", About: "whether the layers of " + u.name + " stand one after the other, and not side by side"}, row, side)
}

// part is the expression of a layer with its norms, or of a norm alone. What stands behind another layer and looks
// around is inner.
func (f *Family) part(p part, inner bool) string {
	text := ""
	if p.layer != "" {
		text = quote(p.layer)
		if !f.solid[p.layer] && dilatedName.MatchString(p.layer) && taps(p.shape) > 1 {
			name := "dilation" + letters(len(f.asked))
			f.asked = append(f.asked, Question{Name: name, About: "how far apart the taps of " + family.Text(p.layer) + " lie (1 is side by side)"})
			text += ", dilation <" + name + ">"
		}
		text = f.padded("conv("+text, inner && taps(p.shape) > 1)
	}
	for k, norm := range p.norms {
		bn := "bn(" + quote(norm) + ")"
		if poolName.MatchString(norm) && (k > 0 || text == "") {
			pool := f.padded("avgpool("+f.largest(), k > 0)
			bn = f.ask(Question{Name: word(norm) + "_pool", About: "whether an average over the extents of the largest kernel stands before " + family.Text(norm)},
				pool+" > "+bn, bn)
		}
		text += " > " + bn
	}
	return strings.TrimPrefix(text, " > ")
}

// padded closes a call, of which it is asked what stands outside the image where it is behind a layer.
func (f *Family) padded(call string, inner bool) string {
	if !inner {
		return call + ")"
	}
	return f.ask(Question{Name: "plane", About: "whether what stands behind a layer sees, outside the image, what that layer makes of zeros (its bias), and not zeros"},
		call+", mode plane)", call+")")
}

// largest is the key of the kernel with the most taps.
func (f *Family) largest() string {
	return family.QuoteKey(family.Child(f.units[0].parts[0].layer, "weight"))
}

// premise is what stands behind all of a draft, after "whether".
func (f *Family) premise() string {
	var norms []string
	for _, u := range f.units {
		for _, p := range u.parts {
			if p.layer != "" && len(p.norms) > 0 && !p.behind {
				norms = append(norms, family.Text(p.norms[0]))
			}
		}
	}
	text := "whether " + listed(f.names()) + " are added up,"
	if !f.plain {
		text += " no layer is a transposed convolution,"
	}
	text += " and nothing without keys stands in a branch"
	if len(norms) > 0 {
		text += "; " + listed(norms) + " behind the layer, not before it"
	}
	if len(f.others) > 0 {
		text += "; " + strings.ReplaceAll(listed(f.others), ".**", "") + " on their sum alone"
	}
	return text
}

func listed(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// letters counts in letters, as the notation wants them: a … z, aa, ab …
func letters(n int) string {
	if n < 26 {
		return string(rune('a' + n))
	}
	return letters(n/26-1) + letters(n%26)
}

var noWord = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// word is a path as a question's name may have it.
func word(path string) string { return strings.Trim(noWord.ReplaceAllString(path, "_"), "_") }

// lead is the space before an expression that begins on its line.
func lead(expression string) string {
	if expression[0] == '\n' {
		return ""
	}
	return " "
}

// quote is a module as the notation has it, with <n> as the place of a number.
func quote(module string) string {
	if q := family.Quote(strings.ReplaceAll(module, "<n>", "0")); q[0] == '"' {
		return family.Quote(module)
	}
	return module
}
