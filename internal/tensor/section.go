package tensor

import "io"

// Section makes Data of n bytes of r from byte off on. Close does nothing: r
// belongs to somebody else. The Data keeps the Outer method of io.SectionReader,
// by which a copy inside the kernel finds the file that it reads from.
func Section(r io.ReaderAt, off, n int64) Data {
	return section{io.NewSectionReader(r, off, n), nopCloser{}}
}
