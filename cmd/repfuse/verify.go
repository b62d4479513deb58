package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"repfuse"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"repfuse/internal/hint"
)

func newVerify() *cobra.Command {
	o := repfuse.VerifyOptions{Trials: 1}
	var f verifyFlags
	c := &cobra.Command{
		Use: "verify [SRC [DST]]", SuggestFor: []string{"check", "diff", "compare"},
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
	}
	addRecognition(c, &o.Recognition)
	flags := c.Flags()
	addTypes(c, &o.DType)
	flags.StringVar(&f.size, "size", "", "`N|HxW`: size of the images (default 14, or the kernel and one more)")
	flags.Var((*positive)(&o.Trials), "trials", "`N`: images that each block is run on")
	flags.BoolVar(&o.ForceSize, "force-size", false, "run images however much memory and work they take")
	flags.Uint64Var(&o.Seed, "seed", 0, "`N`: seed of the images")
	flags.Float64Var(&o.Range, "range", 1, "`R`: images are uniform between −R and R")
	flags.Float64Var(&f.atol, "atol", 0, "`E`: absolute tolerance in place of the derived one")
	flags.Float64Var(&f.rtol, "rtol", 0, "`E`: relative tolerance in place of the derived one")
	flags.StringVar(&f.require, "require", string(repfuse.Equivalent), "`exact|equivalent`: the verdict that is good enough")
	words(c, "require", string(repfuse.Exact), string(repfuse.Equivalent))
	flags.StringVar(&o.Witness, "witness", "", "`FILE.npy`: write the input on which the worst block differs most")
	flags.StringVar(&o.Report, "report", "", reportUsage)
	flags.BoolVarP(&o.Force, "force", "f", false, "replace what is at --witness and --report")
	flags.BoolVar(&f.json, "json", false, "print everything as JSON")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print nothing but errors; the exit status is the verdict")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "print every block")
	flags.VarP((*positive)(&o.Jobs), "jobs", "j", "`N`: how many goroutines (default one a processor)")
	f.show = addProgress(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		src, dst, err := verified(args)
		if err == nil {
			err = f.parse(flags, &o)
		}
		if err != nil {
			return err
		}
		return f.run(c, src, dst, o)
	}
	return c
}

// verified is the two paths, those that are not given by their usual names.
func verified(args []string) (src, dst string, err error) {
	src, dst = "weights", "out"
	if len(args) > 0 {
		src = args[0]
	}
	if len(args) > 1 {
		dst = args[1]
	} else if _, err := os.Stat(dst); len(args) == 1 && errors.Is(err, fs.ErrNotExist) {
		return "", "", hint.Add(fmt.Errorf("%s: file does not exist, and no other DST is named", dst), "name both, what fuse read and what it wrote; %s writes it", hint.Command("fuse", src, dst))
	}
	return src, dst, nil
}

// verifyFlags is what is read before it is an option, and how the verdict is printed.
type verifyFlags struct {
	size, require        string
	atol, rtol           float64
	json, quiet, verbose bool
	show                 func(quiet bool, verb string) *progress
}

// parse turns the flags into options.
func (f *verifyFlags) parse(flags *pflag.FlagSet, o *repfuse.VerifyOptions) error {
	if f.require != string(repfuse.Exact) && f.require != string(repfuse.Equivalent) {
		return fmt.Errorf("--require %s, want exact or equivalent", f.require)
	}
	if o.Range == 0 {
		return errors.New("--range 0, want a number above 0")
	}
	if flags.Changed("atol") {
		o.Atol = &f.atol
	}
	if flags.Changed("rtol") {
		o.Rtol = &f.rtol
	}
	o.Health = !f.quiet
	if f.size == "" {
		return nil
	}
	for _, w := range strings.Split(f.size, "x") {
		n, err := strconv.Atoi(w)
		if err != nil || n < 1 {
			return fmt.Errorf("--size %s, want a number such as 14, or 14x20", f.size)
		}
		o.Size = append(o.Size, n)
	}
	return nil
}

func (f *verifyFlags) run(c *cobra.Command, src, dst string, o repfuse.VerifyOptions) error {
	stdout, stderr := c.OutOrStdout(), c.ErrOrStderr()
	collect(20)
	bar := f.show(f.quiet, "verifying")
	o.Progress, o.Command = bar.tell, c.Root().Annotations[asTyped]
	v, err := repfuse.Verify(c.Context(), src, dst, o)
	bar.end()
	if err != nil {
		return err
	}
	switch {
	case f.json:
		err = printJSON(stdout, v)
	case !f.quiet:
		printVerdict(stdout, stderr, v, f.verbose)
	case v.Grade != repfuse.Different && len(v.Conditions) > 0:
		printWrapped(stderr, "", "  ", v.String())
	}
	if required := repfuse.Grade(f.require); err == nil && v.Grade.Worse(required) != required {
		err = errNo
	}
	return err
}
