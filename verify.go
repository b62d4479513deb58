package repfuse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"repfuse/internal/certify"
	"repfuse/internal/checkpoint"
	"repfuse/internal/hint"
	"repfuse/internal/npy"
	"repfuse/internal/plan"
	"repfuse/internal/pth"
	"repfuse/internal/record"
	"repfuse/internal/report"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// VerifyOptions say how to verify. Recognition and DType need to be said only where there is no
// record beside the result, which says what was assumed.
type VerifyOptions struct {
	Recognition
	Work
	// DType is the element types that Fuse was asked for.
	DType []string
	// Size is the images' extents: one number for all axes, or one for each axis of the blocks that have most. Nil is 14 on each axis
	// (8 where there are three), or the kernel and one more where that is larger.
	Size []int
	// Trials is how many images each block is run on; 0 is one. Seed gives them.
	Trials int
	Seed   uint64
	// ForceSize runs images however much memory and work they take, which else is an error.
	ForceSize bool
	// Range is R: elements of images are uniform between −R and R; 0 is 1.
	Range float64
	// Atol and Rtol, where one of them is not nil, decide in place of the stored elements: a
	// measured difference is to be at most Atol + Rtol·|y|, y being the branches' output. The
	// other is then what torch.testing.assert_close takes for the element type.
	Atol, Rtol *float64
	// Health measures what low precision would leave of each fused kernel.
	Health bool
	// Witness is the path of a .npy file for the input on which the worst block differs
	// most. It may not lie in src or dst, and Force replaces it too.
	Witness string
	Page
}

// Verify runs the branches of every block of src as the network runs them, and the
// convolution in their place in dst, on the same random images, borders included; holds each
// stored element to the real fused value; and compares all that passed through byte for
// byte. An error says that it could not be done; what is wrong is in the verdict.
func Verify(ctx context.Context, src, dst string, o VerifyOptions) (*Verdict, error) {
	run, err := o.options()
	if err == nil {
		err = o.checkFiles(src, dst)
	}
	if err != nil {
		return nil, err
	}
	rec, err := record.Read(dst)
	if err != nil {
		return nil, err
	}
	to, err := o.types(rec)
	if err != nil {
		return nil, err
	}
	run.Types = to.of
	s, against, err := o.source(ctx, src, rec)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := o.turned(ctx, s, dst); err != nil {
		return nil, err
	}
	conditions, err := s.under(o.Strict)
	items := s.plan.Items(run.Types)
	if err == nil {
		err = to.unused(statisticsStay)
	}
	if err != nil {
		return nil, err
	}
	out, err := o.result(ctx, s, dst, rec, items)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if s.Model != nil && out.Model != nil && !o.FreezeInputs && out.Model.Overridable() < s.Model.Overridable() {
		return o.frozen(ctx, src, dst)
	}
	differences, err := s.compare(out)
	if err != nil {
		return nil, err
	}
	v := &Verdict{Source: src, Output: dst, Notes: notesFor(s, out, rec), Conditions: conditions, Network: out.Model != nil}
	if err := o.prove(ctx, v, s.plan, items, out.Tensors, run); err != nil {
		return nil, err
	}
	against = append(differences, against...)
	v.Measured.Findings = append(v.Measured.Findings, against...)
	v.Measured.Passed = v.Measured.Passed && len(against) == 0
	if rec != nil && out.Model == nil {
		if v.Changed, err = rec.Changed(ctx, out.Tensors, o.Jobs); err != nil {
			return nil, err
		}
	}
	return v, o.conclude(ctx, v, s, out)
}

