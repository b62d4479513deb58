package stream

import (
	"context"
	"fmt"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// discard takes all and keeps nothing.
type discard struct{}

func (discard) WriteAt(int, []byte, int64) error { return nil }
func (discard) Done(int, uint32) error           { return nil }
func (discard) Close() error                     { return nil }

// repVGG is blocks of so many channels, with values all alike.
func repVGG(blocks, channels int) []tensor.Named {
	var list []tensor.Named
	add := func(block int, key string, shape ...int) {
		values := make([]float64, tensor.Elems(shape))
		for k := range values {
			values[k] = 0.01
		}
		list = append(list, tensor.Named{Key: fmt.Sprintf("stage.%d.%s", block, key), Tensor: tensor.Of(tensor.F32, shape, values)})
	}
	for b := range blocks {
		add(b, "rbr_dense.conv.weight", channels, channels, 3, 3)
		add(b, "rbr_1x1.conv.weight", channels, channels, 1, 1)
		for _, bn := range []string{"rbr_dense.bn", "rbr_1x1.bn", "rbr_identity"} {
			for _, vector := range []string{"weight", "bias", "running_mean", "running_var"} {
				add(b, bn+"."+vector, channels)
			}
		}
	}
	return list
}

// BenchmarkRun carries out whole plans, from memory to nowhere; bytes are those read.
// One huge tensor should take no longer than many of the same size in all, and a tiny
// block some microseconds.
func BenchmarkRun(b *testing.B) {
	set, err := family.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range []struct{ blocks, channels int }{{1, 1024}, {16, 256}, {1000, 8}} {
		tensors := repVGG(m.blocks, m.channels)
		p, err := recognise.Plan(tensors, recognise.Options{Families: set})
		if err != nil {
			b.Fatal(err)
		}
		list, bytes := p.Items(nil), int64(0)
		for _, t := range tensors {
			bytes += t.Bytes()
		}
		b.Run(fmt.Sprintf("%dx%d", m.blocks, m.channels), func(b *testing.B) {
			b.SetBytes(bytes)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Run(context.Background(), list, discard{}, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
