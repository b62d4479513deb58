package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/golden"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// memory is a tensor.Writer that keeps what it is given, and fails where it is told
// to.
type memory struct {
	mu   sync.Mutex
	data [][]byte
	done []bool
	fail error // of every WriteAt
}

func newMemory(items []plan.Item) *memory {
	m := &memory{data: make([][]byte, len(items)), done: make([]bool, len(items))}
	for k, it := range items {
		m.data[k] = make([]byte, it.Bytes())
	}
	return m
}

func (m *memory) WriteAt(i int, p []byte, off int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done[i] {
		return fmt.Errorf("item %d is written to after it was done", i)
	}
	copy(m.data[i][off:], p)
	return m.fail
}

func (m *memory) Done(i int, crc uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done[i] = true
	if got := crc32.ChecksumIEEE(m.data[i]); got != crc {
		return fmt.Errorf("item %d has checksum %08x, told %08x", i, got, crc)
	}
	return nil
}

func (m *memory) Close() error { return nil }

func items(t *testing.T, name string, to tensor.Type) []plan.Item {
	t.Helper()
	set, err := family.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	p, err := recognise.Plan(golden.Load(t, name).Train, recognise.Options{Families: set})
	if err != nil {
		t.Fatal(err)
	}
	return p.Items(func(string) tensor.Type { return to })
}

// However many work at it and however small the pieces, every item is done once and
// has the same bytes and the right checksum.
func TestSameBytes(t *testing.T) {
	for _, to := range []tensor.Type{tensor.Invalid, tensor.F16, tensor.F64} {
		list := items(t, "repvgg-model-tiny", to)
		var want *memory
		for _, o := range []Options{{Jobs: 1}, {Jobs: 1, Piece: 64}, {Jobs: 5, Piece: 1000}, {}} {
			m := newMemory(list)
			r, err := Run(context.Background(), list, m, o)
			if err != nil {
				t.Fatalf("%+v: %v", o, err)
			}
			if want == nil {
				want = m
			}
			var total int64
			for k := range list {
				total += int64(len(m.data[k]))
				if !m.done[k] || !bytes.Equal(m.data[k], want.data[k]) {
					t.Errorf("to %v, %+v: %s differs from one job's", to, o, list[k].Key)
				}
			}
			if r.Bytes != total {
				t.Errorf("to %v, %+v: %d bytes told, %d written", to, o, r.Bytes, total)
			}
		}
	}
}

// A writer that fails ends the work with its error.
func TestWriterFails(t *testing.T) {
	list := items(t, "repvgg-model-tiny", tensor.Invalid)
	m := newMemory(list)
	m.fail = errors.New("no space")
	if _, err := Run(context.Background(), list, m, Options{Jobs: 3}); err == nil || !strings.HasSuffix(err.Error(), "no space") {
		t.Errorf("error %v, want no space", err)
	}
}

