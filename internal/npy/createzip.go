package npy

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"unicode/utf8"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// CreateZip makes a writer of a .npz file, which create makes, as numpy.savez
// writes it: members KEY.npy, stored, each with the zip64 extra, in the order of specs, dated
// 1980. All offsets are known before the first byte is written.
func CreateZip(path string, specs []tensor.Spec, create disk.Maker) (tensor.Writer, error) {
	tally, err := tensor.NewTally(specs)
	if err != nil {
		return nil, err
	}
	w := &zipWriter{members: make([]zipMember, len(specs)), tally: tally}
	for i, s := range specs {
		if err := w.members[i].plan(s, w.end); err != nil {
			return nil, err
		}
		w.end = w.members[i].data + s.Bytes()
	}
	f, err := create(path)
	if err != nil {
		return nil, err
	}
	w.f = f
	return w, nil
}

type zipWriter struct {
	f       *disk.File
	members []zipMember
	end     int64 // of the last member
	tally   *tensor.Tally
}

// zipMember is one array: local header, .npy header, elements.
type zipMember struct {
	spec   tensor.Spec
	header []byte // of the .npy file
	start  int64  // of the local header in the file
	data   int64  // of the elements in the file
	size   int64  // of the .npy file
	crc    uint32 // of the .npy file, once done
}

// plan lays the member out from byte start on.
func (m *zipMember) plan(s tensor.Spec, start int64) (err error) {
	name := s.Key + Ext
	switch {
	case s.Key == "" || !utf8.ValidString(name) || strings.Contains(name, "\x00"):
		return fmt.Errorf("key %q cannot be the name of a member", s.Key)
	case len(name) > math.MaxUint16:
		return fmt.Errorf("key of %d bytes cannot be the name of a member, want at most %d", len(s.Key), math.MaxUint16-len(Ext))
	}
	if err := checkSpec(s); err != nil {
		return err
	}
	const headers = 1 << 20 // more than any have
	if s.Bytes() > math.MaxInt64-headers-start {
		return fmt.Errorf("%s: the file would have more bytes than an int64 counts", s.Key)
	}
	m.spec, m.start = s, start
	m.header, err = AppendHeader(nil, s.Type, s.Shape)
	m.size = int64(len(m.header)) + s.Bytes()
	m.data = start + localSize + int64(len(name)+len(m.header))
	return err
}

// WriteAt stores p at byte off of tensor i.
func (w *zipWriter) WriteAt(i int, p []byte, off int64) error {
	if err := w.tally.Take(i, len(p), off); err != nil {
		return err
	}
	_, err := w.f.WriteAt(p, w.members[i].data+off)
	return err
}

// Done writes the headers of tensor i, which hold the CRC.
func (w *zipWriter) Done(i int, crc uint32) error {
	if err := w.tally.Done(i); err != nil {
		return err
	}
	m := &w.members[i]
	m.crc = tensor.CombineCRC(crc32.ChecksumIEEE(m.header), crc, m.spec.Bytes())
	_, err := w.f.WriteAt(append(m.local(), m.header...), m.start)
	return err
}

// Close writes the directory. A tensor that is not done is an error.
func (w *zipWriter) Close() error {
	err := w.tally.Whole()
	if err == nil {
		_, err = w.f.WriteAt(w.directory(), w.end)
	}
	return errors.Join(err, w.f.Close())
}
