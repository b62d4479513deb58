package conv

import (
	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// arithmetic is what maps of a type of element are computed with.
type arithmetic[T element] struct {
	typ   tensor.Type
	size  int // of an element, in bytes
	lanes int // elements that every length is a multiple of

	taps func(c []T, ldc int, a []T, first, lda int, x []T, stride int, off []int, rows, channels, n int)
	// packed and winograd are nil where winograd is no faster than the plain sum.
	packed   func(c []T, ldc int, a []T, group int, x []T, stride, rows, channels, n int)
	winograd func(dst []T, next int, src []T, ld, channels int)
	inPlace  func(stored []byte) (v []T, ok bool)
	narrow   func(dst []T, src []float64)
	widen    func(dst []float64, src []T)
	of       func(memory []float64) []T
	worker   func(*Workspace) *worker[T]
}

var (
	in32 = &arithmetic[float32]{typ: tensor.F32, size: 4, lanes: micro.Lanes32, taps: micro.Taps32,
		inPlace: micro.Singles, narrow: micro.Narrow, widen: micro.Widen, of: micro.Halves, worker: func(s *Workspace) *worker[float32] { return &s.in32 }}
	in64 = &arithmetic[float64]{typ: tensor.F64, size: 8, lanes: micro.Lanes64, taps: micro.Taps64, packed: micro.Packed64, winograd: micro.Winograd64,
		inPlace: micro.Floats, narrow: func(dst, src []float64) { copy(dst, src) }, widen: func(dst, src []float64) { copy(dst, src) }, of: func(memory []float64) []float64 { return memory }, worker: func(s *Workspace) *worker[float64] { return &s.in64 }}
)
