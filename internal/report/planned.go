package report

import (
	"fmt"
	"io"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/plan"
	"repfuse/internal/text"
	"repfuse/internal/verify"
)

// Planned is what the page of a plan is made of.
type Planned struct {
	Source string
	Origin Origin
	Plan   *plan.Plan
	// Expression is what an output of a block computes, as people write it.
	Expression func(plan.Block, plan.Output) string
	// Tensors and Bytes are what would be written, of SourceBytes.
	Tensors            int
	Bytes, SourceBytes int64
	// Notes are those of the checkpoint too, Conditions what the result depends on.
	Notes      []plan.Note
	Conditions []plan.Condition
	// Differences is how the result differs from what was expected.
	Differences []string
}

// WritePlan writes the page of a plan.
func WritePlan(w io.Writer, in Planned) error {
	rows := in.rows()
	some := rows[:min(len(rows), mostRows)]
	return document("plan: "+in.Source, some, in.header(len(rows)), parts{
		{"blocks", "Layers", in.layers(some, len(rows)-len(some))},
		{"others", "Tensors that no layer takes", others(in.Plan.Fates)},
		{"rests", "What this rests on", in.rests()},
		{"origin", "Where this page comes from", in.Origin.list()},
	}).Render(&text.Writer{To: w})
}

// rows is the plan's layers, which nothing was measured of.
func (in Planned) rows() []row {
	var all []row
	for _, b := range in.Plan.Blocks {
		for j := range b.Outputs {
			o := &b.Outputs[j]
			all = append(all, row{name: text.Module(o.Weight), family: b.Family, path: b.Path, output: o, says: in.Expression(b, *o),
				measured: verify.Block{Passed: true}})
		}
	}
	return byName(all)
}

// header is what would be done, and what it would come to.
func (in Planned) header(layers int) g.Node {
	class, word, why := "exact", fmt.Sprintf("%d layers", layers), "nothing is assumed"
	switch {
	case len(in.Differences) > 0:
		class, word, why = "different", "not as expected", in.Differences[0]
	case layers == 0 && len(in.Plan.Deployed) > 0:
		word, why = "already fused", fmt.Sprintf("%d blocks", len(in.Plan.Deployed))
	case layers == 0:
		word, why = "nothing to fuse", "every tensor passes through"
	case len(in.Conditions) > 0:
		class, why = "equivalent", "right only if "+in.Conditions[0].String()
		if more := len(in.Conditions) - 1; more > 0 {
			why += fmt.Sprintf(", and %d more, below", more)
		}
	}
	families, counts := map[string]bool{}, map[string]int{}
	for _, b := range in.Plan.Blocks {
		families[b.Family] = true
	}
	for _, f := range in.Plan.Fates {
		counts[f.Fate]++
	}
	return head("plan", g.Text(in.Source), verdict(class, word, why, listed("findings", in.Differences)),
		h.Dl(h.Class("tiles"),
			count("blocks", len(in.Plan.Blocks), "as trained"),
			count("layers", layers, "as deployed"),
			count("families", len(families), "of blocks"),
			count("kept", counts[plan.Kept], "tensors that stay as they are"),
			count("dropped", counts[plan.Dropped], "tensors that nothing needs"),
			tile("stored", g.Text(bytesText(in.Bytes)), g.Textf("in %d tensors, of %s in %d", in.Tensors, bytesText(in.SourceBytes), len(in.Plan.Fates))),
		),
	)
}

// layers is the table of what is made, and of what.
func (in Planned) layers(rows []row, left int) g.Node {
	if len(rows) == 0 {
		return nil
	}
	column := h.Scope("col")
	heads := h.Tr(h.Th(column, g.Text("layer")), h.Th(column, g.Text("computes")))
	return table(heads, g.Map(rows, func(r row) g.Node {
		return h.Tr(h.ID(r.anchor()), named(r), h.Td(h.Class("wide"), g.Map(strings.Split(r.says, "\n"), func(line string) g.Node {
			return g.Group{h.Code(g.Text(line)), h.Br()}
		})))
	}), left, "more are left out; plan --json has them.")
}

// others is the tensors that no block takes, by what becomes of them and why.
func others(fates []plan.Fate) g.Node {
	of, order := map[string][]string{}, []string(nil)
	for _, f := range fates {
		if f.Block >= 0 {
			continue
		}
		why := f.Fate
		if f.Why != "" {
			why += ", " + f.Why
		}
		if of[why] == nil {
			order = append(order, why)
		}
		name := f.Key
		if f.Fate == plan.Kept && f.NewKey != f.Key {
			name += " as " + f.NewKey
		}
		of[why] = append(of[why], name)
	}
	if len(order) == 0 {
		return nil
	}
	return g.Map(order[:min(len(order), mostNotes)], func(why string) g.Node {
		return h.Details(h.Summary(g.Textf("%d %s", len(of[why]), why)), listed("others", of[why]))
	})
}

// rests is the conditions and what else is noted.
func (in Planned) rests() g.Node {
	if len(in.Conditions)+len(in.Notes) == 0 {
		return nil
	}
	return h.Dl(h.Class("notes"), conditions(in.Conditions), g.Map(in.Notes[:min(len(in.Notes), mostNotes)], func(n plan.Note) g.Node {
		s := n.String()
		if n.Hint != "" {
			s += " (" + n.Hint + ")"
		}
		return note("noted", s)
	}))
}
