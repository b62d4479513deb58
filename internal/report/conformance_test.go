//go:build conformance

package report_test

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// watch stands before everything else in a page, and probe at its end: together they
// tell the page around it how wide it is, what went wrong in it, and whether the table
// is in order after the head for what was certified was clicked at.
const (
	watch = `<script>
	let went = "";
	addEventListener("error", (e) => went += e.message);
	addEventListener("securitypolicyviolation", (e) => went += "wants " + e.blockedURI);
</script>`
	probe = `<script>
	addEventListener("load", () => {
		const wide = [...document.querySelectorAll("body *")].find((e) => e.getBoundingClientRect().right > innerWidth + 0.5);
		document.querySelectorAll("table.blocks thead th")[3].querySelector("button").click();
		const values = [...document.querySelectorAll("td[data-label=certified]")].map((e) => Number(e.dataset.value));
		parent.postMessage({
			name: location.search, window: innerWidth, page: document.documentElement.scrollWidth, error: went,
			wide: wide ? wide.tagName + "." + wide.getAttribute("class") : "",
			sorted: values.length > 0 && values.every((v, k) => k === 0 || v <= values[k - 1]),
		}, "*");
	});
</script>`
	around = `<!doctype html><meta charset="utf-8"><body><script>
	addEventListener("message", (e) => {
		const said = document.createElement("output");
		said.textContent = JSON.stringify(e.data);
		document.body.append(said);
	});
</script>`
)

// probed is what a page says of itself.
type probed struct {
	Name         string
	Window, Page int
	Error, Wide  string
	Sorted       bool
}

// TestConformanceBrowser has Chromium lay out the pages narrow and wide, in frames of
// one page, as no window is as narrow as a telephone.
func TestConformanceBrowser(t *testing.T) {
	dir, frames, want := t.TempDir(), around, map[string]int{}
	for _, name := range models {
		text := write(t, input(t, name, nil))
		text = strings.Replace(text, "<title>", watch+"<title>", 1)
		text = strings.Replace(text, "</body>", probe+"</body>", 1)
		if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, width := range []int{360, 1400} {
			id := fmt.Sprintf("%s.html?%d", name, width)
			want["?"+id] = width
			frames += fmt.Sprintf(`<iframe src="%s.html?%s" style="width:%dpx;height:900px;border:0"></iframe>`, name, id, width)
		}
	}
	for _, p := range render(t, filepath.Join(dir, "all.html"), frames) {
		width := want[p.Name]
		delete(want, p.Name)
		if p.Window != width || p.Page != width || p.Wide != "" {
			t.Errorf("%s: the page is %d wide in a window of %d, want %d (%s)", p.Name, p.Page, p.Window, width, p.Wide)
		}
		if p.Error != "" {
			t.Errorf("%s: %s", p.Name, p.Error)
		}
		if !p.Sorted {
			t.Errorf("%s: the table is not in order of what was certified after its head was clicked at", p.Name)
		}
	}
	for name := range want {
		t.Errorf("%s: the page says nothing", name)
	}
}

// browser finds Chromium: CHROMIUM, or by the names that it is installed under.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	t.Fatal("no Chromium found, want one on the PATH or in CHROMIUM")
	return ""
}

// render has Chromium load a page, and gives what the frames in it say.
func render(t *testing.T, file, text string) []probed {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(browser(t), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
		"--virtual-time-budget=20000", "--user-data-dir="+t.TempDir(), "--window-size=1500,900", "--dump-dom", "file://"+file)
	var stdout, stderr strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	c.WaitDelay = time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Minute, func() { c.Process.Kill() })
	defer timer.Stop()
	if err := c.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if console := regexp.MustCompile(`(?m)^.*CONSOLE.*$`).FindString(stderr.String()); console != "" {
		t.Errorf("the browser says %s", console)
	}
	var all []probed
	for _, m := range regexp.MustCompile(`<output>(.*?)</output>`).FindAllStringSubmatch(stdout.String(), -1) {
		var p probed
		if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &p); err != nil {
			t.Fatalf("%v: %s", err, m[1])
		}
		all = append(all, p)
	}
	return all
}
