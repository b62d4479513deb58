// Package chromium drives a headless Chromium for tests, by its DevTools protocol over two pipes.
package chromium

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Page is an open page of a browser that ends with the test.
type Page struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	session string
	last    int
	// Console is what the page logged, and what went wrong in it.
	Console []string
}

// patience is how long a browser may take for everything that a test asks of it.
const patience = 5 * time.Minute

// Open starts Chromium, found as CHROMIUM or by the names that it is installed under, with an
// empty page.
func Open(t *testing.T) *Page {
	t.Helper()
	theirs, to := pipe(t)
	from, answers := pipe(t)
	c := exec.Command(find(t), "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--hide-scrollbars", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir())
	c.ExtraFiles = []*os.File{theirs, answers} // descriptors 3 and 4
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	answers.Close()
	timer := time.AfterFunc(patience, func() { c.Process.Kill() })
	p := &Page{t: t, to: to, from: bufio.NewReaderSize(from, 1<<20)}
	t.Cleanup(func() {
		p.call("Browser.close", nil, nil)
		c.Wait()
		timer.Stop()
	})
	var target struct{ TargetID string }
	p.must("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	p.must("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		p.must(domain+".enable", nil, nil)
	}
	return p
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func find(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	t.Fatal("no Chromium found, want one on the PATH or in CHROMIUM")
	return ""
}

// Load loads a URL in a window of a width, light or dark, and waits until it is there.
func (p *Page) Load(url string, width int, scheme string) {
	p.t.Helper()
	p.must("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	p.must("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	p.must("Page.navigate", map[string]any{"url": url}, nil)
	p.Eval(`new Promise((done) => document.readyState === "complete" ? done() : addEventListener("load", () => done()))`, nil)
}

// Eval runs JavaScript and waits for what it promises, which is read into value.
func (p *Page) Eval(script string, value any) {
	p.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	p.must("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &answer)
	if e := answer.ExceptionDetails; e != nil {
		p.t.Fatalf("%s %s", e.Text, e.Exception.Description)
	}
	if value != nil {
		if err := json.Unmarshal(answer.Result.Value, value); err != nil {
			p.t.Fatalf("%v: %s", err, answer.Result.Value)
		}
	}
}

// Choose gives files of this machine to the input that a selector finds, as a person's choice.
func (p *Page) Choose(selector string, files ...string) {
	p.t.Helper()
	var input struct{ Result struct{ ObjectID string } }
	p.must("Runtime.evaluate", map[string]any{"expression": fmt.Sprintf("document.querySelector(%q)", selector)}, &input)
	p.must("DOM.setFileInputFiles", map[string]any{"files": files, "objectId": input.Result.ObjectID}, nil)
}

// Picture is the whole page as a PNG.
func (p *Page) Picture() []byte {
	p.t.Helper()
	var answer struct{ Data []byte }
	p.must("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &answer)
	return answer.Data
}

// Downloads has what the page saves saved in a directory.
func (p *Page) Downloads(dir string) {
	p.t.Helper()
	p.must("Browser.setDownloadBehavior", map[string]any{"behavior": "allow", "downloadPath": dir}, nil)
}

func (p *Page) must(method string, params map[string]any, result any) {
	p.t.Helper()
	if err := p.call(method, params, result); err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
}

// call is a method of the protocol: JSON that ends in a zero byte, each way.
func (p *Page) call(method string, params map[string]any, result any) error {
	p.last++
	command := map[string]any{"id": p.last, "method": method, "params": params}
	if p.session != "" && !strings.HasPrefix(method, "Browser.") {
		command["sessionId"] = p.session
	}
	text, err := json.Marshal(command)
	if err != nil {
		return err
	}
	if _, err := p.to.Write(append(text, 0)); err != nil {
		return err
	}
	for {
		said, err := p.from.ReadBytes(0)
		if err != nil {
			return err
		}
		var m struct {
			ID             int
			Method         string
			Params, Result json.RawMessage
			Error          *struct{ Message string }
		}
		if err := json.Unmarshal(bytes.TrimSuffix(said, []byte{0}), &m); err != nil {
			return err
		}
		switch {
		case m.ID == p.last && m.Error != nil:
			return errors.New(m.Error.Message)
		case m.ID == p.last && result == nil:
			return nil
		case m.ID == p.last:
			return json.Unmarshal(m.Result, result)
		case m.Method == "Runtime.exceptionThrown", m.Method == "Runtime.consoleAPICalled", m.Method == "Log.entryAdded":
			p.Console = append(p.Console, string(m.Params))
		}
	}
}