// result opens dst, and is an error where a file that is asked for is one that s or dst is read from. Elements
// of two bytes without a type are bfloat16 where a flag, the record or an item of the plan says so.
func (o *VerifyOptions) result(ctx context.Context, s *source, dst string, rec *record.Record, items []plan.Item) (*checkpoint.Checkpoint, error) {
	brain := o.BFloat16 || rec != nil && rec.BFloat16 ||
		slices.ContainsFunc(items, func(it plan.Item) bool { return it.Type == tensor.BF16 })
	out, err := Reading{BFloat16: brain}.open(ctx, dst)
	if err != nil {
		return nil, err
	}
	if err := o.checkFiles(append(s.paths(), out.Paths()...)...); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// conclude decides on what was found, and writes the files that are asked for.
func (o *VerifyOptions) conclude(ctx context.Context, v *Verdict, s *source, out *checkpoint.Checkpoint) error {
	if err := v.decide(o.Atol != nil || o.Rtol != nil); err != nil {
		return err
	}
	if s.rounded && v.Grade == Exact {
		v.Grade = Equivalent
	}
	if err := o.writeWitness(ctx, v, s.plan, out); err != nil {
		return err
	}
	return o.writePage(ctx, v, s, out)
}

// turned is an error where src is fused and dst has what it is made of.
func (o *VerifyOptions) turned(ctx context.Context, s *source, dst string) error {
	if len(s.plan.Blocks) > 0 || len(s.plan.Deployed) == 0 {
		return nil
	}
	other, err := o.read(ctx, dst)
	if err != nil {
		return nil // what it is, Verify says
	}
	defer other.Close()
	if len(other.plan.Blocks) > 0 {
		return hint.Add(fmt.Errorf("%s: is fused, and %s is not, want the training form first", s.Path, dst),
			"%s", hint.Command("verify", dst, s.Path))
	}
	return nil
}

// frozen is Verify with weights that are inputs too taken for constants, as whoever fused it did.
func (o VerifyOptions) frozen(ctx context.Context, src, dst string) (*Verdict, error) {
	o.FreezeInputs = true
	v, err := Verify(ctx, src, dst, o)
	if err == nil {
		v.Notes = append(v.Notes, "weights that are inputs too are taken for constants: they are no inputs of the result")
	}
	return v, err
}

// notesFor is what was noted of the source, of the result, and by the record, each once.
func notesFor(s *source, out *checkpoint.Checkpoint, rec *record.Record) []string {
	notes := []string{}
	for _, n := range append(s.notes(), notesOf(out)...) {
		notes = append(notes, n.String())
	}
	for _, text := range recordedNotes(rec) {
		if !slices.Contains(notes, text) {
			notes = append(notes, text)
		}
	}
	return notes
}

// prove measures and certifies the blocks of a plan.
func (o *VerifyOptions) prove(ctx context.Context, v *Verdict, p *plan.Plan, items []plan.Item, stored []tensor.Named, run verify.Options) (err error) {
	total := plan.Bytes(items)
	run.Progress = o.half(0, total)
	if v.Measured, err = verify.Run(ctx, p, stored, run); err != nil {
		return err
	}
	v.Certificate, err = certify.Run(ctx, p, stored, certify.Options{Range: o.Range, Jobs: o.Jobs, Progress: o.half(1, total)})
	return err
}

// half tells Progress of one of the two runs over all blocks: n is 0 for the first, 1
// for the second.
func (w Work) half(n, total int64) func(done, all int) {
	if w.Progress == nil {
		return nil
	}
	return func(done, all int) { w.Progress(total*(n*int64(all)+int64(done))/(2*int64(all)), total) }
}

// options is what package verify takes.
func (o *VerifyOptions) options() (verify.Options, error) {
	value := func(p *float64) float64 {
		if p == nil {
			return 0
		}
		return *p
	}
	if a, r := value(o.Atol), value(o.Rtol); !(a >= 0 && r >= 0) {
		return verify.Options{}, fmt.Errorf("--atol %g, --rtol %g, want numbers of at least 0", a, r)
	}
	return verify.Options{Size: o.Size, Trials: o.Trials, Seed: o.Seed, Range: o.Range, Atol: o.Atol, Rtol: o.Rtol,
		Jobs: o.Jobs, ForceSize: o.ForceSize, Health: o.Health || o.Report != ""}, nil
}

// types is the element types that the result is to have: as is said, else as the record has them.
func (o *VerifyOptions) types(rec *record.Record) (types, error) {
	if len(o.DType) > 0 || rec == nil {
		return parseTypes(o.DType)
	}
	to, err := parseTypes(rec.DType)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	for k := range to {
		to[k].used = true // fuse saw to it
	}
	return to, nil
}

// recordedNotes is what fuse noted, as of the elements that it wrote.
func recordedNotes(rec *record.Record) []string {
	if rec == nil {
		return nil
	}
	return rec.Notes
}

// source is the source and its own plan, to which the record is held.
func (o *VerifyOptions) source(ctx context.Context, src string, rec *record.Record) (*source, []verify.Finding, error) {
	asked := o.Recognition
	var read []Condition
	if rec != nil {
		if rec.State != "" && o.State == "" {
			asked.State = rec.State
			read = append(read, Condition{If: "the dict is " + rec.State, By: plan.TheRecord, Flag: "--state", Value: rec.State, Modules: []string{}})
		}
		if rec.BFloat16 && !o.BFloat16 {
			asked.BFloat16 = true
			read = append(read, Condition{If: "two-byte elements are bfloat16", By: plan.TheRecord, Flag: "--bfloat16", Modules: []string{}})
		}
	}
	s, err := asked.open(ctx, src)
	if errors.Is(err, pth.ErrOneDict) && o.State == "" { // it was taken out of the file that the record is of
		asked.State, read = "", slices.DeleteFunc(read, func(c Condition) bool { return c.Flag == "--state" })
		s, err = asked.open(ctx, src)
	}
	if err != nil {
		return nil, nil, err
	}
	s.conditions = read
	findings, err := s.otherAdapters(ctx, rec)
	if err == nil {
		var more []verify.Finding
		more, err = s.held(&asked, rec)
		findings = append(findings, more...)
	}
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, findings, nil
}

// checkFiles is an error where the witness or the report may not be written beside what is read.
func (o *VerifyOptions) checkFiles(read ...string) error {
	inputs := append(o.inputs(), read...)
	if o.Witness != "" {
		if err := checkpoint.CheckAside(o.Witness, o.Force, inputs...); err != nil {
			return fmt.Errorf("--witness %w", err)
		}
	}
	if err := o.check(inputs...); err != nil {
		return err
	}
	if o.Witness != "" && filepath.Clean(o.Witness) == filepath.Clean(o.Report) {
		return fmt.Errorf("--witness and --report are both %s", o.Report)
	}
	return nil
}

// writeWitness writes the witness where it is asked for.
func (o *VerifyOptions) writeWitness(ctx context.Context, v *Verdict, p *plan.Plan, out *checkpoint.Checkpoint) error {
	if o.Witness == "" {
		return nil
	}
	if v.Certificate.Largest < 0 {
		return fmt.Errorf("--witness %s: there is no block", o.Witness)
	}
	weight := v.Certificate.Blocks[v.Certificate.Largest].Weight
	w, err := certify.FindWitness(ctx, p, out.Tensors, weight, certify.Options{Range: o.Range})
	if err != nil {
		return err
	}
	v.Witness = &Witness{o.Witness, weight, w.Difference, w.Channel, w.Position}
	return writeArray(o.Witness, w.Input)
}

// writePage writes the report where it is asked for.
func (o *VerifyOptions) writePage(ctx context.Context, v *Verdict, s *source, out *checkpoint.Checkpoint) error {
	if o.Report == "" {
		return nil
	}
	source, err := fileOf(ctx, "source", s.Checkpoint)
	if err != nil {
		return err
	}
	result, err := fileOf(ctx, "result", out)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	err = report.Write(ctx, &page, report.Input{Source: v.Source, Output: v.Output, Origin: o.origin(source, result),
		Verdict: v.Grade, Sentence: v.String(), Changed: v.Changed, Assumed: v.Notes, Conditions: v.Conditions,
		Plan: s.plan, Measured: v.Measured, Certificate: v.Certificate, Stored: out.Tensors})
	if err != nil {
		return fmt.Errorf("%s: %w", o.Report, err)
	}
	return checkpoint.WriteFile(o.Report, page.Bytes())
}

// writeArray writes a .npy file.
func writeArray(path string, t tensor.Tensor) error {
	header, err := npy.AppendHeader(nil, t.Type, t.Shape)
	if err != nil {
		return err
	}
	data, err := t.ReadAll()
	if err != nil {
		return err
	}
	return checkpoint.WriteFile(path, append(header, data...))
}
