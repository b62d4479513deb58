package report

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"repfuse/internal/certify"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// A wrong element stands in its channel and tap of the map, and a wrong bias behind the taps; what is rounded
// does not.
func TestDelta(t *testing.T) {
	third := tensor.Of(tensor.F64, []int{2}, []float64{1. / 3, 1. / 3})
	e := op.Seq{kernel("w", 1, 3, 3), op.Scale{By: &op.Param{Key: "s", Tensor: third}}, op.Shift{By: &op.Param{Key: "b", Tensor: third}}}
	form, err := op.Check(e)
	if err != nil {
		t.Fatal(err)
	}
	weight := slices.Repeat([]float64{1. / 3}, 2*2*9)
	weight[18+9+5] += 0.25 // output channel 1, input channel 1, tap 5
	stored := map[string]tensor.Tensor{
		"w": tensor.Of(tensor.F32, []int{2, 2, 3, 3}, weight), "b": tensor.Of(tensor.F32, []int{2}, []float64{1. / 3, 0.5 + 1./3}),
	}
	m, err := deltaOf(row{output: &plan.Output{Expr: e, Form: form, Weight: "w", Bias: "b"}}, stored)
	if err != nil {
		t.Fatal(err)
	}
	if m.differ != 2 {
		t.Errorf("%d elements differ, want 2", m.differ)
	}
	near := func(got, want float64) bool { return got > want-1e-7 && got < want+1e-7 } // float32's rounding of a third
	for o := range m.cells {
		for tap, v := range m.cells[o] {
			want := 0.0
			if o == 1 && tap == 5 {
				want = 0.25
			}
			if !near(v, want) {
				t.Errorf("%g at channel %d, tap %d, want %g", v, o, tap, want)
			}
		}
	}
	if m.bias[0] != 0 || !near(m.bias[1], 0.5) {
		t.Errorf("bias off by %v, want 0 and 0.5", m.bias)
	}
}

// Of a kernel that is computed in pieces, with more channels than a map, several share a line of it.
func TestDeltaOfMany(t *testing.T) {
	shape := []int{130, 400, 1, 1} // 416 kB in float64, of which 256 KiB are computed at once
	e := op.Conv{Weight: op.Param{Key: "w", Tensor: tensor.Of(tensor.F32, shape, make([]float64, 130*400))}}
	form, err := op.Check(e)
	if err != nil {
		t.Fatal(err)
	}
	weight := make([]float64, 130*400)
	weight[127*400+3] = 0.5
	m, err := deltaOf(row{output: &plan.Output{Expr: e, Form: form, Weight: "w"}}, map[string]tensor.Tensor{"w": tensor.Of(tensor.F32, shape, weight)})
	if err != nil {
		t.Fatal(err)
	}
	for line := range m.cells {
		want := 0.0
		if line == 127*64/130 {
			want = 0.5
		}
		if m.cells[line][0] != want {
			t.Errorf("%g in line %d of %d, want %g", m.cells[line][0], line, len(m.cells), want)
		}
	}
}

// manyRows is blocks of a network of five stages; some are wrong.
func manyRows(n int, wrong ...int) []row {
	e := kernel("w", 1, 1, 1)
	form, err := op.Check(e)
	if err != nil {
		panic(err)
	}
	var all []row
	for k := range n {
		r := row{name: "net.stage" + strconv.Itoa(5*k/n) + "." + strconv.Itoa(k), position: k + 1, output: &plan.Output{Expr: e, Form: form}, measured: verify.Block{Passed: true}}
		if slices.Contains(wrong, k) {
			r.certified.Verdict = certify.Different
		}
		all = append(all, r)
	}
	return all
}

// However many blocks there are, the page has so many of them, with all that are wrong, in their order.
func TestForemost(t *testing.T) {
	all := manyRows(3000, 7, 2999)
	for k := range all {
		all[k].certified.Bound.Value = float64(k)
	}
	some := foremost(all)
	if len(some) != mostRows || some[0].position != 8 || some[len(some)-1].position != 3000 {
		t.Errorf("%d rows from %d to %d, want %d from 8 to 3000", len(some), some[0].position, some[len(some)-1].position, mostRows)
	}
	if !slices.IsSortedFunc(some, func(a, b row) int { return a.position - b.position }) {
		t.Error("the rows are not in their order")
	}
	var b strings.Builder
	if err := blocks(some, len(all)-len(some)).Render(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "2000 more") {
		t.Error("the table does not say how many it leaves out")
	}
}

// The chart names those that are wrong, and no two names on the same place.
func TestLabelled(t *testing.T) {
	taken := labelled(manyRows(200, 7, 121))
	last, n := -100, 0
	for k, named := range taken {
		if !named {
			continue
		}
		if n++; k-last < 9 { // 200 blocks, room for 24 names
			t.Errorf("blocks %d and %d are both named", last, k)
		}
		last = k
	}
	if !taken[7] || !taken[121] || n < 15 {
		t.Errorf("%d blocks are named, want at least 15, with 7 and 121", n)
	}
}

// The contents have a group for each stage, or for some modules where there are many.
func TestGrouped(t *testing.T) {
	for _, test := range []struct {
		rows  []row
		names string
	}{
		{manyRows(200, 7), "net.stage0 net.stage1 net.stage2 net.stage3 net.stage4"},
		{manyRows(3), "net.stage0 net.stage1 net.stage3"},
	} {
		var names []string
		for _, p := range grouped(test.rows) {
			names = append(names, p.name)
		}
		if got := strings.Join(names, " "); got != test.names {
			t.Errorf("groups %s, want %s", got, test.names)
		}
	}
	flat := manyRows(200)
	for k := range flat {
		flat[k].name = "model." + strconv.Itoa(k)
	}
	if all := grouped(flat); len(all) > mostGroups || all[0].name != "model.0 … model.8" {
		t.Errorf("%d groups, the first %s", len(all), all[0].name)
	}
}
