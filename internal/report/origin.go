package report

import (
	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// Origin is what made a page, of which files.
type Origin struct {
	// Tool names the program and its version, Command is what was typed; "" where a program
	// called.
	Tool, Command string
	Files         []File
}

// File is a checkpoint by its checksum: Is says what it is to the page, Sum is the
// checksum with its kind.
type File struct {
	Is, Path, Sum string
	Bytes         int64
}

func (o Origin) list() g.Node {
	return h.Dl(h.Class("notes"),
		note("program", o.Tool),
		g.If(o.Command != "", note("command", o.Command)),
		g.Map(o.Files, func(f File) g.Node {
			return g.Group{h.Dt(g.Text(f.Is)), h.Dd(g.Text(f.Path+", "+bytesText(f.Bytes)), h.Br(), h.Code(g.Text(f.Sum)))}
		}),
	)
}
