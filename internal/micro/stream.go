package micro

import (
	"encoding/binary"
	"math"
	"unsafe"

	"repfuse/internal/tensor"
)

// Scale sets dst[i] = a·src[i], where src holds stored elements of type t, one for each
// place of dst.
func Scale(dst []float64, src []byte, t tensor.Type, a float64) {
	src = src[:t.Size()*len(dst)]
	done := scale(dst, src, t, a)
	dst = dst[done:]
	tensor.Decode(dst, src[done*t.Size():], t)
	if a == 1 {
		return
	}
	for i, v := range dst {
		dst[i] = a * v
	}
}

// Decode is tensor.Decode, by the fast pass where there is one: 1·x is x. src may be the end
// of dst's own memory.
func Decode(dst []float64, src []byte, t tensor.Type) { Scale(dst, src, t, 1) }

// Pick sets sum[i] to a times element i·step of src, which holds stored elements of type
// t, and mag[i] to its magnitude. Both are of one length.
func Pick(sum, mag []float64, src []byte, t tensor.Type, step int, a float64) {
	if len(sum) == 0 {
		return
	}
	size := t.Size()
	mag, src = mag[:len(sum)], src[:((len(sum)-1)*step+1)*size]
	if step == 1 {
		Scale(sum, src, t, a)
		Magnify(mag, sum, 1)
		return
	}
	for i := pick(sum, mag, src, t, step, a); i < len(sum); i++ {
		tensor.Decode(sum[i:i+1], src[i*step*size:], t)
		sum[i] *= a
		mag[i] = math.Abs(sum[i])
	}
}

// Round stores src as elements of type t, float32, float16 or bfloat16, rounded once, to
// nearest even; what is too large becomes an infinity. It returns the bits that any of
// the elements has, and those that all have.
func Round(dst []byte, src []float64, t tensor.Type) (some, all uint32) {
	size := t.Size()
	dst = dst[:size*len(src)]
	done, some, all := round(dst, src, t)
	dst, src = dst[done*size:], src[done:]
	tensor.Encode(dst, src, t)
	for ; len(dst) > 0; dst = dst[size:] {
		bits := uint32(binary.LittleEndian.Uint16(dst))
		if t == tensor.F32 {
			bits = binary.LittleEndian.Uint32(dst)
		}
		some, all = some|bits, all&bits
	}
	return some, all & ones(t)
}

// ones is all bits of one element.
func ones(t tensor.Type) uint32 { return uint32(1<<(8*t.Size()) - 1) }

// Rescale is Scale, and Round of what that gives: one pass from stored elements to stored
// elements of the same type.
func Rescale(dst, src []byte, t tensor.Type, a float64) (some, all uint32) {
	size := t.Size()
	src = src[:len(dst)]
	done, some, all := rescale(dst, src, t, a)
	dst, src = dst[done*size:], src[done*size:]
	var part [256]float64
	for len(dst) > 0 {
		x := part[:min(len(part), len(dst)/size)]
		n := len(x) * size
		Scale(x, src[:n], t, a)
		any, every := Round(dst[:n], x, t)
		some, all, dst, src = some|any, all&every, dst[n:], src[n:]
	}
	return some, all & ones(t)
}

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
	for i, v := range src {
		dst[i] = math.Abs(a * v)
	}
}

// Settled is the index of the first sum whose magnitude is less than θ·mag[i], their
// number where there is none. Both are of one length.
func Settled(sum, mag []float64, theta float64) int {
	mag = mag[:len(sum)]
	for i, v := range sum {
		if math.Abs(v) < float64(theta*mag[i]) {
			return i
		}
	}
	return len(sum)
}

// Alike is the index of the first sum for which sum[i] ± e·mag[i] are not the same
// float32, their number where there is none; they are the same where mag[i] is zero.
func Alike(sum, mag []float64, e float64) int {
	mag = mag[:len(sum)]
	for i, v := range sum {
		d := float64(e * mag[i])
		if math.Float32bits(float32(v-d)) != math.Float32bits(float32(v+d)) && mag[i] > 0 {
			return i
		}
	}
	return len(sum)
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
		Round(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), 4*len(dst)), src, tensor.F32)
		return
	}
	for i, v := range src {
		dst[i] = float32(v)
	}
}

// Widen sets dst to src. Both are of one length.
func Widen(dst []float64, src []float32) {
	if little && len(dst) > 0 {
		Scale(dst, unsafe.Slice((*byte)(unsafe.Pointer(&src[0])), 4*len(src)), tensor.F32, 1)
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
