package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"repfuse/internal/certify"
	"repfuse/internal/checkpoint"
	"repfuse/internal/hint"
	"repfuse/internal/npy"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/record"
	"repfuse/internal/report"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// verifyFlags is what repfuse verify is told besides its two paths.
type verifyFlags struct {
	recognition
	dtype, size          string
	require, witness     string
	report               string
	trials, jobs         int
	seed                 uint64
	limit                float64
	atol, rtol           float64
	json, quiet, verbose bool
}

func newVerify() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use:   "verify [SRC [DST]]",
		Short: "Prove that a fused checkpoint computes what its source did",
		Long: `Verify runs the branches of every block of SRC as the network runs them, and the
convolution that stands in their place in DST, on the same random input, borders
included; and it compares every tensor that passed through, byte for byte.

SRC is "weights" and DST is "out" where they are not given. Verify reads from the
record that fuse left in DST what was assumed, and needs no flags then.

The verdict is decided element by element, against the real fused value:
  exact       every stored element is within 0.501 units in the last place of it
  equivalent  every element is within what an ordinary computation in its type explains
  different   anything else, however small
and printed beside it are the largest difference that was measured, the largest that
any input within ±R can make, and what a float32 runtime will show. --atol and --rtol
decide by what was measured instead.`,
		Example: `  repfuse fuse weights/ out/ && repfuse verify
  repfuse verify --size 32 --trials 4 --seed 7 model.pth fused.safetensors
  if repfuse verify --quiet a b; then echo same; fi`,
		Args: arguments(0, 2, "at most SRC and DST"),
		RunE: func(c *cobra.Command, args []string) error {
			src, dst := "weights", "out"
			if len(args) > 0 {
				src = args[0]
			}
			if len(args) > 1 {
				dst = args[1]
			} else if _, err := os.Stat(dst); len(args) == 1 && errors.Is(err, fs.ErrNotExist) {
				return hint.Add(fmt.Errorf("%s: file does not exist, and no other DST is named", dst), "name both, what fuse read and what it wrote: repfuse verify SRC DST")
			}
			return f.run(c, src, dst)
		},
	}
	f.add(c)
	c.Flags().StringVar(&f.dtype, "dtype", "", "`TYPE` that fuse was asked for")
	c.Flags().StringVar(&f.size, "size", "", "`N or HxW` of the image (default 14, or the kernel and one more)")
	c.Flags().IntVar(&f.trials, "trials", 1, "images that each block is run on")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "seed of the images")
	c.Flags().Float64Var(&f.limit, "range", 1, "`R`: images are uniform between −R and R")
	c.Flags().Float64Var(&f.atol, "atol", 0, "absolute tolerance in place of the derived one")
	c.Flags().Float64Var(&f.rtol, "rtol", 0, "relative tolerance in place of the derived one")
	c.Flags().StringVar(&f.require, "require", string(certify.Equivalent), "`VERDICT` that is good enough: exact or equivalent")
	c.Flags().StringVar(&f.witness, "witness", "", "`FILE.npy` for the input on which the worst block differs most")
	c.Flags().StringVar(&f.report, "report", "", "`FILE.html` for all of it on a page of its own, with pictures")
	c.Flags().BoolVar(&f.json, "json", false, "print everything as JSON")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print nothing but errors; the exit status is the verdict")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print every block")
	c.Flags().VarP((*jobs)(&f.jobs), "jobs", "j", "`N` goroutines (default one a processor)")
	return c
}

// garbage is how much of it, in percent of what is in use, is left lying. Most of what
// blocks are run in is used again, so collecting the rest soon costs nothing that can be
// measured.
const garbage = 20

func (f *verifyFlags) run(c *cobra.Command, src, dst string) error {
	o, err := f.options(c)
	if err != nil {
		return err
	}
	rec, err := record.Read(dst)
	if err != nil {
		return err
	}
	s, err := f.planned(src, rec, &o)
	if err != nil {
		return err
	}
	defer s.Close()
	out, err := checkpoint.Open(dst, checkpoint.Options{BFloat16: f.bfloat16 || s.gives(tensor.BF16, o.Type)})
	if err != nil {
		return err
	}
	defer out.Close()
	debug.SetGCPercent(garbage)
	stdout, stderr := c.OutOrStdout(), c.ErrOrStderr()
	j, err := f.judge(c.Context(), s, out, rec, o, stderr)
	if err != nil {
		return err
	}
	if err := f.writeWitness(c.Context(), j, out, stderr); err != nil {
		return err
	}
	if err := f.writeReport(c.Context(), j, out); err != nil {
		return err
	}
	switch {
	case f.json:
		err = printJSON(stdout, j)
	case !f.quiet:
		printJudgement(stdout, stderr, j, f.verbose)
	}
	if err == nil && !j.satisfies(f.require) {
		err = errNo
	}
	return err
}

