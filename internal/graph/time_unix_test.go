//go:build unix

package graph_test

import (
	"syscall"
	"testing"
	"time"

	"repfuse/internal/graph"
	"repfuse/internal/op"
)

// A hundred thousand nodes of a network take less than a second, and so do twenty thousand
// that somebody wrote to make a search look far back again and again.
func TestTime(t *testing.T) {
	if testing.Short() {
		t.Skip("its times are those of a real processor")
	}
	m := randomGraph(0)
	m.rank, m.channels = 2, 4
	norm := m.norm()
	conv := func(groups, extent, pad int) func(v int) int {
		c := op.Conv{Weight: *m.param(small, 4, 4/groups, extent, extent), Groups: groups, Padding: []int{pad, pad}}
		return func(v int) int { return m.linear(c, c.Padding, v) }
	}
	kernel, point, narrow := conv(1, 3, 1), conv(1, 1, 0), conv(4, 3, 0)
	add := func(inputs ...int) int { return m.node(graph.Node{Kind: graph.Add}, inputs...) }
	for _, test := range []struct {
		name  string
		nodes int
		next  func(v int) int
	}{
		{"blocks", 100_000, func(v int) int {
			sum := add(kernel(v), point(v), m.linear(norm, nil, v))
			return m.node(graph.Node{Kind: graph.Opaque, Type: "Relu"}, sum)
		}},
		{"norms in a row", 20_000, func(v int) int { return m.linear(norm, nil, v) }},
		{"points in a row", 20_000, point},
		{"kernels in a row", 20_000, kernel},
		{"kernels in a row without padding", 20_000, func(v int) int { return point(narrow(v)) }},
		{"sums of sums", 20_000, func(v int) int { return add(point(v), v, 0) }},
		{"each added to the one before", 20_000, func(v int) int { return add(v, max(0, v-1)) }},
		{"long branches", 20_000, func(v int) int {
			u := v
			for range 200 {
				u = m.linear(norm, nil, u)
			}
			return add(u, kernel(v))
		}},
		{"a sum of a hundred thousand", 100_000, func(int) int {
			inputs := make([]int, 99_999)
			for k := range inputs {
				inputs[k] = m.linear(op.Identity{}, nil, 0)
			}
			return add(inputs...)
		}},
		{"borders and sums behind a long way", 80_000, func(v int) int {
			if v < 40_000 {
				return m.linear(norm, nil, v)
			}
			m.linear(op.Identity{Padding: []int{1, 1}}, []int{1, 1}, 40_000)
			m.Nodes[len(m.Nodes)-1].Border = true
			return add(m.value(), 40_000)
		}},
	} {
		m.Graph = graph.Graph{}
		for v := m.value(); len(m.Nodes) < test.nodes; {
			v = test.next(v)
		}
		start := processor(t)
		regions, left, err := graph.Find(&m.Graph, graph.Options{})
		took := processor(t) - start
		t.Logf("%s: %v, %d regions, %d left", test.name, took, len(regions), len(left))
		if err != nil || took > time.Second {
			t.Errorf("%s: %d nodes take %v (%v)", test.name, len(m.Nodes), took, err)
		}
	}
}

// processor is the time that the processors have spent on the test: other programs do
// not lengthen it.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
