package report

import (
	"cmp"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/certify"
	"repfuse/internal/verify"
)

// header is the answer: the two paths, the verdict with links to where it is decided, and the figures that
// matter most.
func header(in Input, where g.Node) g.Node {
	paths := g.Group{h.Span(g.Text(in.Source)), g.Text(" "), h.I(g.Text("→")), g.Text(" "), h.Span(g.Text(in.Output))}
	return head("verify", paths, verdict(string(in.Verdict), string(in.Verdict), reason(in.Verdict, in.Sentence), where),
		findings(in.Measured.Findings), tiles(in.Measured, in.Certificate))
}

// head is the top of a page: the command, what it was given, and what it says of that.
func head(command string, given g.Node, says ...g.Node) g.Node {
	return h.Header(h.P(h.Class("eyebrow"), g.Text("repfuse "+command)), h.H1(given), g.Group(says))
}

// reason is what stands behind the answer's word in its sentence.
func reason(v certify.Verdict, sentence string) string {
	_, reason, _ := strings.Cut(sentence, string(v))
	return cmp.Or(strings.TrimLeft(reason, ":, "), sentence)
}

// verdict is the answer in a word, in the colour of a class, why, and what else belongs to it.
func verdict(class, word, why string, more g.Node) g.Node {
	return h.Div(h.Class("verdict "+class), h.Strong(g.Text(word)), h.P(g.Text(why)), more)
}

// mostFindings is how many are listed.
const mostFindings = 50

// findings is what is wrong with keys and shapes, where it is more than the one that
// the verdict names.
func findings(all []verify.Finding) g.Node {
	if len(all) < 2 {
		return nil
	}
	var texts []string
	for _, f := range all {
		texts = append(texts, f.String())
	}
	return listed("findings", texts)
}

// listed is sentences, as far as there is room.
func listed(class string, all []string) g.Node {
	if len(all) == 0 {
		return nil
	}
	some := all[:min(len(all), mostFindings)]
	return h.Ul(h.Class(class),
		g.Map(some, func(s string) g.Node { return h.Li(g.Text(s)) }),
		g.If(len(all) > len(some), h.Li(g.Textf("… and %d more", len(all)-len(some)))),
	)
}