// satisfies reports whether the verdict is good enough.
func (j *judgement) satisfies(require string) bool {
	return j.Verdict == certify.Exact || (j.Verdict == certify.Equivalent && require != string(certify.Exact))
}

// options turns the flags into what package verify takes.
func (f *verifyFlags) options(c *cobra.Command) (verify.Options, error) {
	o := verify.Options{Trials: f.trials, Seed: f.seed, Range: f.limit, Jobs: f.jobs, Health: !f.quiet || f.report != ""}
	if c.Flags().Changed("atol") {
		o.Atol = &f.atol
	}
	if c.Flags().Changed("rtol") {
		o.Rtol = &f.rtol
	}
	if f.require != string(certify.Exact) && f.require != string(certify.Equivalent) {
		return o, fmt.Errorf("--require %s, want exact or equivalent", f.require)
	}
	if !(f.atol >= 0 && f.rtol >= 0) {
		return o, fmt.Errorf("--atol %g, --rtol %g, want numbers of at least 0", f.atol, f.rtol)
	}
	if !(f.limit > 0) {
		return o, fmt.Errorf("--range %g, want a number above 0", f.limit)
	}
	if f.trials < 1 {
		return o, fmt.Errorf("--trials %d, want at least 1", f.trials)
	}
	if f.size != "" {
		for _, w := range strings.Split(f.size, "x") {
			n, err := strconv.Atoi(w)
			if err != nil || n < 1 {
				return o, fmt.Errorf("--size %s, want a number such as 14, or 14x20", f.size)
			}
			o.Size = append(o.Size, n)
		}
	}
	var err error
	o.Type, err = parseDType(f.dtype)
	return o, err
}

// planned is the source and its plan: the one on record, unless flags say how to
// recognise the blocks.
func (f *verifyFlags) planned(src string, rec *record.Record, o *verify.Options) (*source, error) {
	if rec == nil || f.given() {
		s, err := f.read(src)
		if err != nil {
			return nil, err
		}
		if err := s.wantSomething(); err != nil {
			s.Close()
			return nil, err
		}
		return s, nil
	}
	f.bfloat16 = f.bfloat16 || rec.BFloat16
	if f.state == "" {
		f.state = rec.State
	}
	if o.Type == tensor.Invalid {
		t, err := parseDType(rec.DType)
		if err != nil {
			return nil, fmt.Errorf("record: %w", err)
		}
		o.Type = t
	}
	c, err := f.open(src)
	if err != nil {
		return nil, err
	}
	families, err := f.families()
	if err != nil {
		c.Close()
		return nil, err
	}
	p, err := recognise.Plan(c.Tensors, recognise.Options{Families: families, File: rec.Plan})
	if err != nil {
		c.Close()
		return nil, withHint(err, "the record beside the result does not fit %s; say how to recognise it with flags", src)
	}
	for _, n := range rec.Notes {
		p.Notes = append(p.Notes, plan.Note{Text: n})
	}
	return &source{Checkpoint: c, plan: p}, nil
}

func notes(s *source) []string {
	all := []string{}
	for _, n := range s.plan.Notes {
		all = append(all, n.String())
	}
	return all
}

// writeReport writes the page, whole or not at all.
func (f *verifyFlags) writeReport(ctx context.Context, j *judgement, out *checkpoint.Checkpoint) error {
	if f.report == "" {
		return nil
	}
	var b bytes.Buffer
	err := report.Write(ctx, &b, report.Input{Source: j.Source, Output: j.Output, Tool: "repfuse " + versionText(),
		Verdict: j.Verdict, Sentence: j.sentence(), Changed: j.Changed, Assumed: j.Notes,
		Plan: j.source.plan, Measured: j.Measured, Certificate: j.Certificate, Stored: out.Tensors})
	if err != nil {
		return fmt.Errorf("%s: %w", f.report, err)
	}
	return os.WriteFile(f.report, b.Bytes(), 0o666)
}

// writeWitness writes the input on which the worst block differs most.
func (f *verifyFlags) writeWitness(ctx context.Context, j *judgement, out *checkpoint.Checkpoint, stderr io.Writer) error {
	c := j.Certificate
	if f.witness == "" {
		return nil
	}
	if c.Largest < 0 {
		return fmt.Errorf("--witness %s: there is no block", f.witness)
	}
	b := c.Blocks[c.Largest]
	w, err := certify.FindWitness(ctx, j.source.plan, out.Tensors, b.Weight, certify.Options{Range: f.limit})
	if err != nil {
		return err
	}
	data, err := w.Input.ReadAll()
	if err != nil {
		return err
	}
	header, err := npy.AppendHeader(nil, w.Input.Type, w.Input.Shape)
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.witness, append(header, data...), 0o666); err != nil {
		return err
	}
	if !f.quiet {
		fmt.Fprintf(stderr, "note: %s: on this input %s differs by %.3g at channel %d, position %v\n", f.witness, b.Weight, w.Difference, w.Channel, w.Position)
	}
	return nil
}
