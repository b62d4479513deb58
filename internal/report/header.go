package report

import (
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/certify"
	"repfuse/internal/verify"
)

// header is the answer: the two paths, the verdict, and the figures that matter most.
func header(in Input) g.Node {
	return h.Header(
		h.P(h.Class("eyebrow"), g.Text("repfuse verify")),
		h.H1(h.Span(g.Text(in.Source)), g.Text(" "), h.I(g.Text("→")), g.Text(" "), h.Span(g.Text(in.Output))),
		verdict(in.Verdict, in.Sentence),
		findings(in.Measured.Findings),
		tiles(in.Measured, in.Certificate),
	)
}

// verdict is the answer in one word, and of the sentence what stands behind that word.
func verdict(v certify.Verdict, sentence string) g.Node {
	_, reason, _ := strings.Cut(sentence, string(v))
	if reason = strings.TrimLeft(reason, ":, "); reason == "" {
		reason = sentence
	}
	return h.Div(h.Class("verdict "+string(v)), h.Strong(g.Text(string(v))), h.P(g.Text(reason)))
}

// findings is what is wrong with keys and shapes, where it is more than the one that
// the verdict names.
func findings(all []verify.Finding) g.Node {
	if len(all) < 2 {
		return nil
	}
	return h.Ul(h.Class("findings"), g.Map(all, func(f verify.Finding) g.Node { return h.Li(g.Text(f.String())) }))
}
