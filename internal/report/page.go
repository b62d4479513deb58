package report

import (
	"context"
	_ "embed" // for what the page is dressed in
	"fmt"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/tensor"
)

var (
	//go:embed style.css
	style string
	//go:embed script.js
	script string
)

// policy lets a browser fetch nothing, and run nothing but what stands in the page.
const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

// page is the whole document of a verdict.
func page(ctx context.Context, in Input) (g.Node, error) {
	all := rows(in)
	some := foremost(all)
	stored := tensor.ByKey(in.Stored)
	wrong := slices.DeleteFunc(slices.Clone(some), func(r row) bool { return !r.bad() })
	shown := wrong[:min(len(wrong), mostDiffering)]
	picked := worthPicturing(some)
	linked(some, slices.Concat(shown, picked))
	left := len(wrong) - len(shown)
	differences, err := differing(ctx, stored, shown, left)
	if err != nil {
		return nil, err
	}
	pictures, err := kernels(ctx, stored, picked)
	if err != nil {
		return nil, err
	}
	return document(fmt.Sprintf("%s: %s → %s", in.Verdict, in.Source, in.Output), some, header(in, where(shown, left)), parts{
		{"differs", "What differs", differences},
		{"chart", "How far the two forms are apart", chart(some, in.Certificate.Range)},
		{"blocks", "Blocks", blocks(some, len(all)-len(some))},
		{"kernels", "Kernels", pictures},
		{"times", "Time", times(some)},
		{"fitness", "Fitness for low precision", fitness(healths(in.Measured.Blocks))},
		{"rests", "What this rests on", notes(in)},
		{"origin", "Where this page comes from", in.Origin.list()},
	}), nil
}

// linked notes of rows that they are drawn on the page.
func linked(all, drawn []row) {
	for k := range all {
		all[k].drawn = slices.ContainsFunc(drawn, func(r row) bool { return r.position == all[k].position })
	}
}

// part is a section of a page: its anchor, its title, and what it says, nil where it has nothing to say.
type part struct {
	id, title string
	content   g.Node
}

type parts []part

// document is a page of HTML. Checkpoints name their tensors as they like, so that everything
// in it is text or an attribute, which are escaped; only style and script, which are ours,
// stand in it as they are.
func document(title string, rows []row, head g.Node, all parts) g.Node {
	all = slices.DeleteFunc(all, func(p part) bool { return p.content == nil })
	return h.Doctype(h.HTML(h.Lang("en"), heading(title), h.Body(
		h.Main(head, contents(all, rows), g.Map(all, func(p part) g.Node {
			return h.Section(h.ID(p.id), h.H2(g.Text(p.title)), p.content)
		})),
		h.Script(g.Raw(script)),
	)))
}

func heading(title string) g.Node {
	return h.Head(
		h.Meta(h.Charset("utf-8")),
		h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
		h.Meta(h.Name("color-scheme"), h.Content("light dark")),
		h.Meta(g.Attr("http-equiv", "Content-Security-Policy"), h.Content(policy)),
		h.TitleEl(g.Text(title)),
		h.StyleEl(g.Raw(style)),
	)
}
