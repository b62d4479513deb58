package report

import (
	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

func legend(entries ...g.Node) g.Node {
	return h.Ul(h.Class("legend"), g.Map(entries, func(e g.Node) g.Node { return h.Li(e) }))
}

// key is a colour, a class of style.css, and what it stands for.
func key(colour, meaning string) g.Node {
	return g.Group{h.I(h.Class("key " + colour)), g.Text(meaning)}
}
