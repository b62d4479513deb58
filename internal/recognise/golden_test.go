package recognise_test

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"repfuse/internal/facts"
	"repfuse/internal/family"
	"repfuse/internal/fuse"
	"repfuse/internal/golden"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// expectation is how a reference case is to be treated.
type expectation struct {
	// family is what takes the case's outermost blocks.
	family string
	// choices and sets are the flags that the case needs where no facts are at hand.
	choices, sets []string
	// asks is part of the error that the case gives without flags and facts; "" where it
	// needs none.
	asks string
	// request are choices that no fact can make: what the reference fused, it fused
	// because somebody asked for it.
	request []string
	// told is settings that no fact of the case makes.
	told []string
	// refused is part of the error where the case is refused, and why says the reason.
	refused, why string
	// wrong is keys of the reference's deploy form that are not right.
	wrong []string
	// bug is what the reference gets wrong, in its weights or elsewhere.
	bug string
}

// expectations is every case by its name: one list a catalogue.
func expectations() map[string]expectation {
	all := map[string]expectation{}
	for _, list := range []map[string]expectation{backbones, detection, described, field} {
		for name, e := range list {
			all[name] = e
		}
	}
	return all
}

var readBuiltin = sync.OnceValues(family.Builtin)

func builtin(t testing.TB) *family.Set {
	t.Helper()
	set, err := readBuiltin()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func everyFamily(t testing.TB) []*family.Family {
	t.Helper()
	list, err := builtin(t).All()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// familyOf is the declaration that a block was recognised by, an empty one where it is
// no built-in family's.
func familyOf(b plan.Block) *family.Family {
	if set, err := readBuiltin(); err == nil {
		if f, err := set.Find(b.Family); err == nil {
			return f
		}
	}
	return &family.Family{}
}

func options(t testing.TB, e expectation) recognise.Options {
	t.Helper()
	return recognise.Options{Families: builtin(t), Choices: slices.Concat(e.request, e.choices), Sets: slices.Concat(e.told, e.sets)}
}

// byFacts is what a case is planned with where modules.json is at hand.
func byFacts(t testing.TB, e expectation, m *facts.Model) recognise.Options {
	t.Helper()
	return recognise.Options{Families: builtin(t), Facts: m, Choices: e.request, Sets: e.told}
}

// Every reference case is recognised as what it is, fuses to the reference's own
// deploy form, key by key, and runs to the reference's own output; or is refused for
// the reason that stands beside it.
func TestGolden(t *testing.T) {
	table := expectations()
	for _, name := range golden.Cases(t) {
		e, known := table[name]
		if !known && len(detection) == 0 {
			t.Logf("%s: not declared yet", name)
			continue
		}
		if !known {
			t.Errorf("%s: neither expected to fuse nor refused", name)
			continue
		}
		delete(table, name)
		t.Run(name, func(t *testing.T) { tryCase(t, golden.Load(t, name), e) })
	}
	for name := range table {
		t.Errorf("%s: there is no such case", name)
	}
}

func tryCase(t *testing.T, c golden.Case, e expectation) {
	if e.refused != "" {
		for _, o := range []recognise.Options{options(t, e), byFacts(t, e, c.Facts())} {
			_, err := recognise.Plan(c.Train, o)
			wantError(t, err, e.refused)
		}
		t.Logf("refused: %s", e.why)
		return
	}
	if len(e.choices) > 0 && e.asks == "" {
		wantSuggestion(t, c, e.choices[0])
	}
	if e.asks != "" {
		_, err := recognise.Plan(c.Train, recognise.Options{Families: builtin(t)})
		wantError(t, err, e.asks)
	}
	flagged := checkPlan(t, c, e, options(t, e))
	known := checkPlan(t, c, e, byFacts(t, e, c.Facts()))
	wantNoEps(t, c, byFacts(t, e, c.Facts()))
	t.Logf("%-28s %s | flags %v: %s | facts: %s", c.Meta.Name, e.family, slices.Concat(e.request, e.choices, e.sets), flagged, known)
}

// wantNoEps fails where ε is assumed though the module tree holds it, as it does but
// where a project's batch norm is a stand-in that has none.
func wantNoEps(t *testing.T, c golden.Case, o recognise.Options) {
	t.Helper()
	if len(c.Meta.Eps) == 0 {
		return
	}
	p, err := recognise.Plan(c.Train, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Notes {
		if strings.Contains(n.Text, "ε") {
			t.Errorf("with facts: %s", n)
		}
	}
}

// wantSuggestion wants a note of what to type where a family is taken on request, or
// a dialect's default, which is said too.
func wantSuggestion(t *testing.T, c golden.Case, choice string) {
	t.Helper()
	p, err := recognise.Plan(c.Train, recognise.Options{Families: builtin(t)})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(p.Notes, func(n plan.Note) bool { return strings.Contains(n.Hint, "--family "+choice) }) {
		t.Errorf("no note says --family %s, but %v", choice, p.Notes)
	}
}

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v, want one that says %q", err, text)
	}
}

// outcome is what a case came to, held to the reference.
type outcome struct {
	*plan.Plan
	// differences is, by key, the largest difference from the reference's fused weights
	// relative to the tensor's largest magnitude; nil where there is no reference.
	differences map[string]float64
	output      *runs // nil where the case is not one convolution
}

func (o outcome) String() string {
	line := fmt.Sprintf("%d blocks", len(o.Blocks))
	if o.differences != nil {
		line += fmt.Sprintf(", weights to %.1e", worst(maps.Values(o.differences)))
	}
	if o.output != nil {
		line += fmt.Sprintf(", output to %.0e and %.0e %s", o.output.train, o.output.fused, o.output.activation)
	}
	return line
}

func worst(differences iter.Seq[float64]) float64 {
	w := 0.0
	for d := range differences {
		w = max(w, d)
	}
	return w
}

// checkPlan plans a case and holds the result to the reference.
func checkPlan(t *testing.T, c golden.Case, e expectation, o recognise.Options) outcome {
	t.Helper()
	p, err := recognise.Plan(c.Train, o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if e.family != "" && !slices.ContainsFunc(p.Blocks, func(b plan.Block) bool { return b.Family == e.family }) {
		t.Errorf("no block is a %s but %s", e.family, taken(p))
	}
	made := fused(t, p)
	reference := c.Deploy
	if reference == nil {
		reference = c.Derived
	}
	found := outcome{Plan: p, output: checkOutput(t, c, p)}
	if reference != nil {
		found.differences = sameTensors(t, made, reference, e.wrong)
	}
	return found
}

func taken(p *plan.Plan) string {
	var s []string
	for _, b := range p.Blocks {
		s = append(s, b.Family)
	}
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(s))), ", ")
}

