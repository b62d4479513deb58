package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// intAttr is an attribute that is one number.
func intAttr(n *Node, name string, otherwise int64) int64 {
	if a := n.Attr(name); a != nil {
		return a.Int
	}
	return otherwise
}

// axisOf is the attribute axis, counted from the first of rank axes; ok is false where it
// is none of them, or where it is needed and not there.
func axisOf(n *Node, rank int, otherwise int64) (axis int, ok bool) {
	return onAxis(intAttr(n, "axis", otherwise), rank)
}

// onAxis is one of n axes, or of n places on an axis, counted from the first, where a negative v is counted from
// behind; ok is false where it is none of them.
func onAxis(v int64, n int) (k int, ok bool) {
	if v < 0 {
		v += int64(n)
	}
	return int(v), v >= 0 && v < int64(n)
}

// textAttr is an attribute that is a word.
func textAttr(n *Node, name, otherwise string) string {
	if a := n.Attr(name); a != nil {
		return a.Text
	}
	return otherwise
}

// axesOf marks the axes that a node reduces, adds or takes away: an attribute, or from some
// opset on its second input. Where there is neither, all are marked.
func axesOf(n *Node, rank int, ints func(k int) ([]int64, bool)) (marked []bool, ok bool) {
	var axes []int64
	if a := n.Attr("axes"); a != nil {
		axes = a.Ints
	} else if len(n.In) > 1 && n.In[1] != nil {
		if axes, ok = ints(1); !ok {
			return nil, false
		}
	} else {
		return slices.Repeat([]bool{true}, rank), true
	}
	marked = make([]bool, rank)
	for _, v := range axes {
		axis, ok := onAxis(v, rank)
		if !ok || marked[axis] {
			return nil, false
		}
		marked[axis] = true
	}
	return marked, true
}

// reducedAxes is axesOf for a reduction: an empty list is all of them, unless the node says that it is none.
func reducedAxes(n *Node, rank int, ints func(k int) ([]int64, bool)) ([]bool, bool) {
	marked, ok := axesOf(n, rank, ints)
	if ok && !slices.Contains(marked, true) && intAttr(n, "noop_with_empty_axes", 0) == 0 {
		marked = slices.Repeat([]bool{true}, rank)
	}
	return marked, ok
}

// permutation is the axes of a transposition, nil where they are none.
func permutation(n *Node, rank int) []int {
	perm := make([]int, rank)
	for k := range perm {
		perm[k] = rank - 1 - k
	}
	if a := n.Attr("perm"); a != nil {
		if len(a.Ints) != rank {
			return nil
		}
		for k, v := range a.Ints {
			if v < 0 || v >= int64(rank) || slices.Contains(a.Ints[:k], v) {
				return nil
			}
			perm[k] = int(v)
		}
	}
	return perm
}

// cut is what a Slice does to one axis: elements from, from+step, ... while they are
// before to; after is how many are left away behind, where the axis has no known length.
type cut struct {
	from, step, count, after int
}

var errCut = errors.New("a slice of unknown extent")

// cutsOf reads a Slice of a value of that shape, in either form: attributes, or inputs.
// count is −1 where the extent is unknown.
func cutsOf(n *Node, shape []int, ints func(k int) ([]int64, bool)) ([]cut, error) {
	var lists [4][]int64 // starts, ends, axes, steps
	for k, name := range []string{"starts", "ends", "axes", "steps"} {
		ok := true
		if a := n.Attr(name); a != nil {
			lists[k] = a.Ints
		} else if k+1 < len(n.In) && n.In[k+1] != nil {
			lists[k], ok = ints(k + 1)
		} else {
			ok = k > 1
		}
		if !ok {
			return nil, errCut
		}
	}
	cuts := make([]cut, len(shape))
	for k, d := range shape {
		cuts[k] = cut{0, 1, d, 0}
	}
	for k, start := range lists[0] {
		given, step := int64(k), int64(1)
		if k < len(lists[2]) {
			given = lists[2][k]
		}
		if k < len(lists[3]) {
			step = lists[3][k]
		}
		axis, ok := onAxis(given, len(shape))
		if !ok || k >= len(lists[1]) || step == 0 || step > math.MaxInt32 || step < -math.MaxInt32 {
			return nil, fmt.Errorf("a slice along axis %d of %d", axis, len(shape))
		}
		var err error
		if cuts[axis], err = cutOf(start, lists[1][k], step, shape[axis]); err != nil {
			return nil, err
		}
	}
	return cuts, nil
}

