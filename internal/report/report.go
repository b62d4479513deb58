// Package report lays out what repfuse verify found as one page of HTML that needs
// nothing else: no network, no fonts, no scripts but a few lines in it that sort the
// table of blocks, and it is complete without those.
//
// Pictures are inline SVG, made here from the figures of packages verify, certify and
// health. Only the kernels' pictures read tensors: the branches' through package fuse,
// the fused ones as they were stored, both a few rows at a time.
package report

import (
	"cmp"
	"context"
	_ "embed" // for the page and what it is dressed in
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"repfuse/internal/certify"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// Input is what a report is made of.
type Input struct {
	// Source and Output are the two paths, Tool names the program.
	Source, Output, Tool string
	// Verdict is the answer, Sentence is it for people.
	Verdict  certify.Verdict
	Sentence string
	// Changed is the tensors that are not as fuse left them, Assumed what was assumed.
	Changed, Assumed []string
	Plan             *plan.Plan
	Measured         *verify.Report
	Certificate      *certify.Report
	// Stored is the tensors of the result.
	Stored []tensor.Named
}

var (
	//go:embed page.html
	pageText string
	//go:embed style.css
	style string
	//go:embed script.js
	script string
)

// page is parsed when it is first asked for: most runs of the command never do.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"figure": figure,
		"power":  power,
		"soft":   soft,
	}).Parse(pageText))
})

// Write writes the page.
func Write(ctx context.Context, w io.Writer, in Input) error {
	v, err := newView(ctx, in)
	if err != nil {
		return err
	}
	return page().Execute(w, v)
}

// view is what the page shows, in the order that it shows it.
type view struct {
	Input
	Style  template.CSS
	Script template.JS
	Tiles  []tile
	Rows   []row
	Chart  *chart
	Times  []bars
	// Reason is Sentence behind its verdict.
	Reason string
	// Pictured is the blocks whose kernels are shown.
	Pictured []picture
	Health   []fitness
	Warned   int
	Guesses  []guess
}

func newView(ctx context.Context, in Input) (*view, error) {
	v := &view{Input: in, Style: template.CSS(style), Script: template.JS(script)}
	if _, v.Reason, _ = strings.Cut(in.Sentence, string(in.Verdict)+": "); v.Reason == "" {
		v.Reason = in.Sentence
	}
	v.Tiles = tiles(in)
	v.Rows = rows(in)
	v.Chart = newChart(v.Rows)
	v.Times = times(v.Rows)
	v.Health = healths(in.Measured.Blocks)
	for _, f := range v.Health {
		if f.Warning != "" {
			v.Warned++
		}
	}
	v.Guesses = guesses(in.Certificate)
	var err error
	v.Pictured, err = pictures(ctx, in, v.Rows)
	return v, err
}

// row is a block in the table, and in the charts.
type row struct {
	Name     string
	Family   string
	Layer    string
	Verdict  certify.Verdict
	Bad      bool
	Why      string
	M        verify.Block
	C        certify.Block
	SpeedUp  float64
	Output   *plan.Output
	Path     string
	Position int // on the page, from 1
}

// rows joins what was measured and what was certified. Blocks are in the order of their
// names, numbers in them counting as numbers, which is that of most networks.
func rows(in Input) []row {
	var all []row
	k := 0
	for _, b := range in.Plan.Blocks {
		for j := range b.Outputs {
			r := row{Name: module(b.Outputs[j].Weight), Family: b.Family, Path: b.Path, Output: &b.Outputs[j],
				M: in.Measured.Blocks[k], C: in.Certificate.Blocks[k], Layer: layer(b.Outputs[j])}
			r.Verdict = r.C.Verdict
			r.Bad = !r.M.Passed || r.Verdict == certify.Different
			switch {
			case r.M.Skipped != "":
				r.Why = r.M.Skipped
			case r.Verdict == certify.Different:
				r.Why = r.C.Worst.String()
			}
			if r.M.After.Seconds > 0 {
				r.SpeedUp = r.M.Before.Seconds / r.M.After.Seconds
			}
			all = append(all, r)
			k++
		}
	}
	slices.SortStableFunc(all, func(a, b row) int { return natural(a.Name, b.Name) })
	for k := range all {
		all[k].Position = k + 1
	}
	return all
}

// natural compares names segment by segment, two numbers by their values.
func natural(a, b string) int {
	s, t := strings.Split(a, "."), strings.Split(b, ".")
	for k := range min(len(s), len(t)) {
		m, errM := strconv.Atoi(s[k])
		n, errN := strconv.Atoi(t[k])
		by := cmp.Compare(s[k], t[k])
		if errM == nil && errN == nil {
			by = cmp.Compare(m, n)
		}
		if by != 0 {
			return by
		}
	}
	return cmp.Compare(len(s), len(t))
}

// module is the module of a weight's key.
func module(weight string) string {
	return cmp.Or(strings.TrimSuffix(strings.TrimSuffix(weight, "weight"), "."), weight)
}

// fitness is a fused kernel's health in the table.
type fitness struct {
	Name, Warning                          string
	Range                                  string
	Peak, Spread                           float64
	Zero                                   float64 // percent
	Tensor, Channel, Float16, BFloat16     float64 // dB
	TensorBar, ChannelBar, F16Bar, BF16Bar float64 // percent of the bar's length
}

// fullBar is the ratio, in dB, that fills a bar: float16 has some 73.
const fullBar = 80

// healths is the fused kernels' health, the worst first.
func healths(blocks []verify.Block) []fitness {
	bar := func(db float64) float64 { return 100 * min(max(db/fullBar, 0), 1) }
	var measured []verify.Block
	for _, b := range blocks {
		if b.Health != nil {
			measured = append(measured, b)
		}
	}
	slices.SortStableFunc(measured, func(a, b verify.Block) int {
		switch {
		case a.Health.Worse(*b.Health):
			return -1
		case b.Health.Worse(*a.Health):
			return 1
		}
		return 0
	})
	var all []fitness
	for _, b := range measured {
		k := b.Health
		s := k.SNR
		all = append(all, fitness{Name: module(b.Weight), Warning: k.Warning(), Range: figure(k.Min) + " … " + figure(k.Max),
			Peak: k.Peak, Spread: k.Spread, Zero: 100 * k.Vanish,
			Tensor: s.Int8Tensor, Channel: s.Int8Channel, Float16: s.Float16, BFloat16: s.BFloat16,
			TensorBar: bar(s.Int8Tensor), ChannelBar: bar(s.Int8Channel), F16Bar: bar(s.Float16), BF16Bar: bar(s.BFloat16)})
	}
	return all
}
