package micro

// Packed64 is Taps64 with one tap and the eight rows of A side by side, which is a
// product of matrices:
//
//	C[o·ldc + p] += Σ_i A[8·i + o] · X[i·stride + p]
//
// for o < 8, i < channels, p < n, with the bound and the bits of Taps64.
func Packed64(c []float64, ldc int, a, x []float64, stride, channels, n int) {
	if !reach(len(c), ldc, len(a), 0, 1, len(x), stride, oneTap, channels, n, Lanes64) {
		return
	}
	if len(a) < Rows*channels {
		panic("micro: a slice is too short for its product")
	}
	taps64(c, ldc, a, 0, 1, Rows, x, stride, oneTap, channels, n)
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
// dst[(t·channels + i)·8 + o], as Packed64 wants it. An element is rounded four times
// at most. The bits are the same on every processor.
func Winograd64(dst, src []float64, ld, channels int) {
	if channels <= 0 {
		return
	}
	if ld < 9*channels || len(src) < (Rows-1)*ld+9*channels || len(dst) < WinogradTaps*Rows*channels {
		panic("micro: a slice is too short for its kernels")
	}
	if winograd(dst, src, ld, channels) {
		return
	}
	for o := range Rows {
		for i := range channels {
			g, to, next := src[o*ld+9*i:][:9], dst[Rows*i+o:], Rows*channels
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
