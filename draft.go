package repfuse

import (
	"context"
	"errors"
	"fmt"

	"repfuse/internal/draft"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
)

// DraftOptions say what to draft of; the fields are those of [Recognition].
type DraftOptions struct {
	Reading
	Families   []string
	Graph      string
	Prefix     string
	Only, Drop []string
}

// Drafted is families that are proposed for blocks that none is known of.
type Drafted struct {
	// The path that was given.
	Source string `json:"source"`
	// The format of what is there.
	Format string `json:"format"`
	// What was taken off every key.
	Prefix string `json:"prefix,omitempty"`
	// The text of a file that Recognition.Families takes, with what is sure and what is not as comments.
	YAML string `json:"yaml"`
	// The families of that text, in its order.
	Families []DraftedFamily `json:"families"`
	// What resembles a block and has no family, with why; and what is worth knowing.
	Notes []Note `json:"notes"`
}

// DraftedFamily is a family that is proposed for blocks that no known one takes.
type DraftedFamily struct {
	Name string `json:"name"`
	// The modules that are its blocks.
	Modules []string `json:"modules"`
	// What each block computes, in the notation of docs/notation.md.
	Expression string `json:"expression"`
	// What nothing shows, and the family asks.
	Asks []Question `json:"asks"`
}

// Question is what no key says.
type Question struct {
	// What --set calls it.
	Name string `json:"name"`
	// What is asked, in words.
	About string `json:"about"`
}

// Draft proposes families for the blocks of a checkpoint that no known family takes, from keys, shapes, and the facts
// and the graph that are at hand. It reads headers only. What it cannot know is a question of the family; as Plan
// takes the text it asks that, or plans. That nothing looks like a block is an error.
func Draft(ctx context.Context, src string, o DraftOptions) (*Drafted, error) {
	r := Recognition{Reading: o.Reading, Families: o.Families, Graph: o.Graph, Prefix: o.Prefix, Only: o.Only, Drop: o.Drop}
	s, err := r.open(ctx, src)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if s.Model != nil {
		return nil, hint.Add(fmt.Errorf("%s: its graph shows what is one layer, and needs no family", src), "%s", hint.Command("plan", src))
	}
	options, err := r.options(s)
	if err != nil {
		return nil, err
	}
	found, err := recognise.Draft(s.Tensors, options)
	if err != nil {
		return nil, hint.For(err, src)
	}
	if len(found.Families) == 0 {
		return nil, s.nothingDrafted(&r, found)
	}
	d := &Drafted{Source: s.Path, Format: s.Format, Prefix: found.Prefix, YAML: draft.YAML(s.Path, found.Families), Notes: notesOf(s.Checkpoint)}
	for _, f := range found.Families {
		text, asks := f.Expression()
		of := DraftedFamily{Name: f.Name, Modules: f.Modules, Expression: text, Asks: []Question{}}
		for _, q := range asks {
			of.Asks = append(of.Asks, Question{q.Name, q.About})
		}
		d.Families = append(d.Families, of)
	}
	for _, text := range found.Left {
		d.Notes = append(d.Notes, plan.Note{Text: "no family for it: " + text})
	}
	return d, nil
}

// nothingDrafted is the error where nothing looks like a block: what is there, and what to type.
func (s *source) nothingDrafted(r *Recognition, found *recognise.Drafted) error {
	text := s.Path + ": nothing in it looks like branches side by side"
	if found.Blocks > 0 {
		text += " beside what plan takes"
	}
	for _, why := range found.Left {
		text += "; " + why
	}
	switch {
	case found.Folds != "":
		return hint.Add(errors.New(text+"; "+found.Folds), "%s folds them", s.command(r, "plan", "--fold-bn"))
	case found.Blocks > 0:
		return hint.Add(errors.New(text), "%s", s.command(r, "plan"))
	}
	return hint.Add(errors.New(text), "%s lists the keys; --plan FILE names blocks by hand", hint.Command("inspect", "-v", s.Path))
}

// command is a command line about the source, with what decides which tensors are looked at.
func (s *source) command(r *Recognition, args ...string) string {
	for _, f := range r.Families {
		args = append(args, "--families", f)
	}
	for _, g := range r.Only {
		args = append(args, "--only", g)
	}
	for _, g := range r.Drop {
		args = append(args, "--drop", g)
	}
	for _, flag := range [][2]string{{"--state", r.State}, {"--prefix", r.Prefix}, {"--graph", r.Graph}} {
		if flag[1] != "" {
			args = append(args, flag[0], flag[1])
		}
	}
	if r.BFloat16 {
		args = append(args, "--bfloat16")
	}
	return hint.Command(append(args, s.Path)...)
}
