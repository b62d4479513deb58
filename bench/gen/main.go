// Command gen writes checkpoints of the sizes that real models have, with their key
// names and shapes and random values, as directories of .npy files or, of some, as .onnx.
//
//	go run ./bench/gen -model A0 DIR
//	go run ./bench/gen -model B1 FILE.onnx
//	go run ./bench/gen -model A0*28 DIR # so many of it, each below a module of its own
package main

import (
	"flag"
	"fmt"
	"hash/crc32"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/npy"
	"repfuse/internal/tensor"
)

func main() {
	names := func(all iter.Seq[string]) string { return strings.Join(slices.Sorted(all), ", ") }
	model := flag.String("model", "A0", "one of "+names(maps.Keys(models))+", and how many of it behind a *; as .onnx, one of "+names(maps.Keys(networks)))
	seed := flag.Uint64("seed", 1, "of the random values")
	flag.Parse()
	c, known := byName(*model)
	to, write := flag.Arg(0), c.write
	if strings.HasSuffix(to, ".onnx") {
		write, known = networks[*model].export, networks[*model] != nil
	}
	if flag.NArg() != 1 || !known {
		flag.Usage()
		os.Exit(2)
	}
	if err := write(to, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// write makes the directory, which must not be there yet, with one file a tensor.
func (c checkpoint) write(dir string, seed uint64) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	specs := make([]tensor.Spec, len(c))
	for i, e := range c {
		specs[i] = e.Spec
	}
	w, err := npy.CreateDir(dir, specs, disk.Create)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 0))
	for i, e := range c {
		data := e.values(random)
		if err := w.WriteAt(i, data, 0); err != nil {
			return err
		}
		if err := w.Done(i, crc32.ChecksumIEEE(data)); err != nil {
			return err
		}
	}
	return w.Close()
}

// values is the bytes of an entry: uniformly distributed between its bounds, or, of
// a counter, one thousand. Those of bfloat16 are the upper half of a float32.
func (e entry) values(random *rand.Rand) []byte {
	if e.Type == tensor.I64 {
		return []byte{0xe8, 3, 0, 0, 0, 0, 0, 0}
	}
	n := tensor.Elems(e.Shape)
	data := make([]byte, 0, n*e.Type.Size())
	for range n {
		v := math.Float32bits(e.low + (e.high-e.low)*random.Float32())
		if e.Type == tensor.F32 {
			data = append(data, byte(v), byte(v>>8))
		}
		data = append(data, byte(v>>16), byte(v>>24)) // of bfloat16 no more
	}
	return data
}
