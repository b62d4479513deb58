package conv_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// One convolution on one image, by all processors; GF/s counts the additions and
// multiplications of a convolution whose image is as large as its output, at the
// border as well.
func BenchmarkRunner(b *testing.B) {
	for _, s := range []struct{ out, in, k, size int }{
		{64, 64, 3, 56}, {256, 256, 3, 14}, {768, 768, 3, 14}, {1024, 1024, 3, 7}, {512, 512, 1, 14}, {256, 256, 5, 14},
		{512, 1, 3, 14}, {256, 1, 5, 28}, {256, 1, 31, 28},
	} {
		name := fmt.Sprintf("conv%dx%d/%dx%d@%d", s.k, s.k, s.out, s.in, s.size)
		w := tensor.FromBytes(tensor.F32, []int{s.out, s.in, s.k, s.k}, make([]byte, 4*s.out*s.in*s.k*s.k))
		e := op.Conv{Weight: op.Param{Key: "w", Tensor: w}}
		channels := s.in
		if s.in == 1 {
			channels = s.out
		}
		for _, o := range []conv.Options{{}, {Float32: true}} {
			b.Run(fmt.Sprintf("%s/float32=%v", name, o.Float32), func(b *testing.B) {
				r, err := conv.New(e, conv.Random(channels, []int{s.size, s.size}, 1, 1), o)
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
				runAllOf(b, r)
				b.ReportMetric(2*float64(s.out*s.in*s.k*s.k*s.size*s.size)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
			})
		}
	}
}

// runAllOf computes all channels of r, over and over.
func runAllOf(b *testing.B, r *conv.Runner) {
	size := r.Together()
	workers := make([]*conv.Worker, runtime.GOMAXPROCS(0))
	places := make([][]float64, len(workers))
	for k := range workers {
		workers[k], places[k] = r.Worker(), make([]float64, size*r.Elems())
	}
	for b.Loop() {
		var next atomic.Int64
		var wait sync.WaitGroup
		for k, w := range workers {
			wait.Go(func() {
				for {
					a := int(next.Add(int64(size))) - size
					if a >= r.Channels() {
						return
					}
					if err := w.Rows(a, min(a+size, r.Channels()), places[k]); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wait.Wait()
	}
}
