package fuse

import (
	"encoding/binary"
	"fmt"
	"math"

	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// notFinite is the error of an element of a source tensor.
func notFinite(key string, i int, x float64) error {
	return fmt.Errorf("%s[%d] is %g, want a finite number", key, i, x)
}

// encode stores src, rounded to nearest even, and tells what there is among the
// elements. Where they all have ordinary exponents, as nearly always, it is told without
// looking again.
func encode(dst []byte, src []float64, t tensor.Type) found {
	if t == tensor.F64 {
		if v, ok := micro.Floats(dst); ok {
			copy(v, src)
		} else {
			tensor.Encode(dst, src, t)
		}
		return scan(dst, t)
	}
	some, all := micro.Round(dst, src, t)
	return masksOf(t).tell(dst, t, some, all)
}

// tell is what there is among the elements of b, of which the bits are known that any
// has and that all have.
func (m masks) tell(b []byte, t tensor.Type, some, all uint32) found {
	if uint64(some)&m.high == 0 && uint64(all)&m.second != 0 {
		return found{}
	}
	return scan(b, t)
}

// recode stores a times the stored elements src, rounded once, and tells what encode
// tells.
func recode(dst []byte, to tensor.Type, src []byte, from tensor.Type, a float64) found {
	if to == from && to != tensor.F64 {
		some, all := micro.Rescale(dst, src, to, a)
		return masksOf(to).tell(dst, to, some, all)
	}
	if v, ok := micro.Floats(src); ok && from == tensor.F64 && a == 1 {
		return encode(dst, v, to)
	}
	if v, ok := micro.Floats(dst); ok && to == tensor.F64 {
		micro.Scale(v, src, from, a)
		return scan(dst, to)
	}
	var seen found
	var part [512]float64
	for len(src) > 0 {
		v := part[:min(len(part), len(src)/from.Size())]
		n := len(v) * to.Size()
		micro.Scale(v, src[:len(v)*from.Size()], from, a)
		seen = seen.or(encode(dst[:n], v, to))
		dst, src = dst[n:], src[len(v)*from.Size():]
	}
	return seen
}

// found is what a look at stored elements tells.
type found struct {
	infinite bool // an infinity or a NaN is among them
	small    bool // a zero or a subnormal is
}

func (f found) or(g found) found { return found{f.infinite || g.infinite, f.small || g.small} }

// scan looks at the exponents of stored elements: all ones, or all zeros.
func scan(b []byte, t tensor.Type) found {
	var f found
	m := masksOf(t)
	for ; len(b) >= stretch; b = b[stretch:] {
		if part := (*[stretch]byte)(b); !m.ordinary(part) {
			m.look(part[:], &f)
		}
	}
	for ; len(b) >= 8; b = b[8:] {
		m.look(b[:8], &f)
	}
	for ; len(b) > 0; b = b[t.Size():] {
		var word [8]byte // the element, over and over
		for at := 0; at < 8; at += t.Size() {
			copy(word[at:], b[:t.Size()])
		}
		m.look(word[:], &f)
	}
	return f
}

// stretch is how many bytes are looked over at a time.
const stretch = 512

// masks are, for a word of several elements, their exponents, the exponents' lowest,
// highest and second bits, and their signs.
type masks struct{ exp, low, high, second, sign uint64 }

// ordinary reports that all elements are less than 2 and none is tiny (in float32,
// less than 2⁻⁶³): their exponents begin with 01. That is soon seen, and so are most.
func (m masks) ordinary(b *[stretch]byte) bool {
	le := binary.LittleEndian
	any, all := uint64(0), ^uint64(0)
	for i := 0; i < stretch; i += 32 {
		q := (*[32]byte)(b[i:])
		w0, w1, w2, w3 := le.Uint64(q[:]), le.Uint64(q[8:]), le.Uint64(q[16:]), le.Uint64(q[24:])
		any |= w0 | w1 | w2 | w3
		all &= w0 & w1 & w2 & w3
	}
	return any&m.high == 0 && all&m.second == m.second
}

// look notes in f what there is in some words.
func (m masks) look(b []byte, f *found) {
	var over, normal uint64 = 0, m.sign
	for ; len(b) >= 8; b = b[8:] {
		e := binary.LittleEndian.Uint64(b) & m.exp
		over |= e + m.low   // carries into the sign where the exponent is all ones
		normal &= e + m.exp // and here where it is not zero
	}
	f.infinite = f.infinite || over&m.sign != 0
	f.small = f.small || normal&m.sign != m.sign
}

func masksOf(t tensor.Type) masks {
	switch t {
	case tensor.F16:
		return masks{0x7c007c007c007c00, 0x0400040004000400, 0x4000400040004000, 0x2000200020002000, 0x8000800080008000}
	case tensor.BF16:
		return masks{0x7f807f807f807f80, 0x0080008000800080, 0x4000400040004000, 0x2000200020002000, 0x8000800080008000}
	case tensor.F32:
		return masks{0x7f8000007f800000, 0x0080000000800000, 0x4000000040000000, 0x2000000020000000, 0x8000000080000000}
	default:
		return masks{0x7ff0000000000000, 0x0010000000000000, 0x4000000000000000, 0x2000000000000000, 0x8000000000000000}
	}
}

// countSmall counts the values that are not zero and less than the smallest normal
// element.
func countSmall(v []float64, t tensor.Type) int {
	least := math.Ldexp(1, [...]int{tensor.F16: -14, tensor.BF16: -126, tensor.F32: -126, tensor.F64: -1022}[t])
	n := 0
	for _, x := range v {
		if x != 0 && math.Abs(x) < least {
			n++
		}
	}
	return n
}
