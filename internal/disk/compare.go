package disk

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"slices"
	"sync"
)

// Maker makes a file that is to be written at path: Create or Compare.
type Maker func(path string) (*File, error)

// With makes a file that begins with head.
func (m Maker) With(path string, head []byte) (*File, error) {
	f, err := m(path)
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(head, 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ErrDiffers says that a file of Compare is not what would be written.
var ErrDiffers = errors.New("differs from what would be written")

// Compare opens the file at path and writes nothing to it. WriteAt returns ErrDiffers where the file has other bytes than
// it is given. Close does so where the file is longer or shorter than what WriteAt was given, or has anything but zeros in
// a gap between. A link, or a file that cannot be read, is ErrDiffers at once.
func Compare(path string) (*File, error) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() { // opening a pipe may wait for its writer
		return nil, ErrDiffers
	}
	f, err := Open(path)
	if err != nil {
		return nil, ErrDiffers
	}
	f.given = &given{}
	return f, nil
}

// given is which bytes of a file were given.
type given struct {
	mu    sync.Mutex
	spans []span
}

type span struct{ from, to int64 }

// compare is WriteAt of a file of Compare.
func (f *File) compare(p []byte, off int64) (int, error) {
	if len(p) == 0 { // which makes no file longer
		return 0, nil
	}
	if !f.has(p, off) {
		return 0, ErrDiffers
	}
	g := f.given
	g.mu.Lock()
	defer g.mu.Unlock()
	if last := len(g.spans) - 1; last >= 0 && g.spans[last].to == off {
		g.spans[last].to += int64(len(p))
	} else {
		g.spans = append(g.spans, span{off, off + int64(len(p))})
	}
	return len(p), nil
}

// has reports whether the bytes from off on are those of p.
func (f *File) has(p []byte, off int64) bool {
	buffer := compared.Get().(*[compareSize]byte)
	defer compared.Put(buffer)
	for done := 0; done < len(p); {
		b := buffer[:min(compareSize, len(p)-done)]
		if _, err := f.ReadAt(b, off+int64(done)); err != nil || !bytes.Equal(b, p[done:done+len(b)]) {
			return false
		}
		done += len(b)
	}
	return true
}

// whole is ErrDiffers where a file of Compare has bytes that were not given, except for zeros before some that were.
func (f *File) whole() error {
	if f.given == nil {
		return nil
	}
	var end int64
	spans := f.given.spans
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for _, s := range spans {
		for ; end < s.from; end = min(end+compareSize, s.from) {
			if !f.has(zeros[:min(compareSize, s.from-end)], end) {
				return ErrDiffers
			}
		}
		end = max(end, s.to)
	}
	if is, err := f.Identity(); err != nil || !is.Regular() || is.Bytes() != end {
		return ErrDiffers
	}
	return nil
}

const compareSize = 64 << 10

var (
	compared = sync.Pool{New: func() any { return new([compareSize]byte) }}
	zeros    [compareSize]byte
)
