//go:build conformance

package report_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"repfuse/internal/chromium"
	"repfuse/internal/golden"
	"repfuse/internal/report"
	"repfuse/internal/tensor"
)

// probe is what a page says of itself: how wide it is and what is wider; the tiles in the last line and in a line;
// whether the table is in order after the head for what was certified was clicked at; what the chart says
// after an arrow key; how many lines the table shows, and how many when one that was folded was asked for.
const probe = `(async () => {
	const wide = [...document.querySelectorAll("body *")].find((e) => e.getBoundingClientRect().right > innerWidth + 0.5);
	const tops = [...document.querySelectorAll(".tiles > div")].map((e) => e.offsetTop);
	const rows = [...document.querySelectorAll("table.blocks tbody tr")], shown = () => rows.filter((r) => !r.hidden).length;
	const few = shown(), last = rows.findLast((r) => r.hidden) ?? rows.at(-1);
	location.hash = last.id;
	await new Promise((done) => setTimeout(done, 100));
	const all = shown();
	document.querySelectorAll("table.blocks thead th")[3].querySelector("button").click();
	const values = [...document.querySelectorAll("td[data-label=certified]")].map((e) => Number(e.dataset.value));
	document.querySelector(".chart svg").dispatchEvent(new KeyboardEvent("keydown", { key: "End" }));
	return {
		page: document.documentElement.scrollWidth, wide: wide ? wide.tagName + "." + wide.getAttribute("class") : "",
		line: tops.filter((t) => t === tops[0]).length, last: tops.filter((t) => t === tops.at(-1)).length,
		sorted: values.length > 0 && values.every((v, k) => k === 0 || v <= values[k - 1]),
		told: document.querySelector(".told").textContent, few, all, rows: rows.length,
	};
})()`

type probed struct {
	Page, Line, Last, Few, All, Rows int
	Wide, Told                       string
	Sorted                           bool
}

// TestConformanceBrowser has Chromium lay out the pages as a telephone, a tablet and a desk have them.
func TestConformanceBrowser(t *testing.T) {
	dir, p := t.TempDir(), chromium.Open(t)
	pages := map[string]report.Input{"many": manyInput(t)}
	for _, name := range models {
		pages[name] = input(t, name, nil)
	}
	for name, in := range pages {
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, []byte(write(t, in)), 0o666); err != nil {
			t.Fatal(err)
		}
		for width, scheme := range map[int]string{360: "dark", 800: "light", 1400: "dark"} {
			p.Load("file://"+file, width, scheme)
			var at probed
			p.Eval(probe, &at)
			where := fmt.Sprintf("%s, %d wide", name, width)
			if at.Page != width || at.Wide != "" {
				t.Errorf("%s: the page is %d wide (%s)", where, at.Page, at.Wide)
			}
			if at.Line != at.Last {
				t.Errorf("%s: %d tiles in the last line, want %d as in the first", where, at.Last, at.Line)
			}
			if !at.Sorted || at.Told == "" || at.All != at.Rows {
				t.Errorf("%s: %+v", where, at)
			}
			if folds := at.Few < at.Rows; folds != (name == "many") {
				t.Errorf("%s: %d of %d lines are shown", where, at.Few, at.Rows)
			}
		}
	}
	for _, problem := range p.Console {
		t.Error(problem)
	}
}

// manyInput is sixty copies of a block, the last of them wrong.
func manyInput(t *testing.T) report.Input {
	t.Helper()
	c := golden.Load(t, "repvgg-block-s1")
	block := c.Train
	c.Train = nil
	for k := range 60 {
		for _, n := range block {
			n.Key = fmt.Sprintf("net.stage%d.%d.%s", k/20, k%20, n.Key)
			c.Train = append(c.Train, n)
		}
	}
	p, err := planOf(t, c)
	if err != nil {
		t.Fatal(err)
	}
	return inputOf(t, p, func(all []tensor.Named) []tensor.Named {
		all[len(all)-1].Tensor = poked(t, all[len(all)-1].Tensor, 0)
		return all
	})
}
