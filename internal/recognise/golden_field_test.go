package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/facts"
	"repfuse/internal/golden"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// field is cases of whole networks as people have them, with the right answers worked out in
// float64 from the definitions; nothing of them is run.
var field = map[string]expectation{
	"field-hifigan":       {family: "weight-norm"},
	"field-slab":          {family: "slab-block"},
	"field-textnet-doctr": {family: "textnet"},
	"field-textnet-fast":  {family: "textnet"},
	"field-textnet-hf":    {family: "textnet"},
	"field-yolo26":        {family: "yolo-conv"},
	"field-yoloe-text":    {family: "yoloe-text"},
	"yoloworld-reparam": {refused: "text embeddings, which are in a file of their own",
		why: "the embeddings are not in the checkpoint"},
}

// What YOLO-World's own script writes is not refused, as the reason says.
func TestYOLOWorldMade(t *testing.T) {
	if _, err := recognise.Plan(golden.Load(t, "yoloworld-reparam").Deploy, recognise.Options{Families: builtin(t)}); err != nil {
		t.Error(err)
	}
}

// A class that standardizes its weights says so, with its ε, and without a flag; a plain one does not.
func TestStandardByClass(t *testing.T) {
	c := golden.Load(t, "weight-standard")
	eps := 1e-6
	for class, blocks := range map[string]int{"StdConv2d": 1, "Conv2d": 0} {
		m := &facts.Model{Modules: map[string]facts.Module{"b": {Class: class, Eps: &eps, Kernel: []int{3, 3}}}}
		p, err := recognise.Plan(c.Train, recognise.Options{Families: builtin(t), Facts: m})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Blocks) != blocks {
			t.Fatalf("%s: %d blocks, want %d", class, len(p.Blocks), blocks)
		}
		if blocks > 0 {
			sameTensors(t, fused(t, p), c.Derived, nil)
		}
		if blocks == 0 && len(p.Notes) > 0 {
			t.Errorf("%s: %v, want no word of families", class, p.Notes)
		}
	}
}

// Where the first blocks of a network are fused already, the others are fused.
func TestFieldHalfFused(t *testing.T) {
	c := golden.Load(t, "field-yolo26")
	early := func(key string) bool { return strings.HasPrefix(key, "model.0.") || strings.HasPrefix(key, "model.1.") }
	var half []tensor.Named
	for _, n := range c.Train {
		if !early(n.Key) {
			half = append(half, n)
		}
	}
	for _, n := range c.Derived {
		if early(n.Key) {
			half = append(half, n)
		}
	}
	p, err := recognise.Plan(half, recognise.Options{Families: builtin(t)})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := recognise.Plan(c.Train, recognise.Options{Families: builtin(t)})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Blocks) == 0 || len(p.Blocks) >= len(whole.Blocks) {
		t.Errorf("%d blocks, want some of the %d", len(p.Blocks), len(whole.Blocks))
	}
	sameTensors(t, fused(t, p), c.Derived, nil)
}
