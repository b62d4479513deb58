package repfuse_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"repfuse"
	"repfuse/internal/npy"
	"repfuse/internal/tensor"
)

const weights = "examples/repvgg-tiny/weights"

// ctx is where a program's own context goes: Verify and the others stop when it ends.
var ctx = context.Background()

// folder is a new one for an example to write to, and what removes it.
func folder() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "repfuse")
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

// zeros writes a tensor to a folder, as numpy does.
func zeros(dir, key string, shape ...int) {
	b, err := npy.AppendHeader(nil, tensor.F32, shape)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, key+".npy"), append(b, make([]byte, 4*tensor.Elems(shape))...), 0o666)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleOpen() {
	c, err := repfuse.Open(ctx, weights, repfuse.Reading{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.Format, len(c.Tensors))
	for _, t := range c.Tensors {
		if t.Key == "linear.bias" {
			v, err := t.Floats()
			fmt.Println(t.Type, t.Shape, len(v), err)
		}
	}
	// Output:
	// npy 113
	// float32 [10] 10 <nil>
}

func ExamplePlan() {
	p, err := repfuse.Plan(ctx, weights, repfuse.PlanOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, b := range p.Blocks[:2] {
		o := b.Makes[0]
		fmt.Println(b.Module, b.Family, o.Weight, o.In, o.Out, o.Kernel)
	}
	for _, n := range p.Notes {
		fmt.Println(n)
	}
	fmt.Println(len(p.Tensors), "tensors,", len(p.Result), "in the result")
	// Output:
	// stage0 repvgg stage0.rbr_reparam.weight 3 16 [3 3]
	// stage1.0 repvgg stage1.0.rbr_reparam.weight 16 16 [3 3]
	// repvgg: ε 1e-05 is assumed, no key holds it
	// 113 tensors, 18 in the result
}

func ExampleDraft() {
	dir, remove := folder()
	defer remove()
	zeros(dir, "body.big.weight", 4, 4, 3, 3)
	zeros(dir, "body.small.weight", 4, 4, 1, 1)
	d, err := repfuse.Draft(ctx, dir, repfuse.DraftOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range d.Families {
		fmt.Println(f.Modules, f.Expression)
		for _, q := range f.Asks {
			fmt.Println(q.Name+":", q.About)
		}
	}
	// Output:
	// [body] ask(parallel:
	//   conv(big)
	//   + conv(small)
	//   + ask(identity: x))
	// parallel: whether big and small are added up, no layer is a transposed convolution, and nothing without keys stands in a branch
	// identity: whether the block adds its input
}

func ExampleFuse() {
	dir, remove := folder()
	defer remove()
	var o repfuse.FuseOptions
	o.DType = []string{"bfloat16"}
	o.Progress = func(done, total int64) {} // such as a bar
	f, err := repfuse.Fuse(ctx, weights, filepath.Join(dir, "fused.safetensors"), o)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(f.Plan.Blocks), "blocks,", f.Bytes, "bytes")
	// Output: 8 blocks, 79764 bytes
}

func ExampleFuse_error() {
	dir, remove := folder()
	defer remove()
	_, err := repfuse.Fuse(ctx, filepath.Join(weights, "linear.bias.npy"), filepath.Join(dir, "out"), repfuse.FuseOptions{})
	var e *repfuse.Error
	if errors.As(err, &e) {
		fmt.Println(e.Hint)
	}
	// Output: one .npy file is one tensor: name the directory, examples/repvgg-tiny/weights
}

func ExampleVerify() {
	dir, remove := folder()
	defer remove()
	out := filepath.Join(dir, "out")
	if _, err := repfuse.Fuse(ctx, weights, out, repfuse.FuseOptions{}); err != nil {
		log.Fatal(err)
	}
	v, err := repfuse.Verify(ctx, weights, out, repfuse.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	worst := v.Certificate.Blocks[v.Certificate.Largest]
	fmt.Println(v.Grade == repfuse.Exact, v)
	fmt.Printf("%s: at most %.2e for any input within ±1\n", worst.Weight, worst.Bound.Value)
	// Output:
	// true yes: exact, if ε is 1e-05 (assumed for 8 blocks; --eps says it)
	// stage3.1.rbr_reparam.weight: at most 7.57e-07 for any input within ±1
}

func ExampleUnfuse() {
	dir, remove := folder()
	defer remove()
	out, back := filepath.Join(dir, "out"), filepath.Join(dir, "back")
	if _, err := repfuse.Fuse(ctx, weights, out, repfuse.FuseOptions{}); err != nil {
		log.Fatal(err)
	}
	u, err := repfuse.Unfuse(ctx, out, back, repfuse.UnfuseOptions{Like: weights})
	if err != nil {
		log.Fatal(err)
	}
	v, err := repfuse.Verify(ctx, back, out, repfuse.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(u.Tensors, "tensors, verify says", v.Grade)
	// Output: 113 tensors, verify says exact
}

func ExampleInspect() {
	i, err := repfuse.Inspect(ctx, weights, repfuse.InspectOptions{})
	if err != nil {
		log.Fatal(err)
	}
	worst := i.Kernels[0]
	fmt.Println(len(i.Faults), "faults")
	fmt.Printf("%s %v: %.0f dB in int8\n", worst.Key, worst.Shape, worst.SNR.Int8Tensor)
	// Output:
	// 0 faults
	// stage3.1.rbr_1x1.conv.weight [32 32 1 1]: 42 dB in int8
}

func ExampleConvert() {
	dir, remove := folder()
	defer remove()
	c, err := repfuse.Convert(ctx, weights, filepath.Join(dir, "model.npz"), repfuse.ConvertOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Tensors, "tensors,", c.Bytes, "bytes")
	// Output: 113 tensors, 183872 bytes
}
