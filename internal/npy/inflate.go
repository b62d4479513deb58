package npy

import (
	"archive/zip"
	"errors"
	"io"
	"os"
	"sync"

	"repfuse/internal/hint"
)

// scratch is a temporary file that deflated members are inflated into: their rows are read in any
// order, by several goroutines and more than once, and a whole kernel in memory is too much.
// The file has no name, so that it is gone when the process ends in whatever way.
type scratch struct {
	mu   sync.Mutex
	file *os.File // from the first member on
	name string   // where a file keeps it while it is open
	used int64
}

// take is n bytes of the file, from an offset on, that nobody else has.
func (s *scratch) take(n int64) (*os.File, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		f, err := os.CreateTemp("", "repfuse-*"+Ext)
		if err != nil {
			return nil, 0, err
		}
		if s.file = f; os.Remove(f.Name()) != nil {
			s.name = f.Name()
		}
	}
	at := s.used
	s.used += n
	return s.file, at, nil
}

// inflate gives a member's bytes. Another size than the directory of the .npz says, or another CRC,
// is an error.
func (s *scratch) inflate(z *zip.File) (io.ReaderAt, error) {
	r, err := z.Open() // which reads no more than the size, and checks both at the end
	if err != nil {
		return nil, err
	}
	defer r.Close()
	n := int64(z.UncompressedSize64)
	f, at, err := s.take(n)
	if err == nil {
		_, err = io.Copy(io.NewOffsetWriter(f, at), r)
	}
	if failed := (*os.PathError)(nil); errors.As(err, &failed) && failed.Op != "read" {
		err = hint.Add(err, "TMPDIR=DIR in front of the command inflates what is compressed into DIR, which needs room for it")
	}
	return io.NewSectionReader(f, at, n), err
}

// Close gives the room back.
func (s *scratch) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.name != "" {
		err = errors.Join(err, os.Remove(s.name))
	}
	return err
}
