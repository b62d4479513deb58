package verify

import (
	"errors"
	"sync"
	"sync/atomic"
)

// each does tasks 0 to n−1 from several goroutines. worker is called for each of
// them, one after the other, and gives what does a task. The first error, or the end
// of the context, stops all.
func (r *run) each(n int, worker func() func(k int) error) error {
	var next atomic.Int64
	var stop atomic.Bool
	var wait sync.WaitGroup
	failed := make([]error, min(r.Jobs, n))
	for j := range failed {
		do := worker()
		wait.Go(func() {
			for !stop.Load() {
				k := int(next.Add(1)) - 1
				if k >= n {
					return
				}
				if failed[j] = r.ctx.Err(); failed[j] == nil {
					failed[j] = do(k)
				}
				if failed[j] != nil {
					stop.Store(true)
				}
			}
		})
	}
	wait.Wait()
	for _, err := range failed {
		if err != nil && errors.Is(err, r.ctx.Err()) {
			return err
		}
	}
	return errors.Join(failed...)
}
