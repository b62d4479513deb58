package report

import (
	"context"
	_ "embed" // for what the page is dressed in

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

var (
	//go:embed style.css
	style string
	//go:embed script.js
	script string
)

// policy lets a browser fetch nothing, and run nothing but what stands in the page.
const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

// page is the whole document. Checkpoints name their tensors as they like, so that
// everything in it is text or an attribute, which are escaped; only style and script,
// which are ours, stand in it as they are.
func page(ctx context.Context, in Input) (g.Node, error) {
	all := rows(in)
	pictures, err := kernels(ctx, in.Stored, all)
	if err != nil {
		return nil, err
	}
	return h.Doctype(h.HTML(h.Lang("en"), head(in), h.Body(
		h.Main(
			header(in),
			chart(all, in.Certificate.Range),
			blocks(all),
			pictures,
			times(all),
			fitness(in.Measured.Blocks),
			notes(in),
			h.Footer(g.Text(in.Tool)),
		),
		h.Script(g.Raw(script)),
	))), nil
}

func head(in Input) g.Node {
	return h.Head(
		h.Meta(h.Charset("utf-8")),
		h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
		h.Meta(h.Name("color-scheme"), h.Content("light dark")),
		h.Meta(g.Attr("http-equiv", "Content-Security-Policy"), h.Content(policy)),
		h.TitleEl(g.Textf("%s: %s → %s", in.Verdict, in.Source, in.Output)),
		h.StyleEl(g.Raw(style)),
	)
}

// section is a part of the page under its title.
func section(title string, content ...g.Node) g.Node {
	return h.Section(h.H2(g.Text(title)), g.Group(content))
}