// fused is the result of a plan in memory.
func fused(t *testing.T, p *plan.Plan) map[string]tensor.Tensor {
	t.Helper()
	made := map[string]tensor.Tensor{}
	for _, f := range p.Fates {
		if f.Fate == plan.Kept {
			made[f.NewKey] = f.Tensor
		}
	}
	for _, b := range p.Blocks {
		for _, o := range b.Outputs {
			conv, err := fuse.Collapse(o.Expr, tensor.F32)
			if err != nil {
				t.Fatalf("%s: %v", o.Weight, err)
			}
			made[o.Weight] = conv.Weight.Tensor
			if o.Bias != "" {
				made[o.Bias] = conv.Bias.Tensor
			}
		}
	}
	return made
}

// sameTensors wants the keys of the reference's deploy form, no more and no fewer,
// and under each the same values: both round to float32 what is computed with some
// ten roundings, the reference in float32 and with cancelling branches, so 1e-5 of
// the tensor's largest magnitude is wide enough for it and narrow for a mistake. It
// returns the differences by key.
func sameTensors(t *testing.T, made map[string]tensor.Tensor, reference []tensor.Named, wrong []string) map[string]float64 {
	t.Helper()
	differences := map[string]float64{}
	for _, want := range reference {
		got, ok := made[want.Key]
		switch {
		case !ok:
			t.Errorf("%s is missing", want.Key)
			continue
		case slices.Contains(wrong, want.Key):
		case !slices.Equal(got.Shape, want.Shape):
			t.Errorf("%s has shape %v, want %v", want.Key, got.Shape, want.Shape)
		default:
			differences[want.Key] = difference(t, want.Key, got, want.Tensor)
		}
		delete(made, want.Key)
	}
	for key := range made {
		t.Errorf("%s is not in the reference's deploy form", key)
	}
	return differences
}

func difference(t *testing.T, key string, got, want tensor.Tensor) float64 {
	t.Helper()
	if !want.Type.IsFloat() {
		return differentBytes(t, key, got, want)
	}
	a, err := got.Floats()
	b, err2 := want.Floats()
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	d := distance(a, b)
	if !(d <= 1e-5) {
		t.Errorf("%s differs by %.2g of its largest magnitude", key, d)
	}
	return d
}

// differentBytes is 0 for integers that are the same.
func differentBytes(t *testing.T, key string, got, want tensor.Tensor) float64 {
	t.Helper()
	a, err := got.ReadAll()
	b, err2 := want.ReadAll()
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("%s is not what it was", key)
	}
	return 0
}

// distance is the largest difference of two lists relative to the largest of b.
func distance(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	largest, apart := 0.0, 0.0
	for k := range b {
		largest = max(largest, math.Abs(b[k]))
		d := math.Abs(a[k] - b[k])
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		apart = max(apart, d)
	}
	if apart == 0 {
		return 0
	}
	return apart / largest
}
