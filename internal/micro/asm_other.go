//go:build !amd64

package micro

// best is plain Go: there is no assembly for this processor.
func best() level { return generic }

func taps64(c []float64, ldc int, a []float64, first, lda int, x []float64, stride int, off []int, channels, n int) {
	taps(c, ldc, a, first, lda, x, stride, off, channels, n)
}

func taps32(c []float32, ldc int, a []float32, first, lda int, x []float32, stride int, off []int, channels, n int) {
	taps(c, ldc, a, first, lda, x, stride, off, channels, n)
}

// scale, axpy and round do nothing of a pass and leave it to plain Go.
func scale(element, []float64, []byte, float64) int { return 0 }
func axpy(element, []float64, []byte, float64) int  { return 0 }
func round(element, []byte, []float64) int          { return 0 }
