// Package report lays out what repfuse verify found as one page of HTML that needs
// nothing else: no network, no fonts, no scripts except for a few lines in it that sort and fold the
// table of blocks, and it is complete without those. What plan and inspect say is laid out likewise.
//
// What is wrong stands first and is drawn; whatever the number of blocks, the page has at most
// mostRows of them, and some megabytes.
//
// Each section is a function that is named after it. Pictures are inline SVG, made here
// from the figures of packages verify, certify and health. Only the kernels' pictures
// read tensors: the branches' through package fuse, the fused ones as they were stored,
// both a few rows at a time.
package report

import (
	"context"
	"io"

	"repfuse/internal/certify"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
	"repfuse/internal/text"
	"repfuse/internal/verify"
)

// Input is what a report is made of.
type Input struct {
	// Source and Output are the two paths.
	Source, Output string
	Origin         Origin
	// Verdict is the answer, Sentence is it for people.
	Verdict  certify.Verdict
	Sentence string
	// Changed is the tensors that are not as fuse left them, Assumed what was
	// assumed or is worth knowing.
	Changed, Assumed []string
	// Conditions is what the verdict depends on.
	Conditions  []plan.Condition
	Plan        *plan.Plan
	Measured    *verify.Report
	Certificate *certify.Report
	// Stored is the tensors of the result.
	Stored []tensor.Named
}

// Write writes the page, in pieces as small as its elements.
func Write(ctx context.Context, w io.Writer, in Input) error {
	p, err := page(ctx, in)
	if err != nil {
		return err
	}
	return p.Render(&text.Writer{To: w}) // what a file brought turns no text of the page around
}
