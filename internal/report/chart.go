package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// chart is the differences and bounds of the blocks on a logarithmic scale. It is drawn
// in a box of 1000 × 1000 that the page stretches to whatever width there is: lines keep
// their width then, and points are lines of no length with round ends. Labels are text
// beside the box.
type chart struct {
	Decades []decade
	// The paths of the series, the first being what joins the second and the third.
	Stems, Measured, Certified, Tolerance, Float32 string
	// Hits is where a pointer finds each block.
	Hits []hit
	// Zeros counts the blocks that do not differ at all; they stand on the bottom line.
	Zeros int
}

type decade struct {
	// Top is in percent of the height, Y the same in the box.
	Top   float64
	Y     float64
	Power string
}

// mostLines is how many lines a chart has, about.
const mostLines = 8

type hit struct {
	X, Width float64
	Title    string
}

// side is the size of the box that charts are drawn in.
const side = 1000

// newChart draws the rows, or nothing where there are none.
func newChart(rows []row) *chart {
	var run []row
	for _, r := range rows {
		if r.M.Skipped == "" && r.C.Skipped == "" {
			run = append(run, r)
		}
	}
	if len(run) == 0 {
		return nil
	}
	low, high := span(run)
	c := &chart{}
	step := (high - low + mostLines - 1) / mostLines
	for e := low; e <= high; e += step {
		y := side * float64(high-e) / float64(high-low)
		c.Decades = append(c.Decades, decade{Top: y / side * 100, Y: y, Power: strings.Replace(fmt.Sprint(e), "-", "−", 1)})
	}
	at := func(v float64) float64 {
		if v <= 0 {
			return side
		}
		return side * (float64(high) - math.Log10(min(v, math.MaxFloat64))) / float64(high-low)
	}
	c.draw(run, at)
	return c
}

// draw fills the paths.
func (c *chart) draw(run []row, at func(float64) float64) {
	step := float64(side) / float64(len(run))
	var stems, measured, certified, tolerance, float32s strings.Builder
	dash := min(step*0.32, 14)
	for k, r := range run {
		x := step * (float64(k) + 0.5)
		m, b, t, f := at(r.M.Largest.Difference), at(r.C.Bound.Value), at(r.M.Tolerance.Value), at(r.M.Float32.Largest.Difference)
		if r.M.Largest.Difference == 0 {
			c.Zeros++
		}
		fmt.Fprintf(&stems, "M%.1f %.1fV%.1f", x, b, m)
		fmt.Fprintf(&measured, "M%.1f %.1fh0", x, m)
		fmt.Fprintf(&certified, "M%.1f %.1fh%.1f", x-dash, b, 2*dash)
		fmt.Fprintf(&tolerance, "M%.1f %.1fh%.1f", x-dash, t, 2*dash)
		fmt.Fprintf(&float32s, "M%.1f %.1fh0", x, f)
		c.Hits = append(c.Hits, hit{x - step/2, step, fmt.Sprintf("%s: measured %s, certified %s, tolerance %s, float32 %s", r.Name,
			figure(r.M.Largest.Difference), figure(r.C.Bound.Value), figure(r.M.Tolerance.Value), figure(r.M.Float32.Largest.Difference))})
	}
	c.Stems, c.Measured, c.Certified = stems.String(), measured.String(), certified.String()
	c.Tolerance, c.Float32 = tolerance.String(), float32s.String()
}

// span is the decades that hold every positive figure of the rows.
func span(run []row) (low, high int) {
	small, large := math.Inf(1), 0.0
	for _, r := range run {
		for _, v := range []float64{r.M.Largest.Difference, r.C.Bound.Value, r.M.Tolerance.Value, r.M.Float32.Largest.Difference} {
			if v > 0 && v < math.MaxFloat64 {
				small, large = min(small, v), max(large, v)
			}
		}
	}
	if large == 0 {
		return -1, 0
	}
	low, high = int(math.Floor(math.Log10(small))), int(math.Ceil(math.Log10(large)))
	return low, max(high, low+1)
}

// bars is the time of both forms of a block, in percent of the longest.
type bars struct {
	Name                  string
	Before, After         float64
	BeforeText, AfterText string
	SpeedUp               string
}

// mostBars is how many blocks the chart of times has.
const mostBars = 12

// times is the blocks that take longest, in the order of the table.
func times(rows []row) []bars {
	var run []row
	for _, r := range rows {
		if r.M.Skipped == "" {
			run = append(run, r)
		}
	}
	slices.SortStableFunc(run, func(a, b row) int { return cmp.Compare(b.M.Before.Seconds, a.M.Before.Seconds) })
	run = run[:min(len(run), mostBars)]
	longest := 0.0
	for _, r := range run {
		longest = max(longest, r.M.Before.Seconds, r.M.After.Seconds)
	}
	slices.SortStableFunc(run, func(a, b row) int { return cmp.Compare(a.Position, b.Position) })
	var all []bars
	for _, r := range run {
		b, a := r.M.Before.Seconds, r.M.After.Seconds
		all = append(all, bars{r.Name, 100 * b / longest, 100 * a / longest, seconds(b), seconds(a), ratio(b, a)})
	}
	return all
}
