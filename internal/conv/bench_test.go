package conv_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/op"
	"repfuse/internal/parallel"
	"repfuse/internal/tensor"
)

// One convolution on one image, by all processors, with what is made of the image
// before; GF/s counts the additions and multiplications of a convolution whose image is as
// large as its output, at the border as well.
func BenchmarkRunner(b *testing.B) {
	for _, s := range []struct{ out, in, k, size int }{
		{64, 64, 3, 56}, {128, 128, 3, 28}, {256, 256, 3, 14}, {768, 768, 3, 14}, {512, 512, 3, 7},
		{128, 128, 1, 28}, {512, 512, 1, 14}, {256, 256, 5, 14}, {512, 1, 3, 14}, {256, 1, 5, 28}, {256, 1, 31, 28},
	} {
		name := fmt.Sprintf("conv%dx%d/%dx%d@%d", s.k, s.k, s.out, s.in, s.size)
		w := tensor.FromBytes(tensor.F32, []int{s.out, s.in, s.k, s.k}, make([]byte, 4*s.out*s.in*s.k*s.k))
		channels := s.in
		if s.in == 1 {
			channels = s.out
		}
		x := conv.Random(channels, []int{s.size, s.size}, 1, 1)
		for _, float32 := range []bool{false, true} {
			o := conv.Options{Float32: float32, Memory: &conv.Memory{}}
			b.Run(fmt.Sprintf("%s/float32=%v", name, float32), func(b *testing.B) {
				for b.Loop() {
					if err := runOnce(op.Conv{Weight: op.Param{Key: "w", Tensor: w}}, x, o); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(2*float64(s.out*s.in*s.k*s.k*s.size*s.size)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
			})
		}
	}
}

// runOnce computes all channels of e.
func runOnce(e op.Expr, x conv.Map, o conv.Options) error {
	r, err := newRunner(e, x, o)
	if err != nil {
		return err
	}
	jobs := runtime.GOMAXPROCS(0)
	size := r.Share(jobs)
	err = parallel.Each(context.Background(), jobs, (r.Channels()+size-1)/size, func() func(int) error {
		space, dst := new(conv.Workspace), make([]float64, size*r.Elems())
		return func(k int) error { return r.Rows(space, k*size, min((k+1)*size, r.Channels()), dst) }
	})
	return errors.Join(err, r.Close())
}
