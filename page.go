package repfuse

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"slices"

	"repfuse/internal/checkpoint"
	"repfuse/internal/family"
	"repfuse/internal/plan"
	"repfuse/internal/record"
	"repfuse/internal/report"
)

// Page is where a page of HTML goes that holds all of an answer, with pictures.
type Page struct {
	// Report is the path of the .html file; it may not lie in a checkpoint. "" is none.
	Report string
	// Force replaces a file that is there.
	Force bool
	// Command is the command line that the page names, "" for none.
	Command string
}

// check is an error where the page may not be written beside some inputs.
func (p *Page) check(inputs ...string) error {
	if p.Report == "" {
		return nil
	}
	if err := checkpoint.CheckAside(p.Report, p.Force, inputs...); err != nil {
		return fmt.Errorf("--report %w", err)
	}
	return nil
}

// WriteReport writes the plan as a page; nothing where no page is named. As the plan read headers alone,
// the page has no checksums.
func (p *Planned) WriteReport(to Page) error {
	if err := to.check(p.inputs...); err != nil || to.Report == "" {
		return err
	}
	var page bytes.Buffer
	err := report.WritePlan(&page, report.Planned{Source: p.Source, Plan: p.plan,
		Origin:     to.origin(report.File{Is: "source", Path: p.Source, Bytes: p.SourceBytes, Sum: "its headers alone were read"}),
		Expression: func(b plan.Block, o plan.Output) string { return family.Format(o.Expr, b.Path) },
		Tensors:    len(p.Result), Bytes: p.Bytes, SourceBytes: p.SourceBytes,
		Notes: p.Notes, Conditions: p.Conditions, Differences: p.Differences})
	if err != nil {
		return fmt.Errorf("%s: %w", to.Report, err)
	}
	return checkpoint.WriteFile(to.Report, page.Bytes())
}

// writePage writes what was found in a checkpoint as a page where one is asked for.
func (o *InspectOptions) writePage(ctx context.Context, r *Inspection, c *checkpoint.Checkpoint) error {
	if o.Report == "" {
		return nil
	}
	source, err := fileOf(ctx, "checkpoint", c)
	if err != nil {
		return err
	}
	in := report.Inspected{Source: r.Source, Format: r.Format, Origin: o.origin(source), Kernels: slices.Clone(r.Kernels), Notes: r.Notes}
	for _, f := range r.Faults {
		in.Faults = append(in.Faults, fmt.Sprintf("%s%v: %s", f.Key, f.Index, f.Text))
	}
	for k, t := range c.Tensors {
		in.Tensors, in.Values = append(in.Tensors, t.Spec()), append(in.Values, r.Tensors[k].Values)
	}
	var page bytes.Buffer
	if err := report.WriteInspection(&page, in); err != nil {
		return fmt.Errorf("%s: %w", o.Report, err)
	}
	return checkpoint.WriteFile(o.Report, page.Bytes())
}

// origin is what the page says of where it comes from.
func (p *Page) origin(files ...report.File) report.Origin {
	return report.Origin{Tool: "repfuse " + Version(), Command: p.Command, Files: files}
}

// fileOf is a checkpoint by its checksum: SHA-256 of a file; of several, which may be cut and named in
// many ways, the CRC-32 of the tensors' bytes in the order of their keys.
func fileOf(ctx context.Context, is string, c *checkpoint.Checkpoint) (report.File, error) {
	f := report.File{Is: is, Path: c.Path}
	info, err := os.Stat(c.Path)
	if err != nil {
		return f, err
	}
	if info.IsDir() || len(c.Files) > 0 {
		for _, t := range c.Tensors {
			f.Bytes += t.Bytes()
		}
		sum, err := record.Checksum(ctx, c.Tensors)
		f.Sum = "CRC-32 of its tensors " + sum
		return f, err
	}
	f.Bytes = info.Size()
	in, err := os.Open(c.Path)
	if err != nil {
		return f, err
	}
	defer in.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, reader{ctx, in}); err != nil {
		return f, err
	}
	f.Sum = fmt.Sprintf("SHA-256 %x", hash.Sum(nil))
	return f, nil
}

// reader reads until its context ends.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
