package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"repfuse/internal/checkpoint"
	"repfuse/internal/plan"
	"repfuse/internal/record"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// verifyFlags is what repfuse verify is told besides its two paths.
type verifyFlags struct {
	recognition
	dtype, size          string
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

The verdict is from float64 runs. The tolerance of each output channel is derived
from the element type, the number of terms and their magnitudes; --atol and --rtol
replace it.`,
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
	c.Flags().BoolVar(&f.json, "json", false, "print everything as JSON")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print nothing but errors; the exit status is the verdict")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print every block")
	c.Flags().IntVarP(&f.jobs, "jobs", "j", 0, "`N` goroutines (default one a processor)")
	return c
}

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
	out, err := checkpoint.Open(dst, checkpoint.Options{BFloat16: f.bfloat16})
	if err != nil {
		return err
	}
	defer out.Close()
	return f.judge(c.Context(), s, out, rec, o, c.OutOrStdout(), c.ErrOrStderr())
}

// options turns the flags into what package verify takes.
func (f *verifyFlags) options(c *cobra.Command) (verify.Options, error) {
	o := verify.Options{Trials: f.trials, Seed: f.seed, Range: f.limit, Jobs: f.jobs}
	if c.Flags().Changed("atol") {
		o.Atol = &f.atol
	}
	if c.Flags().Changed("rtol") {
		o.Rtol = &f.rtol
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
		if err := s.fusedAlready(); err != nil {
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
	p, err := plan.New(c.Tensors, plan.Options{Families: families, File: rec.Plan})
	if err != nil {
		c.Close()
		return nil, withHint(err, "the record beside the result does not fit %s; say how to recognise it with flags", src)
	}
	for _, n := range rec.Notes {
		p.Notes = append(p.Notes, plan.Note{Text: n})
	}
	return &source{c, p}, nil
}

// judge runs the comparison and prints the verdict.
func (f *verifyFlags) judge(ctx context.Context, s *source, out *checkpoint.Checkpoint, rec *record.Record, o verify.Options, stdout, stderr io.Writer) error {
	bar := newProgress(stderr, f.quiet, "verifying", total(s.plan.Items(o.Type)))
	outputs := 0
	for _, b := range s.plan.Blocks {
		outputs += len(b.Outputs)
	}
	o.Progress = func(done, all int) { bar.tell(bar.all * int64(done) / int64(all)) }
	r, err := verify.Run(ctx, s.plan, out.Tensors, o)
	bar.end()
	if err != nil {
		return err
	}
	var changed []string
	if rec != nil {
		if changed, err = rec.Changed(out.Tensors); err != nil {
			return err
		}
	}
	switch {
	case f.json:
		err = printJSON(stdout, verifyReport{Source: s.Path, Output: out.Path, Changed: changed, Notes: notes(s), Report: r})
	case !f.quiet:
		err = printVerdict(stdout, stderr, verdict{s, out, r, changed, f.verbose})
	}
	if err == nil && !r.Passed {
		err = errNo
	}
	return err
}

// verifyReport is repfuse verify --json.
type verifyReport struct {
	Source string `json:"source"`
	Output string `json:"output"`
	// Changed is the tensors that are not as fuse left them, by the record.
	Changed []string `json:"changed,omitempty"`
	// Notes is what was assumed.
	Notes []string `json:"notes"`
	*verify.Report
}

func notes(s *source) []string {
	all := []string{}
	for _, n := range s.plan.Notes {
		all = append(all, n.String())
	}
	return all
}
