package fuse

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

func randomConv(r *rand.Rand, key string, shape ...int) op.Conv {
	v := normal(r, tensor.Elems(shape))
	for i := range v {
		v[i] /= 20 // as trained kernels are
	}
	return op.Conv{Weight: *param(key, tensor.F32, shape, v...)}
}

// repvgg is a 3×3, a 1×1 and the identity, each with its batch norm.
func repvgg(r *rand.Rand, n int) op.Expr {
	return op.Sum{
		op.Seq{randomConv(r, "rbr_dense.conv.weight", n, n, 3, 3), randomBN(r, "rbr_dense.bn", n)},
		op.Seq{randomConv(r, "rbr_1x1.conv.weight", n, n, 1, 1), randomBN(r, "rbr_1x1.bn", n)},
		randomBN(r, "rbr_identity", n),
	}
}

// dbb is a diverse branch block: a k×k; a 1×1; a 1×1 and a k×k; a 1×1 and a mean.
func dbb(r *rand.Rand, n int) op.Expr {
	bn := func(key string) op.Expr { return randomBN(r, key, n) }
	return op.Sum{
		op.Seq{randomConv(r, "origin", n, n, 3, 3), bn("origin.bn")},
		op.Seq{randomConv(r, "1x1", n, n, 1, 1), bn("1x1.bn")},
		op.Seq{randomConv(r, "1x1_kxk.1", n, n, 1, 1), bn("1x1_kxk.bn1"), randomConv(r, "1x1_kxk.2", n, n, 3, 3), bn("1x1_kxk.bn2")},
		op.Seq{randomConv(r, "avg.1", n, n, 1, 1), bn("avg.bn1"), op.AvgPool{Kernel: []int{3, 3}}, bn("avg.bn2")},
	}
}

// BenchmarkCollapse reads, fuses and rounds a whole kernel; bytes are those of the
// stored kernels that it reads.
func BenchmarkCollapse(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, bench := range []struct {
		name string
		e    op.Expr
	}{
		{"repvgg/64x64x3x3", repvgg(r, 64)},
		{"repvgg/512x512x3x3", repvgg(r, 512)},
		{"repvgg/2048x2048x3x3", repvgg(r, 2048)},
		{"dbb/64x64x3x3", dbb(r, 64)},
		{"dbb/256x256x3x3", dbb(r, 256)},
		{"dbb/1024x1024x3x3", dbb(r, 1024)},
	} {
		for _, out := range []tensor.Type{tensor.F32, tensor.F16, tensor.F64} {
			if out != tensor.F32 && bench.e.(op.Sum)[0].(op.Seq)[0].(op.Conv).Weight.Shape[0] != 64 {
				continue // what the type costs is seen at one size
			}
			b.Run(fmt.Sprintf("%s/%s", bench.name, out), func(b *testing.B) { benchmark(b, bench.e, out) })
		}
	}
}

func benchmark(b *testing.B, e op.Expr, out tensor.Type) {
	f, err := New(e, out)
	if err != nil {
		b.Fatal(err)
	}
	w := f.NewWorker(new(Workspace))
	defer w.Close()
	n := f.RowsPerBlock(256 << 10)
	dst := make([]byte, n*f.RowBytes())
	bytes := int64(0)
	for p := range op.Params(e) {
		bytes += p.Bytes()
	}
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		for o := 0; o < f.Rows(); o += n {
			end := min(f.Rows(), o+n)
			if _, err := w.Kernel(dst[:(end-o)*f.RowBytes()], o, end); err != nil {
				b.Fatal(err)
			}
		}
	}
}
