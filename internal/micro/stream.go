package micro

import (
	"encoding/binary"
	"math"
	"unsafe"

	"repfuse/internal/tensor"
)

// element is a type of stored element, little-endian.
type element uint8

const (
	f32 element = iota
	f16
	bf16
)

// size is the bytes of one element.
func (e element) size() int {
	if e == f32 {
		return 4
	}
	return 2
}

// ones is all bits of one element.
func (e element) ones() uint32 { return uint32(1<<(8*e.size()) - 1) }

// ScaleF32 sets dst[i] = a·src[i], where src holds little-endian float32 elements,
// one for each place of dst.
func ScaleF32(dst []float64, src []byte, a float64) { scaleAll(f32, dst, src, a) }

// ScaleF16 is ScaleF32 for float16 elements.
func ScaleF16(dst []float64, src []byte, a float64) { scaleAll(f16, dst, src, a) }

// ScaleBF16 is ScaleF32 for bfloat16 elements.
func ScaleBF16(dst []float64, src []byte, a float64) { scaleAll(bf16, dst, src, a) }

// Decode is tensor.Decode, by the fast pass where there is one: 1·x is x.
func Decode(dst []float64, src []byte, t tensor.Type) {
	switch t {
	case tensor.F32:
		ScaleF32(dst, src, 1)
	case tensor.F16:
		ScaleF16(dst, src, 1)
	case tensor.BF16:
		ScaleBF16(dst, src, 1)
	default:
		tensor.Decode(dst, src, t)
	}
}

// PickF32 sets sum[i] to a times element i·step of src, which holds little-endian
// float32 elements, and mag[i] to its magnitude. Both are of one length.
func PickF32(sum, mag []float64, src []byte, step int, a float64) { f32.pick(sum, mag, src, step, a) }

// PickF16 is PickF32 for float16 elements.
func PickF16(sum, mag []float64, src []byte, step int, a float64) { f16.pick(sum, mag, src, step, a) }

// PickBF16 is PickF32 for bfloat16 elements.
func PickBF16(sum, mag []float64, src []byte, step int, a float64) {
	bf16.pick(sum, mag, src, step, a)
}

// RoundF32 stores src as little-endian float32 elements, rounded to nearest even. It
// returns the bits that any of the elements has, and those that all have.
func RoundF32(dst []byte, src []float64) (some, all uint32) { return roundAll(f32, dst, src) }

// RoundF16 stores src as little-endian float16 elements, rounded once, to nearest
// even; what is too large becomes an infinity.
func RoundF16(dst []byte, src []float64) (some, all uint32) { return roundAll(f16, dst, src) }

// RoundBF16 is RoundF16 for bfloat16 elements.
func RoundBF16(dst []byte, src []float64) (some, all uint32) { return roundAll(bf16, dst, src) }

// RescaleF32 is ScaleF32, and RoundF32 of what that gives: one pass from stored elements
// to stored elements.
func RescaleF32(dst, src []byte, a float64) (some, all uint32) { return rescaleAll(f32, dst, src, a) }

// RescaleF16 is RescaleF32 for float16 elements.
func RescaleF16(dst, src []byte, a float64) (some, all uint32) { return rescaleAll(f16, dst, src, a) }

// RescaleBF16 is RescaleF32 for bfloat16 elements.
func RescaleBF16(dst, src []byte, a float64) (some, all uint32) { return rescaleAll(bf16, dst, src, a) }

// AddScaled adds a·w[i] to sum[i] and b·|m[i]| to mag[i], products and sums rounded
// separately. All are of one length.
func AddScaled(sum, mag, w, m []float64, a, b float64) {
	mag, w, m = mag[:len(sum)], w[:len(sum)], m[:len(sum)]
	for i := addScaled(sum, mag, w, m, a, b); i < len(sum); i++ {
		sum[i] += float64(a * w[i])
		mag[i] += float64(b * math.Abs(m[i]))
	}
}

// Magnify sets dst to |a·src[i]|. Both are of one length.
func Magnify(dst, src []float64, a float64) {
	src = src[:len(dst)]
	for i := magnify(dst, src, a); i < len(dst); i++ {
		dst[i] = math.Abs(a * src[i])
	}
}

// Settled is the index of the first sum whose magnitude is less than θ·mag[i], their
// number where there is none. Both are of one length.
func Settled(sum, mag []float64, theta float64) int {
	mag = mag[:len(sum)]
	i := settled(sum, mag, theta)
	for i < len(sum) && !(math.Abs(sum[i]) < theta*mag[i]) {
		i++
	}
	return i
}

// Alike is the index of the first sum for which sum[i] ± e·mag[i] are not the same
// float32, their number where there is none; they are the same where mag[i] is zero.
func Alike(sum, mag []float64, e float64) int {
	mag = mag[:len(sum)]
	i := alike(sum, mag, e)
	for ; i < len(sum); i++ {
		v, d := sum[i], float64(e*mag[i])
		if mag[i] > 0 && math.Float32bits(float32(v-d)) != math.Float32bits(float32(v+d)) {
			break
		}
	}
	return i
}

func scaleAll(e element, dst []float64, src []byte, a float64) {
	src = src[:e.size()*len(dst)]
	done := scale(e, dst, src, a)
	dst = dst[done:]
	e.load(dst, src[done*e.size():])
	for i, v := range dst {
		dst[i] = a * v
	}
}

