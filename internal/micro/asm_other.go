//go:build !amd64

package micro

import (
	"math"
	"runtime"
	"slices"

	"repfuse/internal/tensor"
)

// hasAVX2 says that there is no assembly for this processor.
var hasAVX2 = false

// fused says that the processor has an instruction for math.FMA.
var fused = slices.Contains([]string{"arm64", "loong64", "ppc64", "ppc64le", "riscv64", "s390x"}, runtime.GOARCH)

func taps64(s *sums[float64]) { plain64(s) }

func taps32(s *sums[float32]) { plain32(s) }

// scale, rescale, round, pick, addScaled, winograd64 and twofold do nothing of a
// pass and leave it to plain Go.
func scale([]float64, []byte, tensor.Type, float64) int { return 0 }

func rescale(_, _ []byte, _ tensor.Type, _ float64) (n int, some, all uint32) {
	return 0, 0, math.MaxUint32
}

func round([]byte, []float64, tensor.Type) (n int, some, all uint32) { return 0, 0, math.MaxUint32 }

func pick(sum, mag []float64, src []byte, t tensor.Type, step int, a float64) int { return 0 }

func addScaled(sum, mag, w, m []float64, a, b float64) int { return 0 }

func winograd64(dst []float64, next int, src []float64, ld, channels int) bool { return false }

func twofold(*[2 * TwofoldLanes]float64, []float64, []float64, []float64) int { return 0 }

// absolute, loss, steps and near likewise.
func absolute(*[Chains]float64, []byte, int) int { return 0 }

func loss(*Loss, []float64) int { return 0 }

func steps(s *Steps, row []float64, inverse, whole float64) int { return 0 }

func near(e *Errors, v, hi, lo, bound []float64, c *nearConstants) int { return 0 }
