package micro

// block is the number of products that one chain of additions holds before it is
// added to the result: short chains keep the rounding small, and a block of B is
// what stays in the first cache.
const block = 64

// Gemm64 adds a product of matrices: C += A·B, where C is m×n, A m×k and B k×n, all
// row-major with the distance of their rows given (in elements).
//
// Each element is the sum over blocks of 64 of sums of products. |error| is at most
// (64 + k/64 + 1)·2⁻⁵³·Σ|a·b|, whichever path runs; which last bits come out
// differs between processors.
func Gemm64(c []float64, ldc int, a []float64, lda int, b []float64, ldb, m, n, k int) {
	if m <= 0 || n <= 0 || k <= 0 {
		return
	}
	for from := 0; from < k; from += block {
		gemmBlock(c, ldc, a[from:], lda, b[from*ldb:], ldb, m, n, min(block, k-from))
	}
}

// gemmBlock is Gemm64 for one block of k, in plain Go: a stretch of a row of C at
// a time, short enough for the first cache.
func gemmBlock(c []float64, ldc int, a []float64, lda int, b []float64, ldb, m, n, k int) {
	for o := 0; o < m; o++ {
		row := c[o*ldc : o*ldc+n]
		var sum [128]float64
		for p := 0; p < n; p += len(sum) {
			w := min(len(sum), n-p)
			part := sum[:w]
			clear(part)
			for i, v := range a[o*lda : o*lda+k] {
				x := b[i*ldb+p : i*ldb+p+w]
				for j := range part {
					part[j] += float64(v * x[j])
				}
			}
			for j, v := range part {
				row[p+j] += v
			}
		}
	}
}
