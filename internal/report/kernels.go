package report

import (
	"context"
	"fmt"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/health"
	"repfuse/internal/tensor"
	"repfuse/internal/text"
)

// mostPictures is how many blocks are pictured: one of each kind, then the least fit.
const mostPictures = 6

// kernels is the pictures of the blocks that are worth it: what each branch comes to by
// itself, and their sum as it was stored; and how the weights are spread before and
// after. What differs has been drawn before.
func kernels(ctx context.Context, stored map[string]tensor.Tensor, some []row) (g.Node, error) {
	if len(some) == 0 {
		return nil, nil
	}
	articles, err := drawn(ctx, stored, some)
	return g.Group{
		h.P(g.Text("What each branch comes to as a kernel of its own, and their sum as it was stored: the root mean square of the weights " +
			"at each tap, stronger being larger, on one scale for each block. Below, how the weights are spread before and after; " +
			"heights are logarithmic, as it is the few outermost weights that a quantizer has to make room for.")),
		articles,
	}, err
}

// drawn is the pictures of some blocks.
func drawn(ctx context.Context, stored map[string]tensor.Tensor, some []row) (g.Node, error) {
	var articles g.Group
	for _, r := range some {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a, err := article(r, stored)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		articles = append(articles, a)
	}
	return articles, nil
}

// article is one block's pictures.
func article(r row, stored map[string]tensor.Tensor) (g.Node, error) {
	content := g.Group{h.H3(to(r.anchor(), soft(r.name)), g.Text("\u2002"), h.Small(g.Text(r.kind())))}
	fused := stored[r.output.Weight]
	if why := r.why(); why != "" {
		content = append(content, h.P(h.Class("why"), g.Text(why)))
	}
	if r.bad() && r.ran() {
		m, err := deltaOf(r, stored)
		if err != nil {
			return nil, err
		}
		content = append(content, m.draw(r.output.Form.Transposed))
	}
	if r.measured.Health != nil {
		maps, err := heats(r, fused)
		if err != nil {
			return nil, err
		}
		spread, err := histogram(r, fused)
		if err != nil {
			return nil, err
		}
		content = append(content, h.Div(h.Class("kernels"), maps), spread)
	}
	return h.Article(h.ID(r.picture()), content), nil
}

// worthPicturing is the first block of each kind, then those least fit for int8. What
// has neither branches nor taps comes last.
func worthPicturing(rows []row) []row {
	var some, rest, plain []row
	kinds := map[string]bool{}
	for _, r := range rows {
		if r.bad() || r.measured.Health == nil {
			continue
		}
		list := branches(r.output.Expr)
		kind := r.family + text.Extents(r.output.Form.Kernel())
		for _, b := range list {
			kind += " " + what(b)
		}
		switch {
		case len(list) == 1 && r.output.Form.Taps() == 1:
			plain = append(plain, r)
		case !kinds[kind] && len(some) < mostPictures:
			some, kinds[kind] = append(some, r), true
		default:
			rest = append(rest, r)
		}
	}
	slices.SortStableFunc(rest, func(a, b row) int { return health.Compare(a.measured.Health, b.measured.Health) })
	rest = append(rest, plain...)
	some = append(some, rest[:min(len(rest), mostPictures-len(some))]...)
	slices.SortFunc(some, func(a, b row) int { return a.position - b.position })
	return some
}
