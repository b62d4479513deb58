package micro

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go run ./gen

var hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C

// fused says that the processor has an instruction for math.FMA.
var fused = cpu.X86.HasFMA

// tile is the arguments of the routines for one tile of a sum. Distances are in
// bytes, except for those in the table off, which are in elements.
type tile struct {
	c, a, x, off           unsafe.Pointer
	ldc, lda, step, stride int
	taps, channels         int
}

// taps64 is Taps64 after its checks.
func taps64(s *sums[float64]) {
	if !avx2 {
		plain64(s)
		return
	}
	s.tiles(8)
}

// taps32 is taps64 in float32.
func taps32(s *sums[float32]) {
	if !avx2 {
		plain32(s)
		return
	}
	s.tiles(4)
}

// tiles adds all tiles of s, whose elements have size bytes: those below each other
// first, which look at the same of X.
func (s *sums[T]) tiles(size int) {
	t := tile{nil, nil, nil, unsafe.Pointer(&s.off[0]), size * s.ldc, size * s.lda, size * s.step, size * s.stride, len(s.off), s.channels}
	for p, vectors := 0, 0; p < s.n; p += vectors * vector / size {
		vectors = next((s.n - p) * size / vector)
		t.x = unsafe.Pointer(&s.x[p])
		for o := 0; o < s.rows; o += height(vectors) {
			t.c, t.a = unsafe.Pointer(&s.c[o*s.ldc+p]), unsafe.Pointer(&s.a[s.row(o)])
			t.add(size, vectors)
		}
	}
}

// add runs the routine for a tile that is so many vectors wide.
func (t *tile) add(size, vectors int) {
	switch [2]int{8 * size, vectors} {
	case [2]int{64, 3}:
		taps64x3(t)
	case [2]int{64, 2}:
		taps64x2(t)
	case [2]int{64, 1}:
		taps64x1(t)
	case [2]int{32, 3}:
		taps32x3(t)
	case [2]int{32, 2}:
		taps32x2(t)
	case [2]int{32, 1}:
		taps32x1(t)
	}
}

// vector is the bytes of one.
const vector = 32

// winograd64 is Winograd64 after its checks; it reports whether it did anything.
func winograd64(dst []float64, next int, src []float64, ld, channels int) bool {
	if !avx2 {
		return false
	}
	for o := 0; o < Rows; o += 4 {
		winograd4(unsafe.Pointer(&dst[o]), unsafe.Pointer(&src[o*ld]), 8*next, 8*ld, channels)
	}
	return true
}

//go:noescape
func winograd4(dst, src unsafe.Pointer, next, ld, channels int)

// next is the width of the tile to begin a row with that has so many vectors left:
// three, but four are two and two.
func next(vectors int) int {
	if vectors == 4 {
		return 2
	}
	return min(vectors, 3)
}

// height is the rows of a tile of the given width.
func height(vectors int) int {
	if vectors > 1 {
		return 4
	}
	return Rows
}

//go:noescape
func taps64x3(t *tile)

//go:noescape
func taps64x2(t *tile)

//go:noescape
func taps64x1(t *tile)

//go:noescape
func taps32x3(t *tile)

//go:noescape
func taps32x2(t *tile)

//go:noescape
func taps32x1(t *tile)
