//go:build linux

package stream

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"repfuse/internal/family"
	"repfuse/internal/golden"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// TestWide prints what memory each family takes at 2,048 channels: the blocks of every
// golden case, made so wide, are fused for a second or two into nothing. It asserts
// nothing; REPFUSE_WIDE=1 go test -run TestWide -v ./internal/stream runs it.
func TestWide(t *testing.T) {
	if os.Getenv("REPFUSE_WIDE") == "" {
		t.Skip("measures; REPFUSE_WIDE=1 runs it")
	}
	set, err := family.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	peaks := map[string]float64{}
	for _, name := range golden.Cases(t) {
		c := golden.Load(t, name)
		p, err := recognise.Plan(c.Train, recognise.Options{Families: set, Facts: c.Facts()})
		if err != nil {
			continue // one that asks for more
		}
		for _, b := range p.Blocks {
			peaks[b.Family] = max(peaks[b.Family], peakOf(t, name, b))
		}
	}
	for _, family := range slices.Sorted(maps.Keys(peaks)) {
		t.Logf("%-28s %5.1f MB", family, peaks[family])
	}
}

// peakOf is by how many MB the process grows while a block is fused.
func peakOf(t *testing.T, name string, b plan.Block) float64 {
	var items []plan.Item
	for k := range b.Outputs {
		o := b.Outputs[k]
		factor := max(1, 2048/max(o.Form.In, o.Form.Out))
		e, _ := widen(o.Expr, o.Form.In, factor)
		form, err := op.Check(e)
		if err != nil {
			continue // where a factor does not fit, as beside a head of 85 outputs
		}
		o.Expr, o.Form = e, form
		items = append(items, plan.Item{Spec: tensor.Spec{Key: o.Weight, Type: tensor.F32, Shape: form.WeightShape()}, Output: &o})
		if o.Bias != "" {
			items = append(items, plan.Item{Spec: tensor.Spec{Key: o.Bias, Type: tensor.F32, Shape: []int{form.Out}}, Output: &o, IsBias: true})
		}
	}
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	before := status(t, "VmRSS")
	ctx, stop := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer stop()
	if _, err := Run(ctx, items, discard{}, Options{}); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Logf("%s: %v", name, err)
	}
	return status(t, "VmHWM") - before
}

// status is a figure of /proc/self/status, in MB.
func status(t *testing.T, name string) float64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), name+":")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb / 1e3
}

// widen makes an expression on in channels one on so many times as many, and tells how
// many channels came out of it before.
func widen(e op.Expr, in, by int) (op.Expr, int) {
	switch e := e.(type) {
	case op.Conv:
		shape := slices.Clone(e.Weight.Shape)
		out := shape[0]
		if e.Transposed {
			out = shape[1] * max(1, e.Groups)
		}
		shape[0] *= by
		if depthwise := shape[1] == 1 && in > 1; !depthwise {
			shape[1] *= by
		} else if e.Groups > 0 {
			e.Groups *= by
		}
		e.Weight = made(e.Weight, shape)
		e.Bias = vector(e.Bias, out, by)
		return e, out
	case op.BatchNorm:
		e.Gamma, e.Beta, e.Mean, e.Var = vector(e.Gamma, in, by), vector(e.Beta, in, by), vector(e.Mean, in, by), vector(e.Var, in, by)
		return e, in
	case op.Scale:
		e.By = vector(e.By, in, by)
		return e, in
	case op.Shift:
		e.By = vector(e.By, in, by)
		return e, in
	case op.Select:
		return op.Select{From: e.From * by, To: e.To * by, Of: e.Of * by}, e.To - e.From
	case op.Seq:
		s := make(op.Seq, len(e))
		for k, p := range e {
			s[k], in = widen(p, in, by)
		}
		return s, in
	case op.Sum:
		s, out := make(op.Sum, len(e)), in
		for k, p := range e {
			s[k], out = widen(p, in, by)
		}
		return s, out
	case op.Concat:
		s, out := make(op.Concat, len(e)), 0
		for k, p := range e {
			part, n := widen(p, in, by)
			s[k], out = part, out+n
		}
		return s, out
	default:
		return e, in
	}
}

// vector is one of so many channels made wider, if it is not one number for all.
func vector(p *op.Param, channels, by int) *op.Param {
	if p == nil || p.Len() != channels {
		return p
	}
	wide := made(*p, []int{p.Shape[0] * by})
	return &wide
}

// made is a parameter of another shape, with values between a half and one that take no
// memory.
func made(p op.Param, shape []int) op.Param {
	block := make([]byte, 4<<10)
	v := make([]float64, len(block)/p.Type.Size())
	r := rand.New(rand.NewPCG(1, 1))
	for k := range v {
		v[k] = 0.5 + r.Float64()/2
	}
	tensor.Encode(block, v, p.Type)
	p.Shape = shape
	p.Open = func() (tensor.Data, error) { return tensor.Section(over(block), 0, p.Bytes()), nil }
	return p
}

// over is a block of bytes, over and over.
type over []byte

func (o over) ReadAt(p []byte, off int64) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], o[(off+int64(n))%int64(len(o)):])
	}
	return len(p), nil
}
