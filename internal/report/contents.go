package report

import (
	"fmt"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// fewest is how many blocks need no list of groups, mostGroups how many groups are listed.
const (
	fewest     = 9
	mostGroups = 24
)

// contents leads to the parts of the page, and to the blocks by the part of the network that
// they are in.
func contents(all parts, rows []row) g.Node {
	var groups g.Node
	if len(rows) >= fewest {
		groups = h.Ul(h.Class("groups"), g.Map(grouped(rows), (group).item))
	}
	return h.Nav(h.Aria("label", "Contents"),
		h.Ul(g.Map(all, func(p part) g.Node { return h.Li(to(p.id, g.Text(p.title))) })), groups)
}

// to is a link within the page.
func to(id string, content ...g.Node) g.Node {
	return h.A(h.Href("#"+id), g.Group(content))
}

// group is blocks that follow each other.
type group struct {
	name string
	rows []row
}

// item is the group's name, which leads to its first block, and how many there are.
func (p group) item() g.Node {
	bad := 0
	for _, r := range p.rows {
		if r.bad() {
			bad++
		}
	}
	said := fmt.Sprint(len(p.rows))
	if bad > 0 {
		said += fmt.Sprintf(", %d differ", bad)
	}
	return h.Li(g.If(bad > 0, h.Class("wrong")), to(p.rows[0].anchor(), soft(p.name)), g.Text("\u2002"), h.Small(g.Text(said)))
}

// grouped is the blocks by the first module in which their names differ; where these are too
// many, several that follow each other are one group.
func grouped(rows []row) []group {
	depth := shared(rows)
	var all []group
	for _, r := range rows {
		segments := strings.Split(r.name, ".")
		name := strings.Join(segments[:min(depth+1, len(segments))], ".")
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, group{name: name})
		}
		last := &all[len(all)-1]
		last.rows = append(last.rows, r)
	}
	by := (len(all) + mostGroups - 1) / mostGroups
	if by < 2 {
		return all
	}
	var fewer []group
	for k := 0; k < len(all); k += by {
		some := all[k:min(k+by, len(all))]
		joined := group{name: some[0].name}
		if len(some) > 1 {
			joined.name += " … " + some[len(some)-1].name
		}
		for _, p := range some {
			joined.rows = append(joined.rows, p.rows...)
		}
		fewer = append(fewer, joined)
	}
	return fewer
}

// shared is how many segments all names begin with.
func shared(rows []row) int {
	first, last := strings.Split(rows[0].name, "."), strings.Split(rows[len(rows)-1].name, ".")
	k := 0 // names are sorted, so that what the outermost share all do
	for k < min(len(first), len(last)) && first[k] == last[k] {
		k++
	}
	return k
}
