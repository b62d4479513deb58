package disk

import (
	"errors"
	"os"
	"sync"

	"repfuse/internal/tensor"
)

// Writer takes tensors into files in which each has its place before the first byte comes. A file
// is opened when the first bytes of its tensors come and closed when the last of them is done.
type Writer struct {
	Tally  *tensor.Tally
	Places []Place // of the tensors
	// Begin makes a file with what is not of the tensors in it, End writes what depends on their
	// CRCs, Last what comes when all is closed; the last two may be nil.
	Begin func(file int) (*File, error)
	End   func(f *File, crcs []uint32) error
	Last  func() error

	files []output
	crcs  []uint32
}

// Place is the file and the byte in it at which a tensor begins; a tensor of a negative file is not written.
type Place struct {
	File int
	Off  int64
}

type output struct {
	mu   sync.Mutex
	file *File // while it is open
	over bool  // it was closed
	left int   // tensors that are not done
}

// Start readies the writer of so many files.
func (w *Writer) Start(files int) *Writer {
	w.files, w.crcs = make([]output, files), make([]uint32, len(w.Places))
	for _, p := range w.Places {
		if p.File >= 0 {
			w.files[p.File].left++
		}
	}
	return w
}

// StartOpen is Start, with all files made at once.
func (w *Writer) StartOpen(files int) (tensor.Writer, error) {
	w.Start(files)
	for k := range w.files {
		if _, err := w.open(&w.files[k], k); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

// open gives a file, which it makes the first time.
func (w *Writer) open(o *output, k int) (f *File, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return nil, os.ErrClosed
	}
	if o.file == nil {
		o.file, err = w.Begin(k)
	}
	return o.file, err
}

// WriteAt stores p at byte off of tensor i.
func (w *Writer) WriteAt(i int, p []byte, off int64) error {
	at := w.Places[i]
	if err := w.Tally.Take(i, len(p), off); err != nil || at.File < 0 {
		return err
	}
	f, err := w.open(&w.files[at.File], at.File)
	if err == nil {
		_, err = f.WriteAt(p, at.Off+off)
	}
	return err
}

// Done says that tensor i is whole and what the CRC-32 of its bytes is.
func (w *Writer) Done(i int, crc uint32) error {
	at := w.Places[i]
	if err := w.Tally.Done(i); err != nil || at.File < 0 {
		return err
	}
	w.crcs[i] = crc // its own: no two goroutines do one tensor
	o := &w.files[at.File]
	if _, err := w.open(o, at.File); err != nil { // an empty tensor had no write that would have
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left--; o.left > 0 {
		return nil
	}
	return w.finish(o)
}

// finish writes what is left of an open file whose tensors are done, and closes any.
func (w *Writer) finish(o *output) (err error) {
	if o.file != nil {
		if o.left == 0 && w.End != nil {
			err = w.End(o.file, w.crcs)
		}
		err = errors.Join(err, o.file.Close())
	}
	o.file, o.over = nil, true
	return err
}

// Close closes what is still open. A tensor that is not done is an error.
func (w *Writer) Close() error {
	err := errors.Join(w.Tally.Whole(), w.close())
	if err == nil && w.Last != nil {
		err = w.Last()
	}
	return err
}

func (w *Writer) close() (err error) {
	for k := range w.files {
		o := &w.files[k]
		o.mu.Lock()
		err = errors.Join(err, w.finish(o))
		o.mu.Unlock()
	}
	return err
}
