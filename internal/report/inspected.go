package report

import (
	"io"
	"strconv"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/health"
	"repfuse/internal/tensor"
	"repfuse/internal/text"
)

// Inspected is what the page of a checkpoint is made of.
type Inspected struct {
	Source, Format string
	Origin         Origin
	// Faults is what is wrong with its numbers, a sentence each; Values has none where a tensor's type
	// is not a floating one.
	Faults  []string
	Tensors []tensor.Spec
	Values  []*health.Values
	Kernels []*health.Kernel
	Notes   []string
}

// WriteInspection writes the page of a checkpoint.
func WriteInspection(w io.Writer, in Inspected) error {
	return document("inspect: "+in.Source, nil, in.header(), parts{
		{"fitness", "Fitness for low precision", fitness(in.Kernels)},
		{"tensors", "Tensors", in.table()},
		{"rests", "What is noted", in.noted()},
		{"origin", "Where this page comes from", in.Origin.list()},
	}).Render(&text.Writer{To: w})
}

func (in Inspected) header() g.Node {
	class, word, why := "exact", "sound", "every element is a finite number, and no variance is negative"
	if len(in.Faults) > 0 {
		class, word, why = "different", "not sound", "no network can work with this"
	}
	elements, bytes, types := 0, int64(0), map[tensor.Type]bool{}
	for _, t := range in.Tensors {
		elements, bytes = elements+tensor.Elems(t.Shape), bytes+t.Bytes()
		types[t.Type] = true
	}
	return head("inspect", g.Text(in.Source), verdict(class, word, why, listed("findings", in.Faults)),
		h.Dl(h.Class("tiles"),
			count("tensors", len(in.Tensors), "as "+in.Format),
			tile("elements", g.Text(countText(int64(elements))), g.Text("of all tensors")),
			tile("stored", g.Text(bytesText(bytes)), g.Text("of elements")),
			count("types", len(types), "of elements"),
			count("kernels", len(in.Kernels), warned(in.Kernels)),
			count("faults", len(in.Faults), "in the numbers"),
		),
	)
}

// table is all tensors with their ranges.
func (in Inspected) table() g.Node {
	column, figures := h.Scope("col"), h.Class("n")
	some := in.Tensors[:min(len(in.Tensors), mostRows)]
	var lines g.Group
	for k, t := range some {
		cells := g.Group{h.Td(figures, h.ColSpan("2"), g.Text("no floating type"))}
		if v := in.Values[k]; v != nil {
			cells = g.Group{cell("least", v.Min, g.Text(figure(v.Min))), cell("largest", v.Max, g.Text(figure(v.Max)))}
		}
		shape := text.Extents(t.Shape)
		if len(t.Shape) == 0 {
			shape = "scalar"
		}
		lines = append(lines, h.Tr(h.Th(h.Scope("row"), h.Data("value", strconv.Itoa(k)), h.Span(h.Class("name"), soft(t.Key)),
			h.Small(g.Text(shape+" · "+t.Type.String()))), cells))
	}
	heads := h.Tr(h.Th(column, g.Text("tensor")), h.Th(column, figures, g.Text("least")), h.Th(column, figures, g.Text("largest")))
	return table(heads, lines, len(in.Tensors)-len(some), "more are left out; inspect --json has them.")
}

func (in Inspected) noted() g.Node {
	if len(in.Notes) == 0 {
		return nil
	}
	return h.Dl(h.Class("notes"), g.Map(in.Notes[:min(len(in.Notes), mostNotes)], func(s string) g.Node { return note("noted", s) }))
}
