package report

import (
	"fmt"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// side is the size of the box that charts are drawn in.
const side = 1000

// box is a picture of side × side that the page stretches to whatever width there is;
// lines keep their width then. The label is for those who do not see it.
func box(label string, content ...g.Node) g.Node {
	return h.SVG(h.Class("plot"), g.Attr("viewBox", fmt.Sprintf("0 0 %d %[1]d", side)), g.Attr("preserveAspectRatio", "none"),
		h.Role("img"), h.Aria("label", label), g.Group(content))
}

func path(class, d string) g.Node {
	return g.El("path", h.Class(class), g.Attr("d", d))
}