// cutOf is what start, end and step take of an axis of n elements, −1 unknown.
func cutOf(start, end, step int64, n int) (cut, error) {
	if n < 0 {
		switch {
		case step < 1 || start < 0 || start > math.MaxInt32:
			return cut{}, errCut
		case end < 0 && end > math.MinInt32:
			return cut{int(start), int(step), -1, int(-end)}, nil
		case end >= math.MaxInt32:
			return cut{int(start), int(step), -1, 0}, nil
		}
		return cut{}, errCut
	}
	size := int64(n)
	if start < 0 {
		start += size
	}
	if end < 0 && end > math.MinInt32 {
		end += size
	}
	if step < 0 {
		start, end = min(max(start, -1), size-1), min(max(end, -1), size-1)
		return cut{int(start), int(step), int(max(0, (end-start+step+1)/step)), 0}, nil
	}
	start, end = min(max(start, 0), size), min(max(end, 0), size)
	return cut{int(start), int(step), int(max(0, (end-start+step-1)/step)), int(size - end)}, nil
}

// sliding is how a kernel is moved over a map: a convolution or a pool.
type sliding struct {
	stride, dilation, begin, end []int
	ceil                         bool
}

var errPad = errors.New("padding that depends on an unknown size")

// slidingOf reads the attributes of a kernel of that extent, for an input of that shape.
func slidingOf(n *Node, shape, kernel []int) (sliding, error) {
	rank := len(kernel)
	s := sliding{slices.Repeat([]int{1}, rank), slices.Repeat([]int{1}, rank), make([]int, rank), make([]int, rank), intAttr(n, "ceil_mode", 0) != 0}
	pads := slices.Concat(s.begin, s.end)
	for _, list := range []struct {
		name  string
		to    []int
		least int64
	}{{"strides", s.stride, 1}, {"dilations", s.dilation, 1}, {"pads", pads, 0}} {
		name, to, least := list.name, list.to, list.least
		a := n.Attr(name)
		if a == nil {
			continue
		}
		if len(a.Ints) != len(to) {
			return s, fmt.Errorf("%d %s, want %d", len(a.Ints), name, len(to))
		}
		for k, v := range a.Ints {
			if v < least || v > math.MaxInt32 {
				return s, fmt.Errorf("%s %d", name, v)
			}
			to[k] = int(v)
		}
	}
	copy(s.begin, pads)
	copy(s.end, pads[rank:])
	if auto := textAttr(n, "auto_pad", ""); auto != "" && auto != "NOTSET" {
		return s, s.auto(auto, shape, kernel)
	}
	return s, nil
}

// auto finds the padding that auto_pad stands for.
func (s *sliding) auto(how string, shape, kernel []int) error {
	for a, k := range kernel {
		total := 0
		switch span := s.dilation[a]*(k-1) + 1; {
		case how == "VALID":
		case how != "SAME_UPPER" && how != "SAME_LOWER":
			return fmt.Errorf("auto_pad %q", how)
		case s.stride[a] == 1:
			total = span - 1
		case len(shape) != len(kernel)+2 || shape[a+2] < 0:
			return errPad
		default:
			n := shape[a+2]
			total = max(0, ((n+s.stride[a]-1)/s.stride[a]-1)*s.stride[a]+span-n)
		}
		s.begin[a], s.end[a] = total/2, total-total/2
		if how == "SAME_LOWER" {
			s.begin[a], s.end[a] = s.end[a], s.begin[a]
		}
	}
	return nil
}

// over is the extents of the result, −1 where one is unknown.
func (s *sliding) over(shape, kernel []int) []int {
	out := make([]int, len(kernel))
	for a, k := range kernel {
		out[a] = -1
		if len(shape) != len(kernel)+2 || shape[a+2] < 0 || s.ceil {
			continue
		}
		if room := shape[a+2] + s.begin[a] + s.end[a] - s.dilation[a]*(k-1) - 1; room >= 0 {
			out[a] = room/s.stride[a] + 1
		}
	}
	return out
}

// padsOf reads what a Pad node puts before and after each of rank axes, in any of its
// forms: attributes, or inputs. Negative ones crop.
func padsOf(n *Node, rank int, ints func(k int) ([]int64, bool)) (begin, end []int, err error) {
	pads, ok := ints(1)
	for _, name := range []string{"pads", "paddings"} { // the latter until opset 1
		if a := n.Attr(name); a != nil {
			pads, ok = a.Ints, true
		}
	}
	axes := make([]int64, rank)
	for k := range axes {
		axes[k] = int64(k)
	}
	if len(n.In) > 3 && n.In[3] != nil {
		var known bool
		axes, known = ints(3)
		ok = ok && known
	}
	if !ok || len(pads) != 2*len(axes) {
		return nil, nil, errPad
	}
	begin, end = make([]int, rank), make([]int, rank)
	for k, given := range axes {
		a, ok := onAxis(given, rank)
		b, e := pads[k], pads[len(axes)+k]
		if !ok || max(b, -b, e, -e) > math.MaxInt32 {
			return nil, nil, fmt.Errorf("pads of axis %d", a)
		}
		begin[a], end[a] = int(b), int(e)
	}
	return begin, end, nil
}