// A context that has ended ends the work.
func TestInterrupted(t *testing.T) {
	list := items(t, "repvgg-model-tiny", tensor.Invalid)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, list, newMemory(list), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func kept(typ tensor.Type, b []byte, shape ...int) plan.Item {
	n := &tensor.Named{Key: "head.weight", Tensor: tensor.FromBytes(typ, shape, b)}
	return plan.Item{Spec: n.Spec(), Kept: n, Block: -1}
}

// A tensor without elements is done all the same; one whose data end early, and one
// that the new type cannot hold, are errors that name the key.
func TestKept(t *testing.T) {
	nothing := []plan.Item{kept(tensor.F32, nil, 0, 3)}
	m := newMemory(nothing)
	if _, err := Run(context.Background(), nothing, m, Options{}); err != nil || !m.done[0] {
		t.Errorf("no elements: %v, done %t", err, m.done[0])
	}
	short := []plan.Item{kept(tensor.F32, make([]byte, 12), 4)}
	if _, err := Run(context.Background(), short, newMemory(short), Options{}); !errors.Is(err, tensor.ErrShort) || !strings.HasPrefix(err.Error(), "head.weight: ") {
		t.Errorf("short: %v, want head.weight: %v", err, tensor.ErrShort)
	}
	large := make([]byte, 12)
	tensor.Encode(large, []float64{1, 65520, 2}, tensor.F32) // halfway to what would be 2¹⁶
	over := []plan.Item{kept(tensor.F32, large, 3)}
	over[0].Type = tensor.F16
	want := "head.weight[1] is 65520, want at most 65504 as float16 holds"
	if _, err := Run(context.Background(), over, newMemory(over), Options{}); err == nil || err.Error() != want {
		t.Errorf("overflow: %v, want %s", err, want)
	}
}

// TestSplit: what is a large part of all comes first, the largest before the others and in
// parts; all else stays in order, a bias with its kernel.
func TestSplit(t *testing.T) {
	var list []plan.Item
	item := func(n int, o *plan.Output, isBias bool) {
		it := kept(tensor.F32, nil, n)
		if o != nil {
			it.Kept = nil
		}
		it.Output, it.IsBias = o, isBias
		list = append(list, it)
	}
	a, b := &plan.Output{}, &plan.Output{}
	item(1, nil, false)
	item(100, nil, false)
	item(400, a, false)
	item(4, a, true)
	item(2, b, false)
	item(3, b, true)
	item(900, nil, false)
	item(5, a, true)
	want := []task{
		{6, 0, 0, 180, false}, {6, 1, 180, 360, false}, {6, 2, 360, 540, false}, {6, 3, 540, 720, false}, {6, 4, 720, 900, false},
		{2, 0, 0, 200, true}, {2, 1, 200, 400, false},
		{1, 0, 0, 100, false}, {0, 0, 0, 1, false}, {4, 0, 0, 2, true}, {7, 0, 0, 1, false},
	}
	if got := split(list, 2, 1); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestSmall: elements that become subnormal are counted for the kernel and for the bias.
func TestSmall(t *testing.T) {
	param := func(shape []int, v ...float64) op.Param {
		return op.Param{Key: "p", Tensor: tensor.Of(tensor.F32, shape, v)}
	}
	bias := param([]int{2}, 0x1p-20, 1)
	e := op.Conv{Weight: param([]int{2, 2}, 1, 0x1p-15, 0x1p-40, 0), Bias: &bias}
	form, err := op.Check(e)
	if err != nil {
		t.Fatal(err)
	}
	o := &plan.Output{Expr: e, Form: form}
	list := []plan.Item{
		{Spec: tensor.Spec{Key: "w", Type: tensor.F16, Shape: []int{2, 2}}, Output: o},
		{Spec: tensor.Spec{Key: "b", Type: tensor.F16, Shape: []int{2}}, Output: o, IsBias: true},
	}
	r, err := Run(context.Background(), list, newMemory(list), Options{})
	if err != nil || !slices.Equal(r.Small, []int64{2, 1}) {
		t.Errorf("%v, %v: want 2 small elements of the kernel and 1 of the bias", r, err)
	}
}

// What an item was made by is let go when the item is done: memory does not grow with their number.
func TestLetGo(t *testing.T) {
	const n, count = 1 << 15, 40 // each takes some 2 MB
	ones := make([]float64, n)
	for k := range ones {
		ones[k] = 1
	}
	param := func(shape ...int) op.Param { return op.Param{Key: "p", Tensor: tensor.Of(tensor.F32, shape, ones)} }
	by := param(n)
	e := op.Seq{op.Conv{Weight: param(n, 1, 1, 1), Groups: n}, op.Scale{By: &by}}
	form, err := op.Check(e)
	if err != nil {
		t.Fatal(err)
	}
	var list []plan.Item
	for k := range count {
		list = append(list, plan.Item{Spec: tensor.Spec{Key: fmt.Sprint(k), Type: tensor.F32, Shape: form.WeightShape()}, Output: &plan.Output{Expr: e, Form: form}})
	}
	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	m := newMemory(list)
	before, after := held(), int64(0)
	o := Options{Jobs: 1, Progress: func(done int64) {
		if done == count*n*4 {
			after = held()
		}
	}}
	if _, err := Run(t.Context(), list, m, o); err != nil {
		t.Fatal(err)
	}
	if grown := after - before; after == 0 || grown > 10<<20 {
		t.Errorf("%d bytes more are held at the last item than before the first", grown)
	}
}
