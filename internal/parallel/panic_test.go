package parallel_test

import (
	"strings"
	"testing"

	"repfuse/internal/parallel"
)

// A panic in a task is an error that says what and where, whichever goroutine met it.
func TestPanicIsError(t *testing.T) {
	for _, jobs := range []int{1, 2} {
		err := parallel.Each(t.Context(), jobs, 100, func() func(int) error {
			return func(k int) error {
				if k >= 50 {
					_ = make([]int, k)[k+50-50] // beyond the end
				}
				return nil
			}
		})
		if err == nil || !strings.Contains(err.Error(), "index out of range") || !strings.Contains(err.Error(), " at panic_test.go:16") {
			t.Errorf("%d jobs: %v, want the fault and its line", jobs, err)
		}
	}
}
