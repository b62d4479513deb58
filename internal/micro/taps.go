package micro

import (
	"math"
	"slices"
)

// Rows is the number of output rows that a step of the inner loops computes. Taps32,
// Taps64 and Packed64 take any multiple of it: as many as share a stretch of X
// while it is in the first cache.
const Rows = 8

// Lanes32 and Lanes64 are what the row length n of Taps32 and Taps64 must be a
// multiple of.
const (
	Lanes32 = 16
	Lanes64 = 8
)

// Taps64 adds to rows of C what a kernel makes of the rows of X:
//
//	C[o·ldc + p] += Σ_i Σ_t A[first + o·lda + i·T + t] · X[i·stride + off[t] + p]
//
// for o < rows, i < channels, t < T = len(off), p < n. Three things are this sum:
//
//   - a dense convolution: X is padded planes, one a channel, laid out flat, so that
//     a tap is a shift of the whole plane, and A the kernel as it is stored, o
//     output channels and i input channels;
//   - a product of matrices: one tap, off = {0};
//   - a convolution of one plane with one kernel: o are eight rows of the output, i
//     the rows of the input, t the columns of the kernel. As output row o meets
//     kernel row i−o, lda is minus a kernel row, and A has seven rows of zeros on
//     either side.
//
// The sum is made from zero and then added to C, so a caller who splits i keeps its
// chains of additions short: |error| ≤ (channels·T + 1)·2⁻⁵³·Σ|a·x| a call. The
// terms are added in the order of i and t, a product and its addition rounded at
// once: the same bits on every processor that can do that.
//
// rows is a multiple of Rows, n one of Lanes64, and lda may be negative. It panics where
// a slice is too short.
func Taps64(c []float64, ldc int, a []float64, first, lda int, x []float64, stride int, off []int, rows, channels, n int) {
	s := sums[float64]{c, ldc, a, first, lda, Rows * lda, 1, x, stride, off, rows, channels, n}
	if s.reach(Lanes64) {
		taps64(&s)
	}
}

// Taps32 is Taps64 in float32: |error| ≤ (channels·T + 1)·2⁻²⁴·Σ|a·x| a call, and n
// is a multiple of Lanes32.
func Taps32(c []float32, ldc int, a []float32, first, lda int, x []float32, stride int, off []int, rows, channels, n int) {
	s := sums[float32]{c, ldc, a, first, lda, Rows * lda, 1, x, stride, off, rows, channels, n}
	if s.reach(Lanes32) {
		taps32(&s)
	}
}

// sums is what Taps32 and Taps64 are asked for, where row o of A begins at
// first + ⌊o/8⌋·group + (o mod 8)·lda and its elements are step apart.
type sums[T float32 | float64] struct {
	c                       []T
	ldc                     int
	a                       []T
	first, lda, group, step int
	x                       []T
	stride                  int
	off                     []int
	rows, channels, n       int
}

// row is where row o of A begins.
func (s *sums[T]) row(o int) int { return s.first + o/Rows*s.group + o%Rows*s.lda }

// reach panics where s looks past a slice, and reports whether there is anything to do.
func (s *sums[T]) reach(lanes int) bool {
	if s.n <= 0 || s.channels <= 0 || s.rows <= 0 || len(s.off) == 0 {
		return false
	}
	if s.n%lanes != 0 || s.rows%Rows != 0 {
		panic("micro: the row length is no multiple of the lanes, or the rows none of eight")
	}
	low, high := s.off[0], s.off[0]
	for _, d := range s.off {
		low, high = min(low, d), max(high, d)
	}
	last := (s.channels - 1) * s.stride
	corners := []int{s.row(0), s.row(Rows - 1), s.row(s.rows - Rows), s.row(s.rows - 1)}
	ok := s.ldc >= s.n && (s.rows-1)*s.ldc+s.n <= len(s.c) &&
		slices.Min(corners) >= 0 && slices.Max(corners)+(s.channels*len(s.off)-1)*s.step < len(s.a) &&
		low+min(0, last) >= 0 && high+max(0, last)+s.n <= len(s.x)
	if !ok {
		panic("micro: a slice is too short for its taps")
	}
	return true
}

// stretch is how much of four rows of C plain Go sums up at a time, so that an
// element of X is loaded once for four products.
const stretch = 64

// taps is Taps32 and Taps64 in plain Go. add adds v[r]·x to each row r of sum.
func (s *sums[T]) taps(add func(sum *[4][stretch]T, v [4]T, x []T)) {
	var sum [4][stretch]T
	for p := 0; p < s.n; p += stretch {
		w := min(stretch, s.n-p)
		for o := 0; o < s.rows; o += 4 {
			clear(sum[:])
			at := s.row(o)
			for i := range s.channels {
				for t, d := range s.off {
					k := at + (i*len(s.off)+t)*s.step
					add(&sum, [4]T{s.a[k], s.a[k+s.lda], s.a[k+2*s.lda], s.a[k+3*s.lda]}, s.x[i*s.stride+d+p:][:w])
				}
			}
			for r := range sum {
				to := s.c[(o+r)*s.ldc+p:][:w]
				for j, v := range sum[r][:w] {
					to[j] += v
				}
			}
		}
	}
}

// plain64 is taps in float64 with the roundings of the assembly, where the processor
// can do that.
func plain64(s *sums[float64]) {
	if fused {
		s.taps(addFused)
		return
	}
	s.taps(addPlain)
}

func plain32(s *sums[float32]) { s.taps(addPlain) }

// addPlain rounds a product and an addition, or both at once where the compiler
// finds that faster.
func addPlain[T float32 | float64](sum *[4][stretch]T, v [4]T, x []T) {
	s0, s1, s2, s3 := sum[0][:len(x)], sum[1][:len(x)], sum[2][:len(x)], sum[3][:len(x)]
	for j, u := range x {
		s0[j] += v[0] * u
		s1[j] += v[1] * u
		s2[j] += v[2] * u
		s3[j] += v[3] * u
	}
}

// addFused rounds a product and an addition at once.
func addFused(sum *[4][stretch]float64, v [4]float64, x []float64) {
	s0, s1, s2, s3 := sum[0][:len(x)], sum[1][:len(x)], sum[2][:len(x)], sum[3][:len(x)]
	for j, u := range x {
		s0[j] = math.FMA(v[0], u, s0[j])
		s1[j] = math.FMA(v[1], u, s1[j])
		s2[j] = math.FMA(v[2], u, s2[j])
		s3[j] = math.FMA(v[3], u, s3[j])
	}
}
