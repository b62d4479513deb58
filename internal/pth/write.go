package pth

import (
	"errors"
	"fmt"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// writer writes a zip archive whose records have their places from the start, so
// that the elements can come in any order.
type writer struct {
	f     *disk.File
	plan  *plan
	first int // the record of tensor 0
	tally *tensor.Tally
}

// Create makes a file at path, by create, that holds a state dict of
// the tensors of specs in their order, as torch.save writes it. root is the name of the
// folder in the archive; torch.save takes the file's name without its extension. Where wrap is
// not "", the dict lies under that key of another, as in {"state_dict": …}. The
// bytes of the file follow from root, wrap, specs and the tensors alone.
func Create(path, root, wrap string, specs []tensor.Spec, create disk.Maker) (tensor.Writer, error) {
	pkl, err := stateDict(wrap, specs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	w := &writer{}
	if w.tally, err = tensor.NewTally(specs); err == nil {
		w.plan, w.first, err = archivePlan(root, pkl, specs)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if w.f, err = create(path); err != nil {
		return nil, err
	}
	return w, nil
}

// archivePlan lays out the records that torch.save writes, in its order.
func archivePlan(root string, pkl []byte, specs []tensor.Spec) (p *plan, first int, err error) {
	p = &plan{root: root}
	p.add("data.pkl", int64(len(pkl)), pkl)
	p.add("byteorder", 6, []byte("little"))
	first = len(p.records)
	for i, s := range specs {
		p.add(fmt.Sprintf("data/%d", i), s.Bytes(), nil)
	}
	p.add("version", 2, []byte("3\n"))
	return p, first, p.check()
}

// WriteAt stores p at byte off of tensor i.
func (w *writer) WriteAt(i int, p []byte, off int64) error {
	if err := w.tally.Take(i, len(p), off); err != nil {
		return err
	}
	_, err := w.f.WriteAt(p, w.plan.records[w.first+i].data+off)
	return err
}

// Done says that tensor i is whole and what the CRC-32 of its bytes is, which goes
// into the archive.
func (w *writer) Done(i int, crc uint32) error {
	if err := w.tally.Done(i); err != nil {
		return err
	}
	w.plan.records[w.first+i].crc = crc // its own: no two goroutines do one tensor
	return nil
}

// Close writes the headers, which have the CRCs in them, and closes the file.
func (w *writer) Close() error {
	err := w.tally.Whole()
	if err == nil {
		err = w.plan.write(w.f)
	}
	return errors.Join(err, w.f.Close())
}
