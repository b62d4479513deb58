//go:build linux

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"repfuse/internal/npy"
	"repfuse/internal/tensor"
)

// What any command may cost on a small file, whatever the file says.
const (
	mostTime   = 10 * time.Second // of the processors; other programs do not lengthen it
	mostWait   = time.Minute
	mostMemory = 200 << 10 // KiB, as the system counts them
)

// bounded runs repfuse in dir as a process of its own, and holds its time and the memory that
// the system saw to the bounds. A process that has lost them is stopped at 4 GB or after mostWait.
func bounded(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return within(t, dir, mostMemory, args...)
}

// peakFile is the environment variable that names the file for what measured finds.
const peakFile = "REPFUSE_PEAK"

func init() { programs["measured"] = measured }

// measured runs a command and writes its peak of memory, in KiB, to a file. The system counts the
// peak of the process that starts a command as the command's own, so that a test, which may
// have held far more, lets a fresh process start it.
func measured() {
	c := exec.Command(os.Args[1], os.Args[2:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := c.Run()
	if c.ProcessState == nil {
		panic(err)
	}
	peak := c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	if err := os.WriteFile(os.Getenv(peakFile), fmt.Append(nil, peak), 0o666); err != nil {
		panic(err)
	}
	os.Exit(c.ProcessState.ExitCode())
}

// within is bounded by another limit of memory, in KiB.
func within(t *testing.T, dir string, memory int64, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), mostWait)
	defer cancel()
	c := exec.CommandContext(ctx, "measured", append([]string{"sh", "-c", `ulimit -v 4000000; exec repfuse "$@"`, "sh"}, args...)...)
	var out, errs bytes.Buffer
	file := filepath.Join(t.TempDir(), "peak")
	c.Dir, c.Stdout, c.Stderr, c.Env = dir, &out, &errs, append(os.Environ(), peakFile+"="+file)
	begun := time.Now()
	err := c.Run()
	if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	var peak int64
	if text, err := os.ReadFile(file); err == nil {
		peak, _ = strconv.ParseInt(string(text), 10, 64)
	}
	took := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	t.Logf("%s: exit %d, %v, %d MB", strings.Join(args, " "), c.ProcessState.ExitCode(), took.Round(time.Millisecond), peak>>10)
	if ctx.Err() != nil || took > mostTime || peak == 0 || peak > memory {
		t.Errorf("%s: %v in %v, %d MB, want at most %v, %d MB", strings.Join(args, " "), took, time.Since(begun), peak>>10, mostTime, memory>>10)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

// refused is bounded for what must end in exit status 2 and lines that say want.
func refused(t *testing.T, dir, want string, args ...string) {
	t.Helper()
	_, stderr, code := bounded(t, dir, args...)
	if code != exitError || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") > 3 || len(stderr) > 4000 {
		t.Errorf("%s: exit status %d, %d bytes %.300q, want %d and a line or two with %q", strings.Join(args, " "), code, len(stderr), stderr, exitError, want)
	}
}

// fused has the reference case in dir/weights, fused in dir/out.
func fused(t *testing.T, name string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	weights(t, dir, name)
	if _, stderr, code := bounded(t, dir, "fuse", "weights", "out"); code != exitYes {
		t.Fatal(stderr)
	}
	return dir
}

// A small file that is a pipe or a link to what never ends is refused, whoever reads it.
func TestSmallFiles(t *testing.T) {
	dir := fused(t, "repvgg-block-s1")
	at := func(name string) string { return filepath.Join(dir, name) }
	pipe := func(path string) error { return syscall.Mkfifo(path, 0o666) }
	zero := func(path string) error { return os.Symlink("/dev/zero", path) }
	for kind, put := range map[string]func(string) error{"pipe": pipe, "zero": zero} {
		for _, test := range []struct {
			file string
			args []string
		}{
			{"out/repfuse.json", []string{"verify", "weights", "out"}},
			{"weights/repfuse.json", []string{"plan", "weights"}},
			{"weights/modules.json", []string{"plan", "weights"}},
			{"weights/graph.json", []string{"plan", "weights"}},
			{"my.yaml", []string{"plan", "--plan", "my.yaml", "weights"}},
			{"my.yaml", []string{"families", "--families", "my.yaml"}},
			{"my.txt", []string{"plan", "--expect", "my.txt", "weights"}},
			{"model.safetensors.index.json", []string{"plan", "model.safetensors.index.json"}},
			{"model.json", []string{"plan", "--graph", "model.json", "weights"}},
		} {
			t.Run(kind+" "+test.file, func(t *testing.T) {
				old, _ := os.ReadFile(at(test.file))
				os.Remove(at(test.file))
				if err := put(at(test.file)); err != nil {
					t.Fatal(err)
				}
				refused(t, dir, filepath.Base(test.file), test.args...)
				os.Remove(at(test.file))
				if old != nil {
					os.WriteFile(at(test.file), old, 0o666)
				}
			})
		}
	}
}

// Whatever a flag asks for is bounded, or is refused with the number.
func TestFlags(t *testing.T) {
	dir := fused(t, "repvgg-model-tiny")
	for _, args := range []string{"--size 100000", "--size 9999999999", "--size 1x9223372036854775807", "--trials 1000000000", "--trials 9223372036854775807"} {
		refused(t, dir, "--force-size", append([]string{"verify"}, strings.Fields(args)...)...)
	}
	for _, args := range []string{"--size 0", "--size -1", "--size 9223372036854775808", "--size 1e3", "--trials 0", "--trials -1", "--jobs 0", "--jobs -1",
		"--range 0", "--range -1", "--range NaN", "--range inf", "--range 1e308", "--atol NaN", "--atol -1", "--rtol NaN", "--seed -1"} {
		refused(t, dir, "want", append([]string{"verify"}, strings.Fields(args)...)...)
	}
	for _, args := range []string{"--size 1", "--size 2x1", "--trials 3", "--jobs 100000000", "--seed 18446744073709551615", "--range 1e-300", "--range 1e30", "--size 100 --force-size"} {
		if _, stderr, code := bounded(t, dir, append([]string{"verify"}, strings.Fields(args)...)...); code != exitYes {
			t.Errorf("verify %s: exit status %d, %s, want %d", args, code, stderr, exitYes)
		}
	}
	for _, args := range []string{"fuse -f -j 1000000 weights out", "fuse -f -j 100000000 weights out", "convert -f -j 100000000 weights out2", "inspect -j 9223372036854775807 out"} {
		if _, stderr, code := bounded(t, dir, strings.Fields(args)...); code != exitYes {
			t.Errorf("%s: exit status %d, %s, want %d", args, code, stderr, exitYes)
		}
	}
}

// Expressions and globs of a plan, a record or a declaration cost no more than they weigh.
func TestHostilePlans(t *testing.T) {
	dir := fused(t, "repvgg-block-s1")
	deep := strings.Repeat("(", 3_000_000)
	plan := func(text string) string { return "blocks:\n  - module: .\n    make:\n      fused: " + text + "\n" }
	put := func(name, text string) { write(t, filepath.Join(dir, name), []byte(text)) }
	put("plan.yaml", plan(deep))
	refused(t, dir, "want at most", "plan", "--plan", "plan.yaml", "weights")
	put("plan.yaml", plan(deep[:100_000]))
	refused(t, dir, "want at most", "plan", "--plan", "plan.yaml", "weights")
	put("mine.yaml", "families:\n  - name: mine\n    title: mine\n    make:\n      weight: "+deep+"\n")
	refused(t, dir, "want at most", "families", "--families", "mine.yaml")
	for _, sign := range []string{" + ", " > ", " | "} {
		put("plan.yaml", plan("conv(rbr_dense.conv)"+strings.Repeat(sign+"x", 60_000)))
		bounded(t, dir, "fuse", "--plan", "plan.yaml", "weights", "out2")
		os.RemoveAll(filepath.Join(dir, "out2"))
	}
	for _, extent := range []string{"x(padding 4611686018427387904x1) > conv(rbr_dense.conv)", "conv(rbr_dense.conv, dilation 4611686018427387904x1)", "conv(rbr_dense.conv, stride 9223372036854775807)", "conv(rbr_dense.conv, dilation 500)", "avgpool(1000000x1000000)", "avgpool(1024x1024)"} {
		put("plan.yaml", plan(extent))
		if _, _, code := bounded(t, dir, "fuse", "-f", "--plan", "plan.yaml", "weights", "out2"); code == exitYes {
			bounded(t, dir, "verify", "weights", "out2")
		}
	}
	stars := strings.Repeat("**", 1000) + "Z"
	put("plan.yaml", "drop:\n  '"+stars+"': nothing\n"+plan("conv(rbr_dense.conv)"))
	bounded(t, dir, "plan", "--plan", "plan.yaml", "weights")
	record, err := os.ReadFile(filepath.Join(dir, "out", "repfuse.json"))
	if err != nil {
		t.Fatal(err)
	}
	put("out/repfuse.json", strings.Replace(string(record), `"rbr_`, `"rbr_`+stars, 1))
	bounded(t, dir, "verify", "weights", "out")
	put("out/repfuse.json", strings.Replace(string(record), "conv(rbr_dense.conv", deep+"conv(rbr_dense.conv", 1))
	refused(t, dir, "want at most", "verify", "weights", "out")
}

// An answer that could not be printed is no answer.
func TestFullStdout(t *testing.T) {
	dir := fused(t, "repvgg-block-s1")
	for _, args := range []string{"plan weights", "plan --json weights", "verify weights out", "inspect out", "families", "exporter", "--version", "--help"} {
		c := exec.Command("sh", append([]string{"-c", `exec repfuse "$@" >/dev/full`, "sh"}, strings.Fields(args)...)...)
		c.Dir = dir
		out, _ := c.CombinedOutput()
		if c.ProcessState.ExitCode() != exitError || !strings.Contains(string(out), "no space left on device") {
			t.Errorf("%s: exit status %d, %q, want %d and why", args, c.ProcessState.ExitCode(), out, exitError)
		}
	}
}

// Fusing takes no more memory on many processors than on a few, nor for large kernels, deflated ones too.
func TestMemoryOfFuse(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector has memory of its own")
	}
	dir := t.TempDir()
	const n = 1024
	head, err := npy.AppendHeader(nil, tensor.U8, []int{2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	noise := io.LimitReader(rand.NewChaCha8([32]byte{}), 2<<20) // so much may come of no small file
	deflated := []content{{"noise.npy", io.MultiReader(bytes.NewReader(head), noise)}}
	put := func(key string, shape ...int) {
		path := filepath.Join(dir, "weights", key+".npy")
		sparse(t, path, shape...)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		deflated = append(deflated, content{key + ".npy", f})
	}
	norm := func(module string) {
		for _, vector := range []string{"weight", "bias", "running_mean", "running_var"} {
			put(module+"."+vector, n)
		}
	}
	for _, block := range []string{"a.", "b."} { // in the order of registration, which an archive tells
		norm(block + "rbr_identity")
		put(block+"rbr_dense.conv.weight", n, n, 3, 3)
		norm(block + "rbr_dense.bn")
		put(block+"rbr_1x1.conv.weight", n, n, 1, 1)
		norm(block + "rbr_1x1.bn")
	}
	archive(t, filepath.Join(dir, "weights.npz"), zip.Deflate, deflated...)
	for _, processors := range []string{"2", "8", "64"} {
		t.Setenv("GOMAXPROCS", processors)
		for _, src := range []string{"weights", "weights.npz"} {
			if _, stderr, code := within(t, dir, 26<<10, "fuse", "-f", src, "out"); code != exitYes {
				t.Error(stderr)
			}
		}
	}
	if _, stderr, code := within(t, dir, 52<<10, "fuse", "-f", "-j", "64", "weights", "out"); code != exitYes {
		t.Error(stderr)
	}
	// A product of kernels takes the most: README's 36 MB. Thousands of tensors add 1.7 kB each.
	put("c.weight", 2*n, 512, 1, 1)
	put("d.weight", 512, 2*n, 3, 3)
	write(t, filepath.Join(dir, "plan.yaml"), []byte("blocks:\n  - module: .\n    make:\n      e: conv(c) > conv(d)\n"))
	if _, stderr, code := within(t, dir, 38<<10, "fuse", "-f", "--plan", "plan.yaml", "weights", "out"); code != exitYes {
		t.Error(stderr)
	}
	const many = 20_000
	manyTensors(t, filepath.Join(dir, "many.safetensors"), many)
	if _, stderr, code := within(t, dir, 26<<10+many*17/10, "convert", "many.safetensors", "many.npz"); code != exitYes {
		t.Error(stderr)
	}
}

// What a plan, a declaration or a module tree says that means nothing is an error that says so.
func TestNonsense(t *testing.T) {
	dir := fused(t, "repvgg-block-s1")
	put := func(name, text string) { write(t, filepath.Join(dir, name), []byte(text)) }
	block := func(text string) string { return "blocks:\n  - module: .\n    make:\n      fused: " + text + "\n" }
	good := block("conv(rbr_dense.conv)")
	for text, want := range map[string]string{
		good + "---\n" + good:                                    "plan.yaml:5: a second document, want one",
		good + "rename:\n  nothing: x\n":                         "rename: nothing fits no key",
		good + "drop:\n  nothing.*: whatever\n":                  "drop: nothing.* fits no key",
		block("conv(rbr_dense.conv, dilation 1x2x3x4)"):          "want as many dilations (1x2x3x4)",
		block("conv(rbr_dense.conv, groups 0)"):                  "want a number above 0",
		block("conv(rbr_dense.conv, groups -1)"):                 "want a number above 0",
		block("conv(rbr_dense.conv, stride 0)"):                  "want at least 1",
		block("conv(rbr_dense.conv, padding 1x1x1)"):             "want as many strides, paddings and dilations",
		block("conv(rbr_dense.conv, padding 9999999x1)"):         "positions",
		block("conv(rbr_dense.conv) > scale(1e999)"):             "1e999 is missing",
		block("conv(rbr_dense.conv) > bn(rbr_dense.bn, eps -1)"): "want a number",
	} {
		put("plan.yaml", text)
		refused(t, dir, want, "plan", "--plan", "plan.yaml", "weights")
	}
	for _, eps := range []string{".nan", ".inf", "-1", "0"} {
		put("mine.yaml", "families:\n  - name: mine\n    title: mine\n    eps: "+eps+"\n    make:\n      weight: conv(c)\n")
		refused(t, dir, "want a number above 0", "families", "--families", "mine.yaml")
	}
	put("plan.yaml", good)
	for text, want := range map[string]string{
		`"rbr_dense.conv": {"class": "Conv2d", "dilation": [0, 0]}`:                 "dilation 0",
		`"rbr_dense.conv": {"class": "Conv2d", "dilation": [-1, -1]}`:               "dilation -1",
		`"rbr_dense.conv": {"class": "Conv2d", "stride": [0, 0]}`:                   "stride 0",
		`"rbr_dense.conv": {"class": "Conv2d", "groups": -4}`:                       "groups -4",
		`"rbr_dense.bn": {"class": "BatchNorm2d", "eps": -1}`:                       "want",
		`"rbr_dense.bn": {"eps": 1e-5}, "a": {}, "rbr_dense.bn": {"eps": 1e-3}`:     "twice",
		`"rbr_dense.conv": {"class": "Conv2d", "dilation": [1, 1]}}}, "modules": {`: "modules.json",
		`"rbr_dense.conv": {"class": "Conv2d", "dilation": [1, 1]}}} {{`:            "modules.json",
	} {
		put("weights/modules.json", `{"version": 1, "modules": {`+text+`}}`)
		refused(t, dir, want, "plan", "weights")
	}
	put("weights/modules.json", `{"version": 1, "modules": {}}`)
	put("weights/graph.json", `{"version": 1, "nodes": [], "values": [], "nodes": []}`)
	refused(t, dir, `graph.json: "nodes" is there twice`, "plan", "weights")
	put("weights/graph.json", `{"version": 1, "nodes": [], "values": []} {}`)
	refused(t, dir, "graph.json: invalid character '{' after", "plan", "weights")
	edit(t, filepath.Join(dir, "out", "repfuse.json"), func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte(`{"version": 9,`), 1) })
	refused(t, dir, `"version" is there twice`, "verify", "weights", "out")
}

// A folder of keys that read like expressions is a folder of keys.
func TestKeysLikeExpressions(t *testing.T) {
	dir := t.TempDir()
	for _, key := range []string{"conv 3x3.weight", "3×3.weight", "1x1.weight", "conv(3).weight", "a + b.weight", `q"uote.weight`} {
		sparse(t, filepath.Join(dir, "w", key+".npy"), 4, 4, 3, 3)
	}
	for _, args := range []string{"plan w", "plan --yaml w", "inspect w", "fuse --family plain w out", "verify w out", "convert w out.safetensors"} {
		if _, stderr, code := bounded(t, dir, strings.Fields(args)...); code == exitError && !strings.Contains(stderr, "hint: ") {
			t.Errorf("%s: exit status %d, %s", args, code, stderr)
		}
	}
}
