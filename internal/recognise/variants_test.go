package recognise_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"repfuse/internal/facts"
	"repfuse/internal/fuse"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// variant is a block that no reference case holds: the keys that it has in its
// project, what is said, and the keys that come of it. A word is KEY[SHAPE], or
// MODULE:C for a batch norm of C channels, MODULE:Cp for one by Paddle's names.
type variant struct {
	name, family  string
	choices, sets []string
	classes       map[string]string // of modules, as facts
	train, deploy string
}

// Blocks of other strides, groups and options than the reference cases have, and
// networks in small, come to the keys and shapes of their projects' deploy forms.
func TestVariants(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			p, err := recognise.Plan(named(t, v.train), v.options(t))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(p.Blocks, func(b plan.Block) bool { return b.Family == v.family }) {
				t.Errorf("no block is a %s but %s", v.family, taken(p))
			}
			sameShapes(t, p, named(t, v.deploy))
		})
	}
}

// options is what a variant is planned with.
func (v variant) options(t *testing.T) recognise.Options {
	o := recognise.Options{Families: builtin(t), Choices: v.choices, Sets: v.sets}
	if v.classes != nil {
		o.Facts = &facts.Model{Version: facts.Version, Modules: map[string]facts.Module{}}
		for path, class := range v.classes {
			o.Facts.Modules[path] = facts.Module{Class: class}
		}
	}
	return o
}

// sameShapes wants the result of a plan to have the given keys and shapes, and every
// block to come out finite.
func sameShapes(t *testing.T, p *plan.Plan, want []tensor.Named) {
	t.Helper()
	got := map[string]string{}
	for _, item := range p.Items(nil) {
		got[item.Key] = shapeOf(item.Shape)
	}
	for _, w := range want {
		if s, ok := got[w.Key]; !ok || s != shapeOf(w.Shape) {
			t.Errorf("%s is %q, want %s", w.Key, s, shapeOf(w.Shape))
		}
		delete(got, w.Key)
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		t.Errorf("%s%s is not in the deploy form", key, got[key])
	}
	for _, b := range p.Blocks {
		for _, out := range b.Outputs {
			if _, err := fuse.Collapse(out.Expr, tensor.F32); err != nil {
				t.Errorf("%s: %v", out.Weight, err)
			}
		}
	}
}

func shapeOf(shape []int) string {
	words := make([]string, len(shape))
	for k, n := range shape {
		words[k] = strconv.Itoa(n)
	}
	return "[" + strings.Join(words, ",") + "]"
}

// named makes the tensors that a list of words names. Their elements do not matter.
func named(t *testing.T, words string) []tensor.Named {
	t.Helper()
	var list []tensor.Named
	add := func(key string, shape ...int) {
		v := make([]float64, tensor.Elems(shape))
		for k := range v {
			v[k] = 0.5 + float64(k%7)/8
		}
		list = append(list, tensor.Named{Key: key, Tensor: tensor.Of(tensor.F32, shape, v)})
	}
	for _, word := range strings.Fields(words) {
		if key, extents, ok := strings.Cut(word, "["); ok {
			add(key, extentsOf(t, strings.TrimSuffix(extents, "]"))...)
			continue
		}
		module, channels, _ := strings.Cut(word, ":")
		statistics := []string{"running_mean", "running_var"}
		if c, paddle := strings.CutSuffix(channels, "p"); paddle {
			channels, statistics = c, []string{"_mean", "_variance"}
		}
		for _, name := range append(statistics, "weight", "bias") {
			add(module+"."+name, extentsOf(t, channels)...)
		}
	}
	return list
}

func extentsOf(t *testing.T, text string) []int {
	t.Helper()
	var shape []int
	for _, w := range strings.Split(text, ",") {
		n, err := strconv.Atoi(w)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		shape = append(shape, n)
	}
	return shape
}

// under puts a module's path in the place of NAME.
func under(path, words string) string { return strings.ReplaceAll(words, "NAME", path) }

// A weight that is computed before use comes out in the type that its parts are stored in.
func TestFormsKeepTheirType(t *testing.T) {
	for _, typ := range []tensor.Type{tensor.F16, tensor.BF16, tensor.F32, tensor.F64} {
		list := []tensor.Named{
			{Key: "a.weight_g", Tensor: tensor.Of(typ, []int{2, 1, 1}, []float64{1, 2})},
			{Key: "a.weight_v", Tensor: tensor.Of(typ, []int{2, 1, 2}, []float64{1, 2, 3, 4})},
		}
		p, err := recognise.Plan(list, recognise.Options{Families: builtin(t)})
		if err != nil {
			t.Fatal(err)
		}
		if items := p.Items(nil); len(items) != 1 || items[0].Key != "a.weight" || items[0].Type != typ {
			t.Errorf("%s: comes to %v", typ, items)
		}
	}
}
