package pickle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// errEnd says that the input is over in the middle of a pickle.
var errEnd = errors.New("the pickle is cut off here")

// window is how much of the input is held, in bytes.
const window = 1 << 14

// input is a run of bytes of a file, read through a window.
type input struct {
	r       io.ReaderAt
	at, end int64 // the next byte, and the byte after the last
	buf     []byte
	start   int64 // of buf, in the file
	err     error // the first; what is read from then on is zeros
}

// fail keeps an error, of several the first.
func (in *input) fail(err error) {
	if in.err == nil {
		in.err = err
	}
}

// take is the next n bytes, of which there must be at most a window. They are good
// until the next call.
func (in *input) take(n int) []byte {
	switch {
	case int64(n) > in.end-in.at:
		in.fail(errEnd)
	case in.at < in.start || in.at+int64(n) > in.start+int64(len(in.buf)):
		if err := in.fill(); err != nil {
			in.fail(err)
		}
	}
	if in.err != nil {
		return make([]byte, n)
	}
	i := int(in.at - in.start)
	in.at += int64(n)
	return in.buf[i : i+n]
}

func (in *input) fill() error {
	n := min(window, in.end-in.at)
	if int64(cap(in.buf)) < n {
		in.buf = make([]byte, n)
	}
	in.buf, in.start = in.buf[:n], in.at
	if m, err := in.r.ReadAt(in.buf, in.at); m < int(n) {
		in.buf = in.buf[:0]
		if err == nil || err == io.EOF {
			err = errEnd
		}
		return err
	}
	return nil
}

// number is the next n bytes as a little-endian unsigned integer.
func (in *input) number(n int) uint64 {
	var v uint64
	for i, x := range in.take(n) {
		v |= uint64(x) << (8 * i)
	}
	return v
}

// skip passes over n bytes.
func (in *input) skip(n uint64) {
	if n > uint64(in.end-in.at) {
		in.fail(fmt.Errorf("%d bytes are announced and %d are left", n, in.end-in.at))
		return
	}
	in.at += int64(n)
}

// longestLine bounds the names in GLOBAL, in bytes.
const longestLine = 1024

// line is the next bytes up to a newline, without it.
func (in *input) line() string {
	n := int(min(longestLine, in.end-in.at))
	b := in.take(n)
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		in.fail(fmt.Errorf("no end of line within %d bytes", n))
		return ""
	}
	in.at -= int64(n - i - 1)
	return string(b[:i])
}
