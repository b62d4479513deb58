package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"repfuse/internal/checkpoint"
	"repfuse/internal/golden"
	"repfuse/internal/onnx/onnxtest"
	"repfuse/internal/tensor"
)

// TestPages does what README.md and each page of docs/ does, from top to bottom in a folder of its own:
// it makes the checkpoints that comments name,
//
//	<!-- test: copy PATH NAME -->      a file or folder of this repository
//	<!-- test: golden CASE NAME -->    the train form of a reference case, in any format
//	<!-- test: deploy CASE NAME -->    the reference's own deploy form of it
//	<!-- test: keys MODEL NAME -->     the keys and shapes of a real model, with random weights
//	<!-- test: onnx CASE NAME -->      a model of testdata/onnx; its folder where NAME has no extension
//
// and those whose keys a block "keys DIR" lists, writes every block "yaml FILE", and runs every line
// "$ repfuse" of the blocks "console", which must print what stands below it. A NAME that ends in :KEY is
// a .pth with the state dict under KEY. UPDATE_PAGES=1 writes what they print now into the pages.
func TestPages(t *testing.T) {
	paths, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d pages in docs/, %v, want many", len(paths), err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, "../../README.md") {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".md"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			path = filepath.Join(root, "cmd", "repfuse", path)
			if testing.Short() && strings.Contains(string(text), "<!-- test: keys ") {
				t.Skip("a model in full size")
			}
			dir := t.TempDir()
			for _, d := range directive.FindAllStringSubmatch(string(text), -1) {
				makeInput(t, root, d[1], d[2], filepath.Join(dir, d[3]))
			}
			t.Chdir(dir)
			now, commands := runPage(t, string(text))
			if commands == 0 && strings.Contains(string(text), "console") {
				t.Error("none of its commands is found")
			}
			if os.Getenv("UPDATE_PAGES") != "" && now != string(text) {
				if err := os.WriteFile(path, []byte(now), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

var directive = regexp.MustCompile(`(?m)^<!-- test: (\S+) (\S+) (\S+) -->$`)

// runPage gives the page as it has to be, and how many commands it has.
func runPage(t *testing.T, text string) (now string, commands int) {
	now = text
	for _, f := range fences(text) {
		switch {
		case f.kind == "keys":
			golden.Write(t, f.name, listedTensors(t, f.text))
		case f.kind == "yaml" && f.name != "":
			if err := os.WriteFile(f.name, []byte(f.text), 0o666); err != nil {
				t.Fatal(err)
			}
		case f.kind == "console":
			for _, s := range session(f.text) {
				commands++
				got := runCommand(t, s)
				if steady(got) != steady(s.output) {
					t.Errorf("%s prints\n%s\nwant, as the page has it,\n%s", s.command, got, s.output)
					line := "$ " + s.command + "\n"
					gap := strings.TrimPrefix(s.output[len(strings.TrimRight(s.output, "\n")):], "\n")
					now = strings.Replace(now, line+s.output, line+got+gap, 1)
				}
			}
		}
	}
	return now, commands
}

// runCommand gives what a command prints, and holds it to the exit status that this stands for and to
// the width of a terminal, except for notes and errors, which are lines of their own.
func runCommand(t *testing.T, s shell) string {
	t.Helper()
	var out bytes.Buffer
	code := run(strings.Fields(s.command)[1:], nil, &out, &out)
	want := exitYes
	for line := range strings.Lines(out.String()) {
		word, _, _ := strings.Cut(line, " ")
		switch word {
		case "repfuse:":
			want = exitError
		case "no:":
			want = exitNo
		case "note:", "hint:":
			continue
		}
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width && want != exitError {
			t.Errorf("%s prints a line of %d columns, want at most %d: %s", s.command, n, width, line)
		}
	}
	if code != want {
		t.Errorf("%s: exit status %d, want %d", s.command, code, want)
	}
	return out.String()
}

// makeInput is what a comment of a page asks for.
func makeInput(t *testing.T, root, kind, from, to string) {
	var tensors []tensor.Named
	switch kind {
	case "copy":
		if err := os.CopyFS(to, os.DirFS(filepath.Join(root, from))); err != nil {
			t.Fatal(err)
		}
		return
	case "onnx":
		made := onnxtest.Cases(t, from)[0].Write(t)
		if !strings.HasSuffix(to, ".onnx") { // the folder, with data that lies beside the model
			made = filepath.Dir(made)
		}
		if err := os.Rename(made, to); err != nil {
			t.Fatal(err)
		}
		return
	case "golden":
		tensors = golden.Load(t, from).Train
	case "deploy":
		tensors = golden.Load(t, from).Deploy
	case "keys":
		tensors = modelTensors(t, root, from)
	default:
		t.Fatalf("no input is called %s", kind)
	}
	if strings.HasSuffix(to, ".pdparams") {
		writePaddle(t, to, tensors)
		return
	}
	to, wrap, _ := strings.Cut(to, ":")
	writeCheckpoint(t, to, tensors, checkpoint.CreateOptions{Wrap: wrap})
}

// writeCheckpoint writes tensors, in a format by the path.
func writeCheckpoint(t *testing.T, path string, tensors []tensor.Named, o checkpoint.CreateOptions) {
	t.Helper()
	specs := make([]tensor.Spec, len(tensors))
	for k, x := range tensors {
		specs[k] = x.Spec()
	}
	out, err := checkpoint.Create(path, specs, o)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Abort()
	for k, x := range tensors {
		b, err := x.ReadAll()
		if err == nil && len(b) > 0 {
			err = out.WriteAt(k, b, 0)
		}
		if err == nil {
			err = out.Done(k, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Commit(); err != nil {
		t.Fatal(err)
	}
}

// modelTensors is the tensors of a real model with weights as after training: kernels about as large as
// PyTorch begins with, norms away from where they begin.
func modelTensors(t *testing.T, root, name string) []tensor.Named {
	t.Helper()
	var all []golden.KeySet
	for _, read := range []func(string) ([]golden.KeySet, error){golden.KeySets, golden.Frameworks} {
		sets, err := read(root)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sets...)
	}
	k := slices.IndexFunc(all, func(s golden.KeySet) bool { return s.Name == name })
	if k < 0 {
		t.Fatalf("no key set is called %s", name)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var made []tensor.Named
	for _, x := range all[k].Tensors {
		if strings.HasSuffix(x.Key, ".num_batches_tracked") {
			made = append(made, tensor.Named{Key: x.Key, Tensor: tensor.FromBytes(tensor.I64, x.Shape, make([]byte, 8))})
			continue
		}
		values := make([]float64, tensor.Elems(x.Shape))
		for k := range values {
			values[k] = 0.5 + rng.Float64()
			if len(x.Shape) > 1 {
				values[k] = 2 * (values[k] - 1) / math.Sqrt(float64(len(values)/x.Shape[0]))
			}
		}
		made = append(made, tensor.Named{Key: x.Key, Tensor: tensor.Of(tensor.F32, x.Shape, values)})
	}
	return made
}

// writePaddle writes what paddle.save writes of a state dict: a pickled dict of arrays of numpy.
func writePaddle(t *testing.T, path string, tensors []tensor.Named) {
	t.Helper()
	p := pickled{pickle: []byte("\x80\x02}")}
	for _, x := range tensors {
		b, err := x.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		p.text(x.Key)
		p.pickle = append(p.pickle, "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tc_codecs\nencode\n("...)
		p.text("b")
		p.text("latin1")
		p.pickle = append(p.pickle, "tRtR(K\x01("...)
		p.integers(x.Shape...)
		p.pickle = append(p.pickle, "tcnumpy\ndtype\n("...)
		p.text("f4")
		p.pickle = append(p.pickle, "\x89\x88tR(K\x03"...)
		p.text("<")
		p.pickle = append(p.pickle, "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89c_codecs\nencode\n("...)
		latin := make([]rune, len(b))
		for k, c := range b {
			latin[k] = rune(c)
		}
		p.text(string(latin))
		p.text("latin1")
		p.pickle = append(p.pickle, "tRtbs"...)
	}
	if err := os.WriteFile(path, append(p.pickle, '.'), 0o666); err != nil {
		t.Fatal(err)
	}
}

type shell struct{ command, output string }

// session finds the commands of a fenced block and what stands below each.
func session(text string) []shell {
	var all []shell
	below := false // a command of the same block
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "```"):
			below = false
		case strings.HasPrefix(line, "$ repfuse"):
			all = append(all, shell{command: strings.TrimPrefix(strings.TrimSpace(line), "$ ")})
			below = true
		case below:
			all[len(all)-1].output += line
		}
	}
	return all
}

// unsteady is what hangs on the machine, each by its own line's pattern: times, and in
// the table of blocks what float32 shows and the speed-up. All else is float64 in an
// order that is fixed, and compared to the letter.
var unsteady = []struct {
	line *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(?m)^(time +)[0-9.]+ (?:µs|ms|s) → [0-9.]+ (?:µs|ms|s)( in float32 on one thread, )[0-9.]+×$`), "$1#$2#"},
	{regexp.MustCompile(`(?m)^(\S+ +(?:exact|equivalent|different) +\S+ +\S+) +[0-9.e-]+ +[0-9.]+×$`), "$1 #"},
}

// steady replaces what hangs on the machine.
func steady(s string) string {
	for _, u := range unsteady {
		s = u.line.ReplaceAllString(s, u.with)
	}
	return strings.TrimSpace(s)
}

// fence is a fenced block: the two words behind its opening and its text.
type fence struct{ kind, name, text string }

func fences(page string) []fence {
	var all []fence
	inside := false
	for line := range strings.Lines(page) {
		opening, is := strings.CutPrefix(line, "```")
		switch {
		case is && !inside:
			kind, name, _ := strings.Cut(strings.TrimSpace(opening), " ")
			all = append(all, fence{kind: kind, name: name})
			inside = true
		case is:
			inside = false
		case inside:
			all[len(all)-1].text += line
		}
	}
	return all
}

// listedTensors makes the tensors of a list of keys and extents, one a line. Their
// elements are positive, so that a variance may be one.
func listedTensors(t *testing.T, list string) []tensor.Named {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var all []tensor.Named
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		shape := make([]int, len(words)-1)
		for k, w := range words[1:] {
			n, err := strconv.Atoi(w)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			shape[k] = n
		}
		values := make([]float64, tensor.Elems(shape))
		for k := range values {
			values[k] = 0.5 + rng.Float64()
		}
		all = append(all, tensor.Named{Key: words[0], Tensor: tensor.Of(tensor.F32, shape, values)})
	}
	return all
}