func rescaleAll(e element, dst, src []byte, a float64) (some, all uint32) {
	src = src[:len(dst)]
	done, some, all := rescale(e, dst, src, a)
	dst, src = dst[done*e.size():], src[done*e.size():]
	var part [256]float64
	for len(dst) > 0 {
		x := part[:min(len(part), len(dst)/e.size())]
		n := len(x) * e.size()
		scaleAll(e, x, src[:n], a)
		any, every := roundAll(e, dst[:n], x)
		some, all, dst, src = some|any, all&every, dst[n:], src[n:]
	}
	return some, all & e.ones()
}

func roundAll(e element, dst []byte, src []float64) (some, all uint32) {
	dst = dst[:e.size()*len(src)]
	done, some, all := round(e, dst, src)
	dst, src = dst[done*e.size():], src[done:]
	e.store(dst, src)
	for ; len(dst) > 0; dst = dst[e.size():] {
		bits := uint32(binary.LittleEndian.Uint16(dst))
		if e == f32 {
			bits = binary.LittleEndian.Uint32(dst)
		}
		some, all = some|bits, all&bits
	}
	return some, all & e.ones()
}

// load sets dst to elements of src.
func (e element) load(dst []float64, src []byte) {
	le := binary.LittleEndian
	switch e {
	case f32:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(le.Uint32(src[4*i:])))
		}
	case f16:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(fromHalf(le.Uint16(src[2*i:]))))
		}
	case bf16:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16))
		}
	}
}

func (e element) pick(sum, mag []float64, src []byte, step int, a float64) {
	if len(sum) == 0 {
		return
	}
	mag, src = mag[:len(sum)], src[:((len(sum)-1)*step+1)*e.size()]
	done := pick(e, sum, mag, src, step, a)
	le, at := binary.LittleEndian, done*step*e.size()
	step *= e.size()
	for i := done; i < len(sum); i++ {
		var bits uint32
		switch e {
		case f32:
			bits = le.Uint32(src[at:])
		case f16:
			bits = fromHalf(le.Uint16(src[at:]))
		case bf16:
			bits = uint32(le.Uint16(src[at:])) << 16
		}
		v := a * float64(math.Float32frombits(bits))
		sum[i], mag[i] = v, math.Abs(v)
		at += step
	}
}

// Scatter puts elements of size bytes, 2, 4 or 8, at one place in every step of dst.
func Scatter(dst, src []byte, size, step int) {
	n := len(src) / size
	if n == 0 {
		return
	}
	step *= size
	_ = dst[(n-1)*step+size-1]
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	switch size {
	case 2:
		for i := range n {
			*(*[2]byte)(unsafe.Add(to, i*step)) = *(*[2]byte)(unsafe.Add(from, i*2))
		}
	case 4:
		for i := range n {
			*(*[4]byte)(unsafe.Add(to, i*step)) = *(*[4]byte)(unsafe.Add(from, i*4))
		}
	case 8:
		for i := range n {
			*(*[8]byte)(unsafe.Add(to, i*step)) = *(*[8]byte)(unsafe.Add(from, i*8))
		}
	}
}

// Floats is b as the float64 that its little-endian elements are, in place; ok reports
// whether that can be: the processor has to have their order, and b to begin at a
// multiple of eight.
func Floats(b []byte) (v []float64, ok bool) {
	if !little || len(b) == 0 || uintptr(unsafe.Pointer(&b[0]))%8 != 0 {
		return nil, false
	}
	return unsafe.Slice((*float64)(unsafe.Pointer(&b[0])), len(b)/8), true
}

// Singles is Floats for float32: b has to begin at a multiple of four.
func Singles(b []byte) (v []float32, ok bool) {
	if !little || len(b) == 0 || uintptr(unsafe.Pointer(&b[0]))%4 != 0 {
		return nil, false
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4), true
}

// Bytes is v as stored, in place; ok reports whether that can be.
func Bytes(v []float64) (b []byte, ok bool) {
	if !little || len(v) == 0 {
		return nil, false
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), 8*len(v)), true
}

// Halves is the memory of v as float32, two for each: what they hold is anything.
func Halves(v []float64) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(v))), 2*len(v))
}

// Narrow rounds src to dst, to nearest even. Both are of one length.
func Narrow(dst []float32, src []float64) {
	if little && len(dst) > 0 {
		RoundF32(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), 4*len(dst)), src)
		return
	}
	for i, v := range src {
		dst[i] = float32(v)
	}
}

// Widen sets dst to src. Both are of one length.
func Widen(dst []float64, src []float32) {
	if little && len(dst) > 0 {
		ScaleF32(dst, unsafe.Slice((*byte)(unsafe.Pointer(&src[0])), 4*len(src)), 1)
		return
	}
	for i, v := range src {
		dst[i] = float64(v)
	}
}

// LoadF32 sets dst to the little-endian float32 elements src, one for each place.
func LoadF32(dst []float32, src []byte) {
	src = src[:4*len(dst)]
	if little && len(dst) > 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), len(src)), src)
		return
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

// little reports whether the processor stores the low byte first.
var little = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// store rounds src to elements of dst.
func (e element) store(dst []byte, src []float64) {
	le := binary.LittleEndian
	switch e {
	case f32:
		for i, v := range src {
			le.PutUint32(dst[4*i:], math.Float32bits(float32(v)))
		}
	case f16:
		for i, v := range src {
			le.PutUint16(dst[2*i:], toHalf(odd(v)))
		}
	case bf16:
		for i, v := range src {
			le.PutUint16(dst[2*i:], toBrain(odd(v)))
		}
	}
}
