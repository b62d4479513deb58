package op_test

import (
	"slices"
	"strings"
	"testing"

	"repfuse/internal/op"
)

// apart is an expression on channels from to to-1 of twelve, that no other part has.
func apart(from, to int, parts ...op.Expr) op.Expr {
	return append(op.Seq{op.Select{From: from, To: to, Of: 12, Apart: true}}, parts...)
}

// A concat of channels apart is a kernel of blocks on its diagonal: as many groups as fit those of its parts.
func TestApart(t *testing.T) {
	x := op.AvgPool{Kernel: []int{1, 1}}
	g2, g3 := kernel(6, 2, 3, 3), kernel(6, 3, 3, 3) // of 6 channels in groups of 2 and 3
	plain := op.Seq{op.Select{From: 6, To: 12, Of: 12}, g2}
	for _, test := range []struct {
		name   string
		e      op.Expr
		groups int
		shape  []int
	}{
		{"depthwise", op.Concat{apart(0, 4, x), apart(4, 12, norm(8))}, 12, []int{12, 1, 1, 1}},
		{"an identity falls into groups of any size", op.Concat{apart(0, 6, x), apart(6, 12, g2)}, 6, []int{12, 2, 3, 3}},
		{"two kernels", op.Concat{apart(0, 6, g2), apart(6, 12, g2)}, 6, []int{12, 2, 3, 3}},
		{"groups of 2 and 3", op.Concat{apart(0, 6, g2), apart(6, 12, g3)}, 2, []int{12, 6, 3, 3}},
		{"wider outputs", op.Concat{apart(0, 6, kernel(12, 2, 3, 3)), apart(6, 12, kernel(12, 2, 1, 1))}, 6, []int{24, 2, 3, 3}},
		{"a sum within", op.Concat{apart(0, 6, op.Sum{x, g2}), apart(6, 12, x)}, 6, []int{12, 2, 3, 3}},
		{"a sum of parts", op.Concat{apart(0, 6, x), op.Sum{apart(6, 12, x), apart(6, 12, g2)}}, 6, []int{12, 2, 3, 3}},
		{"among what acts on channels", op.Seq{norm(12), op.Concat{op.Seq{norm(12), apart(0, 6, x)}, apart(6, 12, g2)}, norm(12)}, 6, []int{12, 2, 3, 3}},
		{"behind a kernel of all", op.Seq{kernel(12, 12, 1, 1), op.Concat{apart(0, 6, x), apart(6, 12, g2)}}, 1, []int{12, 12, 3, 3}},
		{"without the word it is dense", op.Concat{op.Select{From: 0, To: 6, Of: 12}, plain}, 1, []int{12, 12, 3, 3}},
	} {
		f, err := op.CheckFrom(test.e, 12, 2)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := f.WeightShape(); f.Groups != test.groups || !slices.Equal(got, test.shape) {
			t.Errorf("%s: %v in %d groups, want %v in %d", test.name, got, f.Groups, test.shape, test.groups)
		}
	}
	for _, test := range []struct {
		name string
		e    op.Expr
		want string
	}{
		{"out of order", op.Concat{apart(4, 8, x), apart(0, 4, x), apart(8, 12, x)}, "4:8 in groups of 1 to 1, 0:4 in groups of 1 to 1, 8:12"},
		{"some left over", op.Concat{apart(0, 6, x), apart(6, 10, x)}, "want parts that read each of 12 once"},
		{"one that reads all", op.Concat{apart(0, 6, x), plain}, "read 0:6 in groups of 1 to 1, all, want"},
		{"behind a kernel of all", op.Concat{op.Seq{kernel(12, 12, 3, 3), apart(0, 6)}, apart(6, 12, x)}, "read all, 6:12"},
		{"a sum of two", op.Concat{op.Sum{apart(0, 6, g2), apart(6, 12, g2)}, apart(6, 12, g2)}, "read all, 6:12"},
		{"groups of two sizes", op.Concat{apart(0, 4, kernel(4, 2, 3, 3)), apart(4, 10, g3), apart(10, 12, x)}, "0:4 in groups of 2 to 2, 4:10 in groups of 3 to 3"},
		{"groups with more outputs", op.Concat{apart(0, 6, kernel(12, 2, 3, 3)), apart(6, 12, g2)}, "0:6 in groups of 2 to 4, 6:12 in groups of 2 to 2"},
	} {
		if _, err := op.CheckFrom(test.e, 12, 2); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one that says %q", test.name, err, test.want)
		}
	}
}
