package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"repfuse/internal/parallel"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// throughElems is how many elements of a tensor are compared at a time.
const throughElems = 16 << 10

// passThrough compares what passes through with what it was.
func (r *run) passThrough(items []plan.Item) error {
	var pairs []pair
	for _, item := range items {
		if item.Kept == nil || r.amiss[item.Key] {
			continue
		}
		p := pair{key: item.Key, was: item.Kept.Tensor, is: r.dst[item.Key]}
		pairs = append(pairs, p)
		r.report.Through.Tensors++
		r.report.Through.Bytes += p.is.Bytes()
		if p.was.Type != p.is.Type {
			r.report.Through.Converted++
		}
	}
	found := make([]*Finding, len(pairs))
	err := parallel.Each(r.ctx, r.Jobs, len(pairs), func() func(k int) error {
		c := &comparer{}
		return func(k int) (err error) {
			if found[k], err = c.compare(pairs[k]); err != nil {
				err = fmt.Errorf("%s: %w", pairs[k].key, err)
			}
			return err
		}
	})
	for _, f := range found {
		if f != nil {
			r.report.Findings = append(r.report.Findings, *f)
		}
	}
	return err
}

// pair is a tensor that passes through, before and after.
type pair struct {
	key     string
	was, is tensor.Tensor
}

// comparer holds one goroutine's buffers.
type comparer struct {
	was, is, want []byte
	wide          []float64
}

// compare finds the first element that is not what it was, or, where the element
// type is another, not that rounded once.
func (c *comparer) compare(p pair) (*Finding, error) {
	was, err := p.was.Open()
	if err != nil {
		return nil, err
	}
	defer was.Close()
	is, err := p.is.Open()
	if err != nil {
		return nil, err
	}
	defer is.Close()
	n := p.was.Len()
	for at := 0; at < n; at += throughElems {
		count := min(throughElems, n-at)
		c.was, c.is = tensor.Sized(c.was, count*p.was.Type.Size()), tensor.Sized(c.is, count*p.is.Type.Size())
		if err := tensor.ReadFull(was, c.was, int64(at)*int64(p.was.Type.Size())); err != nil {
			return nil, err
		}
		if err := tensor.ReadFull(is, c.is, int64(at)*int64(p.is.Type.Size())); err != nil {
			return nil, err
		}
		want := c.rounded(p, count)
		if bytes.Equal(c.is, want) {
			continue
		}
		if k := firstUnlike(c.is, want, p); k >= 0 {
			size := p.is.Type.Size()
			return &Finding{Kind: Value, Key: p.key, Index: tensor.Place(at+k, p.is.Shape),
				Got:  show(c.is[k*size:(k+1)*size], p.is.Type),
				Want: show(want[k*size:(k+1)*size], p.is.Type)}, nil
		}
	}
	return nil, nil
}

// rounded is the source's elements in the result's type.
func (c *comparer) rounded(p pair, count int) []byte {
	if p.was.Type == p.is.Type {
		return c.was
	}
	c.wide, c.want = tensor.Sized(c.wide, count), tensor.Sized(c.want, count*p.is.Type.Size())
	tensor.Decode(c.wide, c.was, p.was.Type)
	tensor.Encode(c.want, c.wide, p.is.Type)
	return c.want
}

// firstUnlike is the first element whose bytes differ, or −1. Where the type was
// changed, one NaN is as good as another.
func firstUnlike(is, want []byte, p pair) int {
	size := p.is.Type.Size()
	for k := range len(is) / size {
		a, b := is[k*size:(k+1)*size], want[k*size:(k+1)*size]
		if bytes.Equal(a, b) {
			continue
		}
		var v [2]float64
		if p.was.Type != p.is.Type {
			tensor.Decode(v[:1], a, p.is.Type)
			tensor.Decode(v[1:], b, p.is.Type)
		}
		if !math.IsNaN(v[0]) || !math.IsNaN(v[1]) {
			return k
		}
	}
	return -1
}

// show is one stored element as text.
func show(b []byte, t tensor.Type) string {
	le := binary.LittleEndian
	switch {
	case t.IsFloat():
		v := make([]float64, 1)
		tensor.Decode(v, b, t)
		if v[0] == 0 || math.IsNaN(v[0]) { // values that several bit patterns stand for
			return fmt.Sprintf("%g (%#x)", v[0], reversed(b))
		}
		if t == tensor.F64 {
			return strconv.FormatFloat(v[0], 'g', -1, 64)
		}
		return strconv.FormatFloat(v[0], 'g', -1, 32)
	case t == tensor.I64:
		return strconv.FormatInt(int64(le.Uint64(b)), 10)
	case t == tensor.I32:
		return strconv.FormatInt(int64(int32(le.Uint32(b))), 10)
	case t == tensor.U8 || t == tensor.Bool:
		return strconv.Itoa(int(b[0]))
	default:
		return fmt.Sprintf("%#x", reversed(b))
	}
}

// reversed is little-endian bytes as one reads a number.
func reversed(b []byte) []byte {
	r := make([]byte, len(b))
	for i, v := range b {
		r[len(b)-1-i] = v
	}
	return r
}
