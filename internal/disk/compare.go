package disk

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
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

// Compare opens the file at path in place of making it. Nothing is written: WriteAt is ErrDiffers where the file
// has other bytes, Close where it goes on behind the last that was given. A file that cannot be read is ErrDiffers too.
func Compare(path string) (*File, error) {
	f, err := Open(path)
	if err != nil {
		return nil, ErrDiffers
	}
	f.given = new(atomic.Int64)
	return f, nil
}

// compare is WriteAt of a file of Compare.
func (f *File) compare(p []byte, off int64) (int, error) {
	buffer := compared.Get().(*[compareSize]byte)
	defer compared.Put(buffer)
	for done := 0; done < len(p); {
		b := buffer[:min(compareSize, len(p)-done)]
		if _, err := f.ReadAt(b, off+int64(done)); err != nil || !bytes.Equal(b, p[done:done+len(b)]) {
			return 0, ErrDiffers
		}
		done += len(b)
	}
	for end := off + int64(len(p)); ; { // what is aligned has gaps, which nobody gives
		if last := f.given.Load(); last >= end || f.given.CompareAndSwap(last, end) {
			return len(p), nil
		}
	}
}

// whole is ErrDiffers where a file of Compare has bytes behind those that were given.
func (f *File) whole() error {
	if f.given == nil {
		return nil
	}
	if is, err := f.Identity(); err != nil || !is.Regular() || is.Bytes() != f.given.Load() {
		return ErrDiffers
	}
	return nil
}

const compareSize = 64 << 10

var compared = sync.Pool{New: func() any { return new([compareSize]byte) }}
