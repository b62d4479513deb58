package npy

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"sync"
)

// deflated is a deflated member: inflated when it is first opened, shared by all
// who have it open, and let go when the last has closed it.
type deflated struct {
	file *zip.File

	mu    sync.Mutex
	users int
	bytes []byte // while there are users
}

// inflated is one user's view.
type inflated struct {
	*bytes.Reader
	once sync.Once
	of   *deflated
}

func (d *deflated) open() (*inflated, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users == 0 {
		b, err := inflate(d.file)
		if err != nil {
			return nil, err
		}
		d.bytes = b
	}
	d.users++
	return &inflated{Reader: bytes.NewReader(d.bytes), of: d}, nil
}

// Close lets the bytes go, if no one else has them.
func (i *inflated) Close() error {
	i.once.Do(func() {
		i.of.mu.Lock()
		defer i.of.mu.Unlock()
		if i.of.users--; i.of.users == 0 {
			i.of.bytes = nil
		}
	})
	return nil
}

// inflate reads a whole member. Another size than the directory of the .npz says,
// or another CRC, is an error.
func inflate(z *zip.File) ([]byte, error) {
	r, err := z.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := make([]byte, z.UncompressedSize64)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	switch n, err := r.Read(make([]byte, 1)); { // the CRC is checked at the end
	case n > 0:
		return nil, fmt.Errorf("inflates to more than the %d bytes it should have", len(b))
	case err != io.EOF:
		return nil, err
	}
	return b, nil
}
