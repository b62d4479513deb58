package micro

import "sync"

const (
	// chain is the products that one chain of additions holds before it is added to
	// the result: short chains keep the rounding small.
	chain = 64
	// panel is the columns that are multiplied at once: four tiles of AVX2. So much
	// of a chain's rows of B fits the first cache.
	panel = 6 * Lanes64
	// Panel is how far apart the rows of a B should be that is no wider: it is taken as it
	// lies.
	Panel = panel
)

// Gemm64 adds a product of matrices: C += A·B, where C is m×n, A m×k and B k×n, all
// row-major with the distance of their rows given in elements.
//
// Each element is a sum of sums of 64 products: |error| is at most
// (64 + ⌈k/64⌉)·2⁻⁵³·(|c| + Σ|a·b|). It depends on its own row and column only, not
// on m and n, and has the same bits on every processor that multiplies and adds with
// one rounding (amd64 with FMA, arm64, …). Gemm64 panics where a slice is too short.
func Gemm64(c []float64, ldc int, a []float64, lda int, b []float64, ldb, m, n, k int) {
	if m <= 0 || n <= 0 || k <= 0 {
		return
	}
	if ldc < n || lda < k || ldb < n || (m-1)*ldc+n > len(c) || (m-1)*lda+k > len(a) || (k-1)*ldb+n > len(b) {
		panic("micro: a slice is too short for its matrix")
	}
	g := spare.Get().(*gemm)
	defer spare.Put(g)
	for p := 0; p < n; p += panel {
		width := min(panel, n-p)
		for i := 0; i < k; i += chain {
			depth := min(chain, k-i)
			x, stride := b[i*ldb+p:], ldb
			if m > Rows && ldb > panel || width < panel {
				x, stride = g.pack(x, ldb, depth, width), panel
			}
			for o := 0; o < m; o += Rows {
				g.tile(c[o*ldc+p:], ldc, a[o*lda+i:], lda, x, stride, min(Rows, m-o), width, depth)
			}
		}
	}
}

// gemm is the copies that Gemm64 works on: b of a panel of B, which lies together
// so that its rows are in few pages and different sets of the cache; and at the
// edges a of some rows of A, and c of a tile of C.
type gemm struct {
	b [chain * panel]float64
	a [Rows * chain]float64
	c [Rows * panel]float64
}

// spare holds what is too large for a goroutine's stack to be made at every call.
var spare = sync.Pool{New: func() any { return new(gemm) }}

// pack copies a panel of B. What stands to its right goes into columns that are
// dropped.
func (g *gemm) pack(b []float64, ldb, depth, width int) []float64 {
	for i := range depth {
		copy(g.b[i*panel:], b[i*ldb:][:width])
	}
	return g.b[:]
}

// oneTap is the table of taps of a product of matrices.
var oneTap = []int{0}

// tile adds rows×width of a product. What is no whole tile is computed as one, from
// and into copies.
func (g *gemm) tile(c []float64, ldc int, a []float64, lda int, x []float64, stride, rows, width, depth int) {
	if rows < Rows {
		for o := range rows {
			copy(g.a[o*chain:][:depth], a[o*lda:])
		}
		a, lda = g.a[:], chain
	}
	if rows == Rows && width == panel {
		taps64(&sums[float64]{c, ldc, a, 0, lda, 0, 1, x, stride, oneTap, Rows, depth, panel})
		return
	}
	clear(g.c[:])
	taps64(&sums[float64]{g.c[:], panel, a, 0, lda, 0, 1, x, stride, oneTap, Rows, depth, upTo(width, Lanes64)})
	for o := range rows {
		to := c[o*ldc:][:width]
		for j, v := range g.c[o*panel:][:width] {
			to[j] += v
		}
	}
}

// upTo rounds n up to a multiple of k.
func upTo(n, k int) int { return (n + k - 1) / k * k }
