package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/certify"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/text"
	"repfuse/internal/verify"
)

// row is a block in the table, and in the charts.
type row struct {
	name         string
	family, path string
	output       *plan.Output
	measured     verify.Block
	certified    certify.Block
	position     int    // by name, from 1
	drawn        bool   // elsewhere on the page
	says         string // what a plan's layer computes
}

// rows joins what was measured and what was certified.
func rows(in Input) []row {
	var all []row
	for _, b := range in.Plan.Blocks {
		for j := range b.Outputs {
			k, o := len(all), &b.Outputs[j]
			all = append(all, row{name: text.Module(o.Weight), family: b.Family, path: b.Path, output: o,
				measured: in.Measured.Blocks[k], certified: in.Certificate.Blocks[k]})
		}
	}
	return byName(all)
}

// byName sorts rows by their names, numbers in them counting as numbers, which is the order of
// most networks, and numbers them.
func byName(all []row) []row {
	slices.SortStableFunc(all, func(a, b row) int { return text.Natural(a.name, b.name) })
	for k := range all {
		all[k].position = k + 1
	}
	return all
}

// mostRows is how many blocks a page has.
const mostRows = 1000

// foremost is the rows that a page has, in their order: those that differ, then those with the largest
// certified difference.
func foremost(all []row) []row {
	if len(all) <= mostRows {
		return all
	}
	some := slices.Clone(all)
	slices.SortStableFunc(some, func(a, b row) int {
		switch {
		case a.bad() == b.bad():
			return cmp.Compare(certified.of(b), certified.of(a))
		case a.bad():
			return -1
		}
		return 1
	})
	some = some[:mostRows]
	slices.SortFunc(some, func(a, b row) int { return a.position - b.position })
	return some
}

// anchor is the block's line in the table, picture what is drawn of it.
func (r row) anchor() string  { return "b" + strconv.Itoa(r.position) }
func (r row) picture() string { return "k" + strconv.Itoa(r.position) }

// ran reports whether the block was run.
func (r row) ran() bool { return r.measured.Skipped == "" }

// bad reports whether the block is not what it should be.
func (r row) bad() bool {
	return !r.measured.Passed || r.certified.Verdict == certify.Different
}

// why says what is wrong with a bad block.
func (r row) why() string {
	switch {
	case !r.ran():
		return r.measured.Skipped
	case r.certified.Verdict == certify.Different:
		return r.certified.Worst.String()
	case !r.measured.Passed:
		return fmt.Sprintf("measured %s, tolerance %s", figure(r.measured.Nearest.Difference), figure(r.measured.Tolerance.Value))
	}
	return ""
}

// speedUp is 0 where no time was taken.
func (r row) speedUp() float64 {
	if r.measured.After.Seconds > 0 {
		return r.measured.Before.Seconds / r.measured.After.Seconds
	}
	return 0
}

// kind is the block's family and layer: 3×3, 64 → 128, groups 4.
func (r row) kind() string {
	f := r.output.Form
	s := kernelText(f)
	if f.Transposed {
		s += " transposed"
	}
	s += fmt.Sprintf(", %d → %d", f.In, f.Out)
	if f.Groups > 1 {
		s += fmt.Sprintf(", groups %d", f.Groups)
	}
	if d := text.Extents(f.Dilation()); strings.Trim(d, "1×") != "" {
		s += ", dilation " + d
	}
	return r.family + " · " + s
}

func kernelText(f op.Form) string {
	if f.Rank() == 0 {
		return "linear"
	}
	return text.Extents(f.Kernel())
}
