package repfuse

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"repfuse/internal/checkpoint"
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

// origin is what the page says of where it comes from.
func (p *Page) origin(files ...report.File) report.Origin {
	return report.Origin{Tool: "repfuse " + Version(), Command: p.Command, Files: files}
}

// fileOf is a checkpoint by its checksum: SHA-256 of a file; of a directory, whose files may be cut and named in
// many ways, the CRC-32 of the tensors' bytes in the order of their keys.
func fileOf(ctx context.Context, is string, c *checkpoint.Checkpoint) (report.File, error) {
	f := report.File{Is: is, Path: c.Path}
	info, err := os.Stat(c.Path)
	if err != nil {
		return f, err
	}
	if info.IsDir() {
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
	if _, err := io.Copy(hash, in); err != nil {
		return f, err
	}
	f.Sum = fmt.Sprintf("SHA-256 %x", hash.Sum(nil))
	return f, nil
}
