package report

import (
	"context"
	"fmt"
	"math"
	"slices"

	"repfuse/internal/health"
	"repfuse/internal/tensor"
)

// mostPictures is how many blocks are pictured: one of each kind, then the least fit.
const mostPictures = 6

// mostTitles is how many taps a kernel may have for each to say its figure.
const mostTitles = 49

// picture is a block's kernels: what each branch comes to by itself, and their sum as it
// was stored; and how the weights are spread before and after.
type picture struct {
	Name, Layer, Family string
	Maps                []heat
	Histogram           *histogram
}

// heat is the root mean square of a kernel's weights at each tap.
type heat struct {
	Label, Detail string
	Fused         bool
	Rows, Columns int
	Cells         []cell
	// Power is the mean square of all taps, in percent of the fused kernel's.
	Power float64
}

// faintest is the shade of a tap that is next to nothing, but not nothing.
const faintest = 0.12

// cell is a tap that is not zero.
type cell struct {
	X, Y  int
	Shade float64 // 0 to 1
	Title string
}

// pictures draws the blocks that are worth it.
func pictures(ctx context.Context, in Input, rows []row) ([]picture, error) {
	stored := map[string]tensor.Tensor{}
	for _, t := range in.Stored {
		stored[t.Key] = t.Tensor
	}
	var all []picture
	for _, r := range worthPicturing(rows) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := picture{Name: r.Name, Layer: r.Layer, Family: r.Family}
		var err error
		if p.Maps, err = heats(r, stored[r.Output.Weight]); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		if p.Histogram, err = histograms(r, stored[r.Output.Weight]); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// worthPicturing is the first block of each kind, then those least fit for int8. What
// has neither branches nor taps comes last.
func worthPicturing(rows []row) []row {
	var some, rest, plain []row
	kinds := map[string]bool{}
	for _, r := range rows {
		if r.M.Skipped != "" || r.M.Health == nil {
			continue
		}
		list := branches(r.Output.Expr)
		kind := r.Family + extents(r.Output.Form.Kernel())
		for _, b := range list {
			kind += " " + what(b)
		}
		switch {
		case len(list) == 1 && r.Output.Form.Taps() == 1:
			plain = append(plain, r)
		case !kinds[kind] && len(some) < mostPictures:
			some, kinds[kind] = append(some, r), true
		default:
			rest = append(rest, r)
		}
	}
	slices.SortStableFunc(rest, func(a, b row) int {
		switch {
		case a.M.Health.Worse(*b.M.Health):
			return -1
		case b.M.Health.Worse(*a.M.Health):
			return 1
		}
		return 0
	})
	rest = append(rest, plain...)
	some = append(some, rest[:min(len(rest), mostPictures-len(some))]...)
	slices.SortFunc(some, func(a, b row) int { return a.Position - b.Position })
	return some
}

// heats is the maps of a block's branches and of their sum; nothing where kernels have
// more axes than a picture.
func heats(r row, fused tensor.Tensor) ([]heat, error) {
	f := r.Output.Form
	if f.Rank() > 2 {
		return nil, nil
	}
	list := branches(r.Output.Expr)
	powers := make([][]float64, len(list)+1)
	var err error
	for k, b := range list {
		if powers[k], err = branchPower(b, f); err != nil {
			return nil, err
		}
	}
	if powers[len(list)], err = health.TapPower(fused, f.Taps()); err != nil {
		return nil, err
	}
	strongest := 0.0
	for _, p := range powers {
		strongest = max(strongest, slices.Max(p))
	}
	all := make([]heat, len(powers))
	whole := sum(powers[len(list)])
	for k, p := range powers {
		all[k] = drawn(p, f.Kernel(), strongest)
		all[k].Power = 100 * sum(p) / max(whole, math.SmallestNonzeroFloat64)
		if k < len(list) {
			all[k].Label, all[k].Detail = what(list[k]), detail(list[k], r.Path)
		} else {
			all[k].Label, all[k].Detail, all[k].Fused = extents(f.Kernel()), "fused, as stored", true
			if f.Rank() == 0 {
				all[k].Label = "linear"
			}
		}
	}
	return all, nil
}

func sum(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	return s
}

// drawn makes a picture of the power at each tap.
func drawn(power []float64, kernel []int, strongest float64) heat {
	h := heat{Rows: 1, Columns: 1}
	switch len(kernel) {
	case 1:
		h.Columns = kernel[0]
	case 2:
		h.Rows, h.Columns = kernel[0], kernel[1]
	}
	for k, p := range power {
		c := cell{X: k % h.Columns, Y: k / h.Columns}
		if p > 0 {
			c.Shade = math.Round(1000*(faintest+(1-faintest)*math.Sqrt(p/strongest))) / 1000
		}
		if len(power) <= mostTitles {
			c.Title = figure(math.Sqrt(p))
		}
		if c.Shade > 0 {
			h.Cells = append(h.Cells, c)
		}
	}
	return h
}
