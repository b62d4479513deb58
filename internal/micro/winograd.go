package micro

// Packed64 is Taps64 with one tap and each eight rows of A side by side, which is a
// product of matrices:
//
//	C[o·ldc + p] += Σ_i A[⌊o/8⌋·group + 8·i + o mod 8] · X[i·stride + p]
//
// for o < rows, i < channels, p < n, with the bound and the bits of Taps64.
func Packed64(c []float64, ldc int, a []float64, group int, x []float64, stride, rows, channels, n int) {
	s := sums[float64]{c, ldc, a, 0, 1, group, Rows, x, stride, oneTap, rows, channels, n}
	if s.reach(Lanes64) {
		taps64(&s)
	}
}

// WinogradTaps is the products that Winograd's F(2×2, 3×3) takes for four outputs,
// where the sums of a convolution take 36.
const WinogradTaps = 16

// Winograd64 turns the 3×3 kernels g of eight output channels into the 4×4 matrices
// U = G·g·Gᵀ of Winograd's F(2×2, 3×3) (Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks", 2015, section 4.1), where
//
//	    ⎡ 1  0  0 ⎤
//	G = ⎢ ½  ½  ½ ⎥
//	    ⎢ ½ −½  ½ ⎥
//	    ⎣ 0  0  1 ⎦
//
// Tap t of channel i of row o is src[o·ld + 9·i + t], and element t of its U
// dst[t·next + 8·i + o], as Packed64 wants it. Sixteen lines at distances of 4096 bytes
// share the few places of one set of a cache, so next is best no such number. An element
// is rounded four times at most. The bits are the same on every processor.
func Winograd64(dst []float64, next int, src []float64, ld, channels int) {
	if kernels(len(dst), next, len(src), ld, channels) && !winograd64(dst, next, src, ld, channels) {
		winograd(dst, next, src, ld, channels)
	}
}

// kernels panics where the arguments of Winograd64 look past a slice, and
// reports whether there is anything to do.
func kernels(dst, next, src, ld, channels int) bool {
	if channels <= 0 {
		return false
	}
	if ld < 9*channels || src < (Rows-1)*ld+9*channels || next < Rows*channels || dst < (WinogradTaps-1)*next+Rows*channels {
		panic("micro: a slice is too short for its kernels")
	}
	return true
}

// winograd is Winograd64 in plain Go.
func winograd(dst []float64, next int, src []float64, ld, channels int) {
	for o := range Rows {
		for i := range channels {
			g, to := src[o*ld+9*i:][:9], dst[Rows*i+o:]
			var h [4][3]float64 // G·g
			for k := range 3 {
				sum := g[k] + g[6+k]
				h[0][k], h[1][k], h[2][k], h[3][k] = g[k], (sum+g[3+k])*0.5, (sum-g[3+k])*0.5, g[6+k]
			}
			for r, v := range h {
				sum, to := v[0]+v[2], to[4*r*next:]
				to[0], to[next], to[2*next], to[3*next] = v[0], (sum+v[1])*0.5, (sum-v[1])*0.5, v[2]
			}
		}
	}
}
