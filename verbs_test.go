package repfuse_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/hint"
	"repfuse/internal/tensor"

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
			_, err := repfuse.Verify(ctx, weights, out, repfuse.VerifyOptions{Work: w, Page: repfuse.Page{Report: filepath.Join(dir, "page.html")}})
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
				o.DType = []string{"float16"}
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
		{"--dtype f8", verify(func(o *repfuse.VerifyOptions) { o.DType = []string{"f8"} })},
		{"--dtype int64", fuse(func(o *repfuse.FuseOptions) { o.DType = []string{"int64"} })},
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
	header := `{"__metadata__":{"author":"me"},"k":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`
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
	if len(c.Tensors) != 1 || c.Metadata["author"] != "me" {
		t.Errorf("%d tensors, metadata %v, want one and what the source has", len(c.Tensors), c.Metadata)
	}
	if b, err := c.Tensors[0].Bytes(); err != nil || string(b) != "x" {
		t.Errorf("elements %q, %v", b, err)
	}
	if v, err := c.Tensors[0].Floats(); err == nil {
		t.Errorf("%v as floats, want an error, as integers are none", v)
	}
}

// What is asked for is what is done: of the images, the witness, the page, the notes.
func TestVerifyOptions(t *testing.T) {
	dir := t.TempDir()
	out, page, worst := filepath.Join(dir, "out"), filepath.Join(dir, "page.html"), filepath.Join(dir, "worst", "x.npy")
	if _, err := repfuse.Fuse(ctx, weights, out, repfuse.FuseOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.WriteFile(filepath.Join(out, "readme.txt"), nil, 0o666), os.Mkdir(filepath.Dir(worst), 0o777)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	v, err := repfuse.Verify(ctx, weights, out, repfuse.VerifyOptions{Size: []int{6}, Trials: 2, Seed: 7, Range: 3, Page: repfuse.Page{Report: page}, Witness: worst})
	if err != nil {
		t.Fatal(err)
	}
	m, c := v.Measured, v.Certificate
	if m.Seed != 7 || m.Trials != 2 || m.Range != 3 || c.Range != 3 || !slices.Equal(m.Blocks[0].Size, []int{6, 6}) {
		t.Errorf("seed %d, %d trials, range %g and %g, size %v; want what was asked for", m.Seed, m.Trials, m.Range, c.Range, m.Blocks[0].Size)
	}
	if want := out + ": passed over, not .npy: readme.txt"; !slices.Contains(v.Notes, want) {
		t.Errorf("notes %q, want %q", v.Notes, want)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "Fitness for low precision") {
		t.Errorf("the page has no section on fitness (%v)", err)
	}
	w, err := repfuse.Open(ctx, filepath.Dir(worst), repfuse.Reading{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	x, err := w.Tensors[0].Floats()
	if err != nil || slices.Max(x) != 3 && slices.Min(x) != -3 {
		t.Errorf("the witness is from %g to %g (%v), want ±3 in it", slices.Min(x), slices.Max(x), err)
	}
	if got := c.Blocks[c.Largest].Bound.Value; v.Witness == nil || v.Witness.Difference != got {
		t.Errorf("witness %+v, want one of the certified %g", v.Witness, got)
	}
}

// Each option that says how to recognise blocks has Verify leave the plan on record.
func TestOverruled(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	if _, err := repfuse.Fuse(ctx, weights, out, repfuse.FuseOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]repfuse.Recognition{
		"plan":     {Plan: "nowhere.yaml"},
		"families": {Families: []string{"nowhere.yaml"}},
		"prefix":   {Prefix: "nowhere."},
		"set":      {Set: []string{"nothing=yes"}},
		"family":   {Family: []string{"nothing"}},
		"eps":      {Eps: []string{"nothing"}},
		"identity": {Identity: []string{"nowhere=yes"}},
	} {
		if _, err := repfuse.Verify(ctx, weights, out, repfuse.VerifyOptions{Recognition: r}); err == nil {
			t.Errorf("%s: verified by the record, want an error, as the option makes no sense", name)
		}
	}
}

// A setting with a glob holds for the modules that it fits.
func TestGlob(t *testing.T) {
	var o repfuse.PlanOptions
	o.Eps = []string{"stage1.*=0.5"}
	p, err := repfuse.Plan(ctx, weights, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range p.Blocks {
		if has := strings.Contains(b.Makes[0].Expression, "eps 0.5"); has != strings.HasPrefix(b.Module, "stage1.") {
			t.Errorf("%s: %s", b.Module, b.Makes[0].Expression)
		}
	}
}

// Kernels are what has rows of several elements.
func TestKernels(t *testing.T) {
	dir := t.TempDir()
	one := []float64{1, 2}
	golden.Write(t, dir, []tensor.Named{
		{Key: "column", Tensor: tensor.Of(tensor.F32, []int{2, 1}, one)},
		{Key: "row", Tensor: tensor.Of(tensor.F32, []int{1, 2}, one)},
		{Key: "vector", Tensor: tensor.Of(tensor.F32, []int{2}, one)},
	})
	i, err := repfuse.Inspect(ctx, dir, repfuse.InspectOptions{})
	if err != nil || len(i.Kernels) != 1 || i.Kernels[0].Key != "row" {
		t.Errorf("kernels %v (%v), want row", i.Kernels, err)
	}
}

// One of several shards says so where it is not enough, and the hint leads on.
func TestOneShard(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shards")
	if _, err := repfuse.Convert(ctx, weights, dir, repfuse.ConvertOptions{Destination: repfuse.Destination{ShardSize: 3e4}}); err != nil {
		t.Fatal(err)
	}
	one := filepath.Join(dir, "model-00002-of-00006.safetensors")
	_, err := repfuse.Plan(ctx, one, repfuse.PlanOptions{})
	if want := one + " is shard 2 of 6 by its name: repfuse plan " + dir + " reads all"; err == nil || strings.Contains(err.Error(), "\n") || hint.Of(err) != want {
		t.Errorf("%v, hint %q, want %q", err, hint.Of(err), want)
	}
	if p, err := repfuse.Plan(ctx, dir, repfuse.PlanOptions{}); err != nil || len(p.Blocks) < 4 {
		t.Errorf("%v: %v, want blocks", p, err)
	}
}
