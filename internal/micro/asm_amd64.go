package micro

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go run ./gen

// best is the highest level that the processor and the operating system have.
func best() level {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA || !x.HasF16C:
		return generic
	case !x.HasAVX512F || !x.HasAVX512BW || !x.HasAVX512DQ || !x.HasAVX512VL:
		return avx2
	default:
		return avx512
	}
}

// fused says that the processor has an instruction for math.FMA.
var fused = cpu.X86.HasFMA

// tile is the arguments of the routines for one tile of a sum. Distances are in
// bytes, but for those in the table off, which are in elements.
type tile struct {
	c, a, x, off           unsafe.Pointer
	ldc, lda, step, stride int
	taps, channels         int
}

// taps64 is Taps64 after its checks.
func taps64(s *sums[float64]) {
	if using == generic {
		plain64(s)
		return
	}
	s.tiles(8)
}

// taps32 is taps64 in float32.
func taps32(s *sums[float32]) {
	if using == generic {
		plain32(s)
		return
	}
	s.tiles(4)
}

// tiles adds all tiles of s, whose elements have size bytes: those below each other
// first, which look at the same of X.
func (s *sums[T]) tiles(size int) {
	t := tile{nil, nil, nil, unsafe.Pointer(&s.off[0]), size * s.ldc, size * s.lda, size * s.step, size * s.stride, len(s.off), s.channels}
	for p, vectors := 0, 0; p < s.n; p += vectors * lanes(size) {
		vectors = next((s.n - p) / lanes(size))
		t.x = unsafe.Pointer(&s.x[p])
		for o := 0; o < s.rows; o += height(vectors) {
			t.c, t.a = unsafe.Pointer(&s.c[o*s.ldc+p]), unsafe.Pointer(&s.a[s.row(o)])
			if size == 8 {
				tile64(&t, vectors)
			} else {
				tile32(&t, vectors)
			}
		}
	}
}

// winograd64 is Winograd64 after its checks; it reports whether it did anything.
func winograd64(dst []float64, next int, src []float64, ld, channels int) bool {
	if using == generic {
		return false
	}
	for o := 0; o < Rows; o += 4 {
		winograd4(unsafe.Pointer(&dst[o]), unsafe.Pointer(&src[o*ld]), 8*next, 8*ld, channels)
	}
	return true
}

//go:noescape
func winograd4(dst, src unsafe.Pointer, next, ld, channels int)

// lanes is the elements of size bytes in a vector.
func lanes(size int) int {
	if using == avx512 {
		return 64 / size
	}
	return 32 / size
}

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
	if using == avx2 && vectors > 1 {
		return 4
	}
	return Rows
}

func tile64(t *tile, vectors int) {
	switch {
	case using == avx512 && vectors == 3:
		taps64z3(t)
	case using == avx512 && vectors == 2:
		taps64z2(t)
	case using == avx512:
		taps64z1(t)
	case vectors == 3:
		taps64y3(t)
	case vectors == 2:
		taps64y2(t)
	default:
		taps64y1(t)
	}
}

func tile32(t *tile, vectors int) {
	switch {
	case using == avx512 && vectors == 3:
		taps32z3(t)
	case using == avx512 && vectors == 2:
		taps32z2(t)
	case using == avx512:
		taps32z1(t)
	case vectors == 3:
		taps32y3(t)
	case vectors == 2:
		taps32y2(t)
	default:
		taps32y1(t)
	}
}

//go:noescape
func taps64z3(t *tile)

//go:noescape
func taps64z2(t *tile)

//go:noescape
func taps64z1(t *tile)

//go:noescape
func taps64y3(t *tile)

//go:noescape
func taps64y2(t *tile)

//go:noescape
func taps64y1(t *tile)

//go:noescape
func taps32z3(t *tile)

//go:noescape
func taps32z2(t *tile)

//go:noescape
func taps32z1(t *tile)

//go:noescape
func taps32y3(t *tile)

//go:noescape
func taps32y2(t *tile)

//go:noescape
func taps32y1(t *tile)
