package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"repfuse/internal/checkpoint"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/record"
	"repfuse/internal/stream"
	"repfuse/internal/tensor"
)

// fuseFlags is what repfuse fuse is told besides its two paths.
type fuseFlags struct {
	recognition
	destination
	dtype, expect       string
	dryRun, quiet, json bool
	jobs                int
}

func newFuse() *cobra.Command {
	var f fuseFlags
	c := &cobra.Command{
		Use:   "fuse SRC DST",
		Short: "Fuse every block of a checkpoint into one kernel and bias",
		Long: `Fuse reads the checkpoint SRC, merges every block that it recognises into one
convolution, and writes DST with the keys that the deploy model loads. Tensors that
belong to no block are copied. SRC is never written; DST comes into being whole or
not at all.

SRC and DST are directories of .npy or .safetensors files, or files by their
extension. A directory DST holds what SRC did if that was a directory, else .npy.`,
		Example: `  repfuse fuse weights/ out/
  repfuse fuse --identity yes weights/ out/
  repfuse fuse --eps 1e-3 --dtype float16 model.pth fused.safetensors`,
		Args: arguments(2, 2, "SRC and DST"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c.Context(), args[0], args[1], c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.recognition.add(c)
	f.destination.add(c, "as SRC, else npy")
	c.Flags().StringVar(&f.dtype, "dtype", "", "`TYPE` of every floating tensor of DST: float16, bfloat16, float32, float64")
	c.Flags().StringVar(&f.expect, "expect", "", "`FILE`: a deploy checkpoint, or a list of its keys, that the result must match")
	c.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "print the plan and write nothing")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print errors only")
	c.Flags().BoolVar(&f.json, "json", false, "print what was done as JSON")
	c.Flags().VarP((*jobs)(&f.jobs), "jobs", "j", "`N` goroutines (default one for each processor, at least 2); the bytes written do not depend on it")
	return c
}

func (f *fuseFlags) run(ctx context.Context, src, dst string, stdout, stderr io.Writer) error {
	collectLater()
	to, err := parseDType(f.dtype)
	if err != nil {
		return err
	}
	s, err := f.read(src)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.wantSomething(); err != nil {
		return err
	}
	items := s.plan.Items(to)
	if f.expect != "" {
		differences, err := expect(items, f.expect)
		if err := errors.Join(err, differences); err != nil {
			return err
		}
	}
	if f.dryRun {
		return printPlan(stdout, stderr, s, items, planStyle{json: f.json})
	}
	done, err := f.write(ctx, s, dst, items, stderr)
	if err != nil {
		return err
	}
	return f.report(s, dst, items, done, stdout, stderr)
}

// collectLater lets garbage come to 6 MB, and not 4, before it is collected, unless GOGC says
// otherwise. Memory is used again nearly everywhere, so that most checkpoints are done by then.
func collectLater() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(150)
	}
}

// wantSomething refuses a checkpoint in which there is nothing to fuse, unless it is
// what repfuse or a deploy model left.
func (s *source) wantSomething() error {
	if err := s.nothing(); err != nil {
		if r, _ := record.Read(s.Path); r == nil {
			return err
		}
	}
	return nil
}

// write streams the items to DST, which appears when all is there.
func (f *fuseFlags) write(ctx context.Context, s *source, dst string, items []plan.Item, stderr io.Writer) (*stream.Result, error) {
	if err := checkpoint.CheckPaths(s.Path, dst); err != nil {
		return nil, err
	}
	directory := ""
	if s.Shards {
		directory = s.Format
	}
	o, err := f.options(s.Checkpoint, directory)
	if err != nil {
		return nil, err
	}
	out, err := checkpoint.Create(dst, specs(items), o)
	if err != nil {
		return nil, err
	}
	defer out.Abort()
	bar := newProgress(stderr, f.quiet, "fusing", total(items))
	done, err := stream.Run(ctx, items, out, stream.Options{Jobs: f.jobs, Progress: bar.tell})
	bar.end()
	if err != nil {
		return nil, err
	}
	if err := f.leaveRecord(s, items, done, out); err != nil {
		return nil, err
	}
	return done, out.Commit()
}

func (f *fuseFlags) leaveRecord(s *source, items []plan.Item, done *stream.Result, out *checkpoint.Output) error {
	r := record.Record{Version: record.Version, Tool: versionText(), Source: s.Format, State: f.state, BFloat16: f.bfloat16,
		DType: f.dtype, Plan: planfile.Of(s.plan), Already: s.already, CRC32: map[string]string{}}
	for _, n := range s.plan.Notes {
		r.Notes = append(r.Notes, n.String())
	}
	for k, it := range items {
		r.CRC32[it.Key] = fmt.Sprintf("%08x", done.CRC[k])
	}
	b, err := r.Bytes()
	if err != nil {
		return err
	}
	return out.AddFile(checkpoint.Record, b)
}

func specs(items []plan.Item) []tensor.Spec {
	list := make([]tensor.Spec, len(items))
	for k, it := range items {
		list[k] = it.Spec
	}
	return list
}

func total(items []plan.Item) int64 {
	var n int64
	for _, it := range items {
		n += it.Bytes()
	}
	return n
}

// report says what was done, and on stderr what was assumed.
func (f *fuseFlags) report(s *source, dst string, items []plan.Item, done *stream.Result, stdout, stderr io.Writer) error {
	if f.json {
		return printJSON(stdout, fuseReport{Source: s.Path, Output: dst, Plan: planReport(s, items), Bytes: done.Bytes})
	}
	if f.quiet {
		return nil
	}
	printNotes(stderr, s)
	for k, n := range done.Small {
		if n > 0 {
			fmt.Fprintf(stderr, "note: %s: %d elements are below the smallest normal %s\n", items[k].Key, n, items[k].Type)
		}
	}
	if len(s.plan.Blocks) == 0 {
		fmt.Fprintf(stdout, "%s: already fused (%s); copied to %s\n", s.Path, count(len(s.plan.Deployed), "block"), dst)
		return nil
	}
	fmt.Fprintf(stdout, "%s: fused %s\n", s.Path, familyCounts(s.plan))
	fmt.Fprintf(stdout, "%s: %s, %s (from %s, %s)\n", dst, count(len(items), "tensor"), size(done.Bytes), count(len(s.Tensors), "tensor"), size(sourceBytes(s)))
	return nil
}

// fuseReport is repfuse fuse --json.
type fuseReport struct {
	// The two paths.
	Source string `json:"source"`
	Output string `json:"output"`
	// What the result's tensors come to.
	Bytes int64 `json:"bytes"`
	// What was done.
	Plan jsonReport `json:"plan"`
}
