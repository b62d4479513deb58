package repfuse_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"repfuse"
)

// Progress comes to its end, of the bytes that the result has, and never runs back.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	const bytes, stored = 159528, 183872 // of the fused tensors, and of those of weights
	for _, verb := range []struct {
		name string
		want int64
		run  func(repfuse.Work) error
	}{
		{"fuse", bytes, func(w repfuse.Work) error {
			_, err := repfuse.Fuse(ctx, weights, out, repfuse.FuseOptions{Work: w})
			return err
		}},
		{"verify", bytes, func(w repfuse.Work) error {
			_, err := repfuse.Verify(ctx, weights, out, repfuse.VerifyOptions{Work: w})
			return err
		}},
		{"convert", stored, func(w repfuse.Work) error {
			_, err := repfuse.Convert(ctx, weights, filepath.Join(dir, "m.npz"), repfuse.ConvertOptions{Work: w})
			return err
		}},
	} {
		var most, last int64
		calls := 0
		w := repfuse.Work{Jobs: 1, Progress: func(done, total int64) {
			if total != verb.want || done < last {
				t.Errorf("%s: %d of %d after %d, want more of %d", verb.name, done, total, last, verb.want)
			}
			most, last = max(most, done), done
			calls++
		}}
		if err := verb.run(w); err != nil {
			t.Fatalf("%s: %v", verb.name, err)
		}
		if most != verb.want || calls < 3 {
			t.Errorf("%s: %d calls, the last of %d bytes, want %d", verb.name, calls, most, verb.want)
		}
	}
}

// A context that ends in the middle ends the work, and nothing is left behind.
func TestCancelled(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	if _, err := repfuse.Fuse(ctx, weights, out, repfuse.FuseOptions{}); err != nil {
		t.Fatal(err)
	}
	stopping := func() (context.Context, repfuse.Work) {
		ctx, stop := context.WithCancel(ctx)
		return ctx, repfuse.Work{Progress: func(int64, int64) { stop() }}
	}
	for name, run := range map[string]func() error{
		"fuse": func() error {
			ctx, w := stopping()
			_, err := repfuse.Fuse(ctx, weights, filepath.Join(dir, "other"), repfuse.FuseOptions{Work: w})
			return err
		},
		"convert": func() error {
			ctx, w := stopping()
			_, err := repfuse.Convert(ctx, weights, filepath.Join(dir, "m.npz"), repfuse.ConvertOptions{Work: w})
			return err
		},
		"verify": func() error {
			ctx, w := stopping()
			_, err := repfuse.Verify(ctx, weights, out, repfuse.VerifyOptions{Work: w, Report: filepath.Join(dir, "page.html")})
			return err
		},
		"open": func() error {
			ctx, w := stopping()
			w.Progress(0, 0)
			_, err := repfuse.Open(ctx, weights, repfuse.Reading{})
			return err
		},
	} {
		if err := run(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want that the context ended", name, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v are there (%v), want out alone", entries, err)
	}
}

// Verbs run at the same time, of one source: nothing is shared but files.
func TestAtOnce(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	var exact atomic.Int32
	for k := range 4 {
		all.Go(func() {
			out := filepath.Join(dir, fmt.Sprint(k))
			var o repfuse.FuseOptions
			if k%2 == 1 {
				o.DType = "float16"
			}
			_, err := repfuse.Fuse(ctx, weights, out, o)
			if err != nil {
				t.Error(err)
				return
			}
			v, err := repfuse.Verify(ctx, weights, out, repfuse.VerifyOptions{Health: true})
			if err != nil {
				t.Error(err)
			} else if v.Grade == repfuse.Exact {
				exact.Add(1)
			}
		})
	}
	all.Wait()
	if n := exact.Load(); n != 4 {
		t.Errorf("%d of 4 are exact", n)
	}
}

// What cannot be meant is an error that names the option.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	if _, err := repfuse.Fuse(ctx, weights, out, repfuse.FuseOptions{}); err != nil {
		t.Fatal(err)
	}
	negative := -1.0
	verify := func(change func(*repfuse.VerifyOptions)) error {
		var o repfuse.VerifyOptions
		change(&o)
		_, err := repfuse.Verify(ctx, weights, out, o)
		return err
	}
	fuse := func(change func(*repfuse.FuseOptions)) error {
		var o repfuse.FuseOptions
		change(&o)
		_, err := repfuse.Fuse(ctx, weights, filepath.Join(dir, "new"), o)
		return err
	}
	for _, test := range []struct {
		want string
		err  error
	}{
		{"--atol -1", verify(func(o *repfuse.VerifyOptions) { o.Atol = &negative })},
		{"--rtol -1", verify(func(o *repfuse.VerifyOptions) { o.Rtol = &negative })},
		{"range -1", verify(func(o *repfuse.VerifyOptions) { o.Range = -1 })},
		{"size [0]", verify(func(o *repfuse.VerifyOptions) { o.Size = []int{0} })},
		{"--dtype f8", verify(func(o *repfuse.VerifyOptions) { o.DType = "f8" })},
		{"--dtype int64", fuse(func(o *repfuse.FuseOptions) { o.DType = "int64" })},
		{"--format pth", fuse(func(o *repfuse.FuseOptions) { o.Format = "pth" })},
		{"--shard-size -1", fuse(func(o *repfuse.FuseOptions) { o.ShardSize = -1 })},
		{"--shard-size with --format npy", fuse(func(o *repfuse.FuseOptions) { o.ShardSize, o.Format = 1, "npy" })},
		{"--expect", fuse(func(o *repfuse.FuseOptions) { o.Expect = "nowhere.txt" })},
		{"--plan", fuse(func(o *repfuse.FuseOptions) { o.Plan = "nowhere.yaml" })},
		{"--families", fuse(func(o *repfuse.FuseOptions) { o.Families = []string{"nowhere.yaml"} })},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("error %v, want one of %s", test.err, test.want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v are there (%v), want out alone", entries, err)
	}
}

// What a .safetensors file says beside its tensors goes along.
func TestMetadata(t *testing.T) {
	dir := t.TempDir()
	src, dst := filepath.Join(dir, "a.safetensors"), filepath.Join(dir, "b.safetensors")
	header := `{"__metadata__":{"format":"pt"},"k":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`
	if err := os.WriteFile(src, append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header+"x"...), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := repfuse.Convert(ctx, src, dst, repfuse.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	c, err := repfuse.Open(ctx, dst, repfuse.Reading{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if len(c.Tensors) != 1 || c.Metadata["format"] != "pt" {
		t.Errorf("%d tensors, metadata %v, want one and what the source has", len(c.Tensors), c.Metadata)
	}
	if b, err := c.Tensors[0].Bytes(); err != nil || string(b) != "x" {
		t.Errorf("elements %q, %v", b, err)
	}
	if v, err := c.Tensors[0].Floats(); err == nil {
		t.Errorf("%v as floats, want an error, as integers are none", v)
	}
}
