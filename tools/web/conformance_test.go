//go:build conformance

package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"repfuse/internal/chromium"
	"repfuse/internal/golden"
	"repfuse/internal/onnx/onnxtest"
	"repfuse/internal/tensor"
)

// helpers is for the scripts below: until waits for what the page is to show, click is a button by
// its text, text what an element says.
const helpers = `const until = async (is) => { while (!is()) await new Promise((r) => setTimeout(r, 20)); };
	const shown = (id) => !document.getElementById(id).hidden;
	const idle = () => !shown("state") && (shown("plan") || shown("error"));
	const click = (text) => [...document.querySelectorAll("button")].find((b) => b.textContent === text).click();
	const text = (s) => document.querySelector(s)?.textContent ?? "";`

// said is what the page says when it is idle.
type said struct{ Error, Plan, Verdict, Result string }

// ask runs a script with the helpers, and reads what the page says after it.
func ask(p *chromium.Page, script string) (s said) {
	p.Eval("(async () => {"+helpers+script+`
		return { error: shown("error") ? text("#error") : "", plan: shown("plan") ? text("#plan") : "", verdict: text(".verdict strong"), result: text("#result") };
	})()`, &s)
	return s
}

const (
	planned = `await until(idle);`
	fused   = `click("fuse and verify"); await until(() => !shown("state"));`
	saved   = `document.querySelectorAll("a[download]").forEach((a) => a.click());`
)

// made is the page, and the command that it is held to.
type made struct{ dir, page, command string }

func makePage(t *testing.T) made {
	t.Helper()
	dir := t.TempDir()
	m := made{dir, filepath.Join(dir, "web.html"), filepath.Join(dir, "repfuse")}
	if err := write(m.page, "v0.0.0"); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("go", "build", "-ldflags=-X repfuse.version=v0.0.0", "-o", m.command, "repfuse/cmd/repfuse")
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return m
}

// run runs the command.
func (m made) run(t *testing.T, args ...string) {
	t.Helper()
	c := exec.Command(m.command, args...)
	c.Dir = m.dir
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("repfuse %s: %v: %s", strings.Join(args, " "), err, text)
	}
}

func TestConformance(t *testing.T) {
	m := makePage(t)
	for name, test := range map[string]func(*testing.T, made){"same bytes": fusesTheSame, "errors": saysWhy, "a lost worker": goesOn, "alone": isAlone} {
		t.Run(name, func(t *testing.T) { test(t, m) })
	}
}

// dropped is files of one test, the checkpoint as the command names it, what is answered on the page
// and by flags, and what is saved.
type dropped struct {
	files   []string
	source  string
	answer  string
	flags   []string
	results []string
}

// drops is a file whose ε is typed, one whose assumption is confirmed, a network with its weights beside it,
// and a folder with a question, which is also a deflated archive.
func drops(t *testing.T, m made) []dropped {
	t.Helper()
	weights, err := filepath.Abs("../../examples/repvgg-tiny/weights")
	if err != nil {
		t.Fatal(err)
	}
	m.run(t, "convert", weights, "tiny.pth")
	m.run(t, "convert", weights, "tiny.safetensors")
	network := onnxtest.Cases(t, "repvgg-external")[0].Write(t)
	block := filepath.Join(m.dir, "block")
	golden.Write(t, block, sideBySide())
	arrays, err := filepath.Glob(filepath.Join(block, "*"))
	if err != nil {
		t.Fatal(err)
	}
	npz := filepath.Join(m.dir, "block.npz")
	f, err := os.Create(npz)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	archive := zip.NewWriter(f)
	if err := errors.Join(archive.AddFS(os.DirFS(block)), archive.Close()); err != nil {
		t.Fatal(err)
	}
	pth, safetensors := filepath.Join(m.dir, "tiny.pth"), filepath.Join(m.dir, "tiny.safetensors")
	return []dropped{
		{[]string{pth}, pth, `document.getElementById("eps").value = "1e-3"; click("plan again"); ` + planned, []string{"--eps", "1e-3"},
			[]string{"tiny-fused.pth"}},
		{[]string{safetensors}, safetensors, `click("--eps 1e-05"); ` + planned, []string{"--eps", "1e-05"}, []string{"tiny-fused.safetensors"}},
		{[]string{network, network + ".data"}, network, "", nil, []string{"train-fused.onnx", "train-fused.onnx.data"}},
		{arrays, block, `click("--identity yes"); ` + planned, []string{"--identity", "yes"}, []string{"weights-fused.safetensors"}},
		{[]string{npz}, npz, `click("--identity yes"); ` + planned, []string{"--identity", "yes"}, []string{"block-fused.npz"}},
	}
}

