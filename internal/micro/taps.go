package micro

import "math"

// Rows is the number of output rows that Taps32 and Taps64 compute at once.
const Rows = 8

// Lanes32 and Lanes64 are what the row length n of Taps32 and Taps64 must be a
// multiple of.
const (
	Lanes32 = 16
	Lanes64 = 8
)

// Taps64 adds to eight rows of C what a kernel makes of the rows of X:
//
//	C[o·ldc + p] += Σ_i Σ_t A[first + o·lda + i·T + t] · X[i·stride + off[t] + p]
//
// for o < 8, i < channels, t < T = len(off), p < n. Three things are this sum:
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
// n is a multiple of Lanes64 and lda may be negative. It panics where a slice is too
// short.
func Taps64(c []float64, ldc int, a []float64, first, lda int, x []float64, stride int, off []int, channels, n int) {
	if !reach(len(c), ldc, len(a), first, lda, len(x), stride, off, channels, n, Lanes64) {
		return
	}
	taps64(c, ldc, a, first, lda, 1, x, stride, off, channels, n)
}

// Taps32 is Taps64 in float32: |error| ≤ (channels·T + 1)·2⁻²⁴·Σ|a·x| a call, and n
// is a multiple of Lanes32.
func Taps32(c []float32, ldc int, a []float32, first, lda int, x []float32, stride int, off []int, channels, n int) {
	if !reach(len(c), ldc, len(a), first, lda, len(x), stride, off, channels, n, Lanes32) {
		return
	}
	taps32(c, ldc, a, first, lda, 1, x, stride, off, channels, n)
}

// reach panics where the arguments of Taps32 or Taps64 look past a slice, and
// reports whether there is anything to do.
func reach(c, ldc, a, first, lda, x, stride int, off []int, channels, n, lanes int) bool {
	if n <= 0 || channels <= 0 || len(off) == 0 {
		return false
	}
	if n%lanes != 0 {
		panic("micro: the row length is no multiple of the lanes")
	}
	low, high := off[0], off[0]
	for _, d := range off {
		low, high = min(low, d), max(high, d)
	}
	last := (channels - 1) * stride
	ok := ldc >= n && (Rows-1)*ldc+n <= c &&
		first+min(0, (Rows-1)*lda) >= 0 && first+max(0, (Rows-1)*lda)+channels*len(off) <= a &&
		low+min(0, last) >= 0 && high+max(0, last)+n <= x
	if !ok {
		panic("micro: a slice is too short for its taps")
	}
	return true
}

// stretch is how much of four rows of C plain Go sums up at a time, so that an
// element of X is loaded once for four products.
const stretch = 64

// taps is Taps32 and Taps64 in plain Go, where the elements of a row of A are step
// apart. add adds v[r]·x to each row r of sum.
func taps[T float32 | float64](c []T, ldc int, a []T, first, lda, step int, x []T, stride int, off []int, channels, n int,
	add func(sum *[4][stretch]T, v [4]T, x []T)) {
	var sum [4][stretch]T
	for p := 0; p < n; p += stretch {
		w := min(stretch, n-p)
		for o := 0; o < Rows; o += 4 {
			clear(sum[:])
			at := first + o*lda
			for i := range channels {
				for t, d := range off {
					k := at + (i*len(off)+t)*step
					add(&sum, [4]T{a[k], a[k+lda], a[k+2*lda], a[k+3*lda]}, x[i*stride+d+p:][:w])
				}
			}
			for r := range sum {
				to := c[(o+r)*ldc+p:][:w]
				for j, v := range sum[r][:w] {
					to[j] += v
				}
			}
		}
	}
}

// plain64 is taps in float64 with the roundings of the assembly, where the processor
// can do that.
func plain64(c []float64, ldc int, a []float64, first, lda, step int, x []float64, stride int, off []int, channels, n int) {
	if fused {
		taps(c, ldc, a, first, lda, step, x, stride, off, channels, n, addFused)
		return
	}
	taps(c, ldc, a, first, lda, step, x, stride, off, channels, n, addPlain)
}

func plain32(c []float32, ldc int, a []float32, first, lda, step int, x []float32, stride int, off []int, channels, n int) {
	taps(c, ldc, a, first, lda, step, x, stride, off, channels, n, addPlain)
}

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
