package recognise_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/golden"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

//go:generate go test -count=1 -run TestFamiliesPage . -update

var update = flag.Bool("update", false, "write docs/families.md anew")

const familiesPage = "../../docs/families.md"

// docs/families.md is what the declarations say and what the reference cases came to.
func TestFamiliesPage(t *testing.T) {
	if testing.Short() {
		t.Skip("every reference case is fused")
	}
	p := &page{families: everyFamily(t), cases: measured(t), variants: planned(t)}
	p.write()
	if *update {
		if err := os.WriteFile(familiesPage, p.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(familiesPage)
	if err != nil {
		t.Fatal(err)
	}
	got, want := strings.Split(string(have), "\n"), strings.Split(p.String(), "\n")
	for k := range max(len(got), len(want)) {
		if k >= len(got) || k >= len(want) || got[k] != want[k] {
			t.Fatalf("docs/families.md is stale from line %d on; make generate writes it anew", k+1)
		}
	}
}

// Every case in which the reference is known to be wrong says what it gets wrong.
func TestReferenceBugs(t *testing.T) {
	for name, e := range expectations() {
		m := golden.Load(t, name).Meta
		wrong := m.ReferenceBug || m.DeployError != "" || len(e.wrong) > 0 || strings.HasSuffix(strings.ToLower(name), "bug")
		if wrong != (e.bug != "") {
			t.Errorf("%s: the table says of the reference's mistake: %q; the case says: %s", name, e.bug, cmp.Or(m.DeployError, m.Notes))
		}
	}
}

// measuredCase is a reference case and what it came to.
type measuredCase struct {
	golden.Case
	expectation
	outcome
	asked error // what repfuse says without flags and facts, where it asks or refuses
}

// measured runs every case as TestGolden does with its flags.
func measured(t *testing.T) []measuredCase {
	var all []measuredCase
	table := expectations()
	for _, name := range golden.Cases(t) {
		e, known := table[name]
		if !known {
			continue
		}
		m := measuredCase{Case: golden.Load(t, name), expectation: e}
		o := recognise.Options{Families: builtin(t)}
		if e.refused != "" {
			o = options(t, e)
		} else {
			m.outcome = checkPlan(t, m.Case, e, options(t, e))
		}
		_, m.asked = recognise.Plan(m.Train, o)
		all = append(all, m)
	}
	return all
}

// planned is the blocks that no reference case holds.
func planned(t *testing.T) []sample {
	var all []sample
	for _, v := range variants {
		tensors := named(t, v.train)
		p, err := recognise.Plan(tensors, v.options(t))
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		all = append(all, sample{v.name, tensors, p.Blocks})
	}
	return all
}

// holds reports whether a case has blocks of a family, or is of a network that the
// family declares.
func (m measuredCase) holds(f *family.Family) bool {
	if m.Plan == nil {
		return false
	}
	if !f.Network {
		return slices.ContainsFunc(m.Blocks, func(b plan.Block) bool { return isOf(b, f) })
	}
	chosen := slices.ContainsFunc(m.request, func(choice string) bool { return choice == f.Name })
	return (chosen || !f.OnRequest) && slices.ContainsFunc(modules(m.Train), func(module string) bool {
		return f.Anchored(keyList(m.Train), module)
	})
}

// apart is the largest difference from the reference of what a family's blocks make
// in a case, of all for a network; compared is false where the reference has none of
// it.
func (m measuredCase) apart(f *family.Family) (d float64, compared bool) {
	if f.Network {
		return worst(maps.Values(m.differences)), len(m.differences) > 0
	}
	for _, b := range m.Blocks {
		for _, o := range b.Outputs {
			for _, key := range []string{o.Weight, o.Bias} {
				if v, ok := m.differences[key]; ok && isOf(b, f) {
					d, compared = max(d, v), true
				}
			}
		}
	}
	return d, compared
}

// flags is what is typed for a case where no facts are at hand.
func (m measuredCase) flags() string {
	return typed(slices.Concat(m.request, m.choices), slices.Concat(m.told, m.sets))
}

func typed(choices, sets []string) string {
	var words []string
	for _, c := range choices {
		words = append(words, "--family "+c)
	}
	for _, s := range sets {
		if strings.HasPrefix(s, "identity=") || strings.HasPrefix(s, "eps=") {
			words = append(words, "--"+strings.Replace(s, "=", " ", 1))
		} else {
			words = append(words, "--set "+s)
		}
	}
	return strings.Join(words, " ")
}

// keyList is tensors as an anchor looks at them.
type keyList []tensor.Named

func (l keyList) Lookup(module, key string) (*tensor.Named, bool) {
	key = family.Whole(module, key)
	for _, t := range l {
		if t.Key == key {
			return &t, true
		}
	}
	return nil, false
}

func (l keyList) Below(module string) []string {
	var keys []string
	for _, t := range l {
		if rest, ok := strings.CutPrefix(t.Key, module+"."); ok || module == "" {
			keys = append(keys, rest)
		}
	}
	return keys
}

// modules is every module that tensors lie below, the root first.
func modules(tensors []tensor.Named) []string {
	all := []string{""}
	for _, t := range tensors {
		for k, c := range t.Key {
			if c == '.' {
				all = append(all, t.Key[:k])
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// page is docs/families.md in the making.
type page struct {
	bytes.Buffer
	families []*family.Family
	cases    []measuredCase
	variants []sample
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

func (p *page) write() {
	p.printf("%s", pageHead)
	p.contents()
	tasks, of := family.ByTask(p.families)
	for _, task := range tasks {
		for _, f := range of[task] {
			p.family(f)
		}
	}
	p.questions()
	p.refusals()
	p.bugs()
}

const pageHead = `# Families

<!-- Written by make generate, of the declarations and of the reference cases; edit those. -->

What repfuse recognises, written of the declarations themselves ([notation](notation.md)) and of the reference cases in
` + "`testdata/golden`" + `: for each family what it computes, its keys before and after, what is assumed where no key says it, and
how far the fused weights are from those of the project's own code, in units of the tensor's largest magnitude. The
reference fuses in float32, so some 1e-7 of that is its own rounding; repfuse's is half a unit in the last place.
Where the difference is "output only", there are no fused weights to compare with, and the output of the training form is.
Where there is no case, keys and shapes are tested and values are not. A case that is marked "described" is a block that was
written from the project's description, and what it fuses to was measured (testdata/golden/described.py).

Behind the families: [what is asked](#what-is-asked), [what is refused](#what-is-refused), [mistakes of the
references](#mistakes-of-the-references).

`
