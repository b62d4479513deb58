// Package parallel does numbered tasks from a few goroutines.
package parallel

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
)

// most is how many goroutines Each starts at most: each has memory of its own, and more of
// them than any machine has processors only wait.
const most = 256

// Each does tasks 0 to n−1, in no particular order, from at most jobs goroutines, 0 being
// one for each processor.
// worker is called for each of them, one after the other, before any begins; it gives
// what does a task, with whatever memory that needs. The first error, which a panic in a task
// is too, or the end of the context stops all.
func Each(ctx context.Context, jobs, n int, worker func() func(k int) error) error {
	var next atomic.Int64
	var stop atomic.Bool
	var wait sync.WaitGroup
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	failed := make([]error, min(jobs, n, most))
	for j := range failed {
		do := worker()
		work := func() {
			for !stop.Load() {
				k := int(next.Add(1)) - 1
				if k >= n {
					return
				}
				if failed[j] = ctx.Err(); failed[j] == nil {
					failed[j] = safely(do, k)
				}
				if failed[j] != nil {
					stop.Store(true)
				}
			}
		}
		if j == len(failed)-1 {
			work() // by the caller, which would only wait
		} else {
			wait.Go(work)
		}
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(failed...)
}