// sideBySide is a 3×3 and a 1×1 convolution of as many channels in as out: whether the input is added, no key says.
// The page reads and writes pieces of 1 MiB, and the larger kernel has two.
func sideBySide() []tensor.Named {
	const n = 180
	var all []tensor.Named
	for _, c := range []struct {
		key   string
		shape []int
	}{{"conv3x3.weight", []int{n, n, 3, 3}}, {"conv1x1.weight", []int{n, n, 1, 1}}, {"conv3x3.bias", []int{n}}, {"conv1x1.bias", []int{n}}} {
		values := make([]float64, tensor.Elems(c.shape))
		for k := range values {
			values[k] = 1 / float64(k+len(c.key))
		}
		all = append(all, tensor.Named{Key: c.key, Tensor: tensor.Of(tensor.F32, c.shape, values)})
	}
	return all
}

// The page fuses what it is given to the same bytes as the command, record included, and says the
// same of it.
func fusesTheSame(t *testing.T, m made) {
	p := chromium.Open(t)
	for _, d := range drops(t, m) {
		saves, want := t.TempDir(), t.TempDir()
		p.Load("file://"+m.page, 1000, "light")
		p.Downloads(saves)
		p.Choose("#pick", d.files...)
		if s := ask(p, planned+d.answer+fused+saved); s.Verdict != "exact" || s.Error != "" {
			t.Errorf("%s: %+v", d.source, s)
			continue
		}
		m.run(t, append([]string{"fuse", d.source, filepath.Join(want, d.results[0])}, d.flags...)...)
		for _, name := range append(d.results, d.results[0]+".repfuse.json") {
			b, err := os.ReadFile(filepath.Join(want, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := arrived(t, filepath.Join(saves, name)); !bytes.Equal(got, b) {
				t.Errorf("%s: %d bytes, which are not the %d of the command", name, len(got), len(b))
			}
		}
		if page := string(arrived(t, filepath.Join(saves, "report.html"))); !strings.Contains(page, `class="verdict exact"`) {
			t.Errorf("%s: the report does not say exact", d.source)
		}
	}
	for _, problem := range p.Console {
		t.Error(problem)
	}
}

// arrived waits for a file that the browser saves.
func arrived(t *testing.T, path string) []byte {
	t.Helper()
	for range 500 {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			return b
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s was not saved", path)
	return nil
}

// What cannot be planned says why, in the command's words, and the page goes on from there.
func saysWhy(t *testing.T, m made) {
	p := chromium.Open(t)
	p.Load("file://"+m.page, 390, "dark")
	for name, text := range map[string]string{"cut.safetensors": "\x09\x00\x00\x00", "<b>bold.pth": "no checkpoint"} {
		file := filepath.Join(m.dir, name)
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		p.Choose("#pick", file)
		if s := ask(p, planned); !strings.Contains(s.Error, name) || s.Plan != "" {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// After a worker that ended by an error of its own, another has the files.
func goesOn(t *testing.T, m made) {
	network := onnxtest.Cases(t, "repvgg-external")[0].Write(t)
	p := chromium.Open(t)
	p.Load("file://"+m.page, 1000, "light")
	p.Eval(`{ const Plain = Worker; window.Worker = class extends Plain { constructor(code) { super(code); window.last = this; } }; }`, nil)
	p.Choose("#pick", network, network+".data")
	if s := ask(p, planned+`last.dispatchEvent(new ErrorEvent("error", { message: "lost" })); click("plan again"); `+planned); s.Plan == "" || s.Error != "" {
		t.Errorf("%+v", s)
	}
}

// The page reaches nobody: its policy stops whatever tries.
func isAlone(t *testing.T, m made) {
	var reached atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	p := chromium.Open(t)
	p.Load("file://"+m.page, 1400, "light")
	tries := `(async () => {
		const url = %q;
		await fetch(url, { mode: "no-cors" }).catch(() => {});
		navigator.sendBeacon(url, "x");
		new Image().src = url;
		const worker = new Worker(URL.createObjectURL(new Blob(["fetch('" + url + "', { mode: 'no-cors' }).catch(() => {}).then(() => postMessage(1))"])));
		await new Promise((done) => { worker.onmessage = worker.onerror = done; });
		await new Promise((done) => setTimeout(done, 300));
	})()`
	p.Eval(fmt.Sprintf(tries, server.URL), nil)
	if n := reached.Load(); n != 0 {
		t.Errorf("a server was reached %d times", n)
	}
}
