package parallel_test

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"

	"repfuse/internal/parallel"
)

func TestEach(t *testing.T) {
	for _, jobs := range []int{1, 3, 100, 256, 257, math.MaxInt} {
		done := make([]int, 300)
		workers := 0
		err := parallel.Each(context.Background(), jobs, len(done), func() func(int) error {
			workers++
			return func(k int) error {
				done[k]++ // each by one goroutine only: the race detector looks
				return nil
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for k, n := range done {
			if n != 1 {
				t.Errorf("%d jobs: task %d was done %d times, want once", jobs, k, n)
			}
		}
		if want := min(jobs, 256); workers != want {
			t.Errorf("%d workers, want %d", workers, want)
		}
	}
}

func TestEachStops(t *testing.T) {
	broken := errors.New("broken")
	var done atomic.Int64
	err := parallel.Each(context.Background(), 2, 1000, func() func(int) error {
		return func(k int) error {
			if done.Add(1); k == 3 {
				return broken
			}
			return nil
		}
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done.Store(0)
	err = parallel.Each(ctx, 2, 1000, func() func(int) error {
		return func(int) error {
			if done.Add(1) == 5 {
				cancel()
			}
			return nil
		}
	})
	if !errors.Is(err, context.Canceled) || done.Load() == 1000 {
		t.Errorf("error %v after %d tasks, want %v after a few", err, done.Load(), context.Canceled)
	}
}

// No jobs is as many as there are processors, not none.
func TestEachByItself(t *testing.T) {
	var done atomic.Int64
	err := parallel.Each(context.Background(), 0, 9, func() func(int) error {
		return func(int) error { done.Add(1); return nil }
	})
	if err != nil || done.Load() != 9 {
		t.Errorf("%d of 9 tasks were done: %v", done.Load(), err)
	}
}

// A crew has one hand for each goroutine, and the same ones for the next tasks.
func TestCrew(t *testing.T) {
	var c parallel.Crew[[]int]
	var done atomic.Int64
	for list, jobs := range []int{3, 2, 4} {
		err := c.Each(t.Context(), jobs, 50, func(h *[]int, k int) error {
			*h = append(*h, k) // each by one goroutine at a time: the race detector looks
			done.Add(1)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(c.Hands()), []int{3, 3, 4}[list]; got != want {
			t.Errorf("%d jobs: %d hands, want %d", jobs, got, want)
		}
	}
	all := 0
	for _, h := range c.Hands() {
		all += len(*h)
	}
	if all != 150 || done.Load() != 150 {
		t.Errorf("hands have %d of %d tasks, want all 150", all, done.Load())
	}
}
