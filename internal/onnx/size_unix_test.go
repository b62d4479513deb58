//go:build unix

package onnx

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"repfuse/internal/graph"
)

// Weights cost nothing until they are asked for: a model of a gigabyte, most of it a hole,
// is read, fused and laid out again in the memory that its graph takes.
func TestWeightsStay(t *testing.T) {
	const big = 1 << 30
	head := appendLen(appendTag(cat(num(1, 4), num(2, elemFloat), num(1, big/16), text(8, "w")), 9, wireLen), big)
	tensor := cat(appendLen(appendTag(nil, 5, wireLen), int64(len(head))+big), head)
	nodes := cat(input("x", 1, 4), call("MatMul", "x w", "y"), msg(12, text(1, "y")))
	front := cat(num(1, 8), msg(8, num(2, 17)), appendLen(appendTag(nil, 7, wireLen), int64(len(nodes)+len(tensor))+big), nodes, tensor)
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, front, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(len(front))+big); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Rewrite(nil, ""); err != nil {
		t.Fatal(err)
	}
	m.Nets(false)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated for a graph of one node", n)
	}
}

// A graph of a hundred thousand nodes costs a small multiple of its bytes, and seconds.
func TestManyNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("its times are those of a real processor")
	}
	const n = 100_000
	b := cat(input("v0", 1, 4, 9, 8), floats("w", []int{4, 4, 1, 1}), floats("s", []int{4}))
	for k := 0; k < n; k += 4 {
		v := func(k int) string { return fmt.Sprintf("v%d", k) }
		b = append(b, call("Conv", v(k)+" w", v(k+1))...)
		b = append(b, call("BatchNormalization", v(k+1)+" s s s s", v(k+2))...)
		b = append(b, call("Add", v(k)+" "+v(k+2), v(k+3))...)
		b = append(b, call("Relu", v(k+3), v(k+4))...)
	}
	b = withOpset(17, b, msg(12, text(1, fmt.Sprintf("v%d", n))))
	start := processor(t)
	m, err := open(t, b)
	if err != nil {
		t.Fatal(err)
	}
	net := m.Nets(false)[0]
	regions, _, err := graph.Find(&net.Graph, graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var layers []Layer
	for _, f := range net.Layers(regions, m.Names()) {
		layers = append(layers, f.Layer)
	}
	if len(layers) != n/4 {
		t.Errorf("%d layers, want %d", len(layers), n/4)
	}
	r, err := m.Rewrite(layers, "")
	if err != nil {
		t.Fatal(err)
	}
	if took := processor(t) - start; took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	if s.HeapAlloc > 2000*n {
		t.Errorf("%d bytes in memory, want at most 2000 for each of %d nodes", s.HeapAlloc, n)
	}
	runtime.KeepAlive(r)
	runtime.KeepAlive(net)
}

// processor is the time that the processors have spent on the test: other programs do not
// lengthen it.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
