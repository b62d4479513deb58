package pth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"repfuse/internal/pth/pickle"
	"repfuse/internal/tensor"
)

// arrayTypes is the element types of numpy by the name that a pickled dtype has.
var arrayTypes = map[string]tensor.Type{
	"b1": tensor.Bool, "u1": tensor.U8, "i1": tensor.I8, "u2": tensor.U16, "i2": tensor.I16, "u4": tensor.U32, "i4": tensor.I32,
	"u8": tensor.U64, "i8": tensor.I64, "f2": tensor.F16, "f4": tensor.F32, "f8": tensor.F64, "c8": tensor.C64, "c16": tensor.C128,
}

// rebuildArray is a numpy array, whose state is (version, shape, dtype, Fortran
// order, bytes).
func rebuildArray(a *archive, o *pickle.Object, _ int) (stored, error) {
	t, ok := o.State.(pickle.Tuple)
	if !ok || len(t) != 5 {
		return stored{}, fmt.Errorf("an array with %s for its state, want a tuple of 5", pickle.Describe(o.State))
	}
	shape, err := numbers(t[1])
	if err != nil {
		return stored{}, fmt.Errorf("shape: %w", err)
	}
	typ, big, err := arrayType(t[2])
	if err != nil {
		return stored{}, err
	}
	if _, err := tensor.Count(shape, typ); err != nil {
		return stored{}, err
	}
	fortran, ok := t[3].(bool)
	if n, isInt := t[3].(int64); isInt {
		fortran, ok = n != 0, true
	}
	if !ok {
		return stored{}, fmt.Errorf("order of columns %s, want yes or no", pickle.Describe(t[3]))
	}
	s := stored{Strided: tensor.Strided{Type: typ, Shape: shape, Strides: tensor.InOrder(shape, fortran), Big: big}}
	return a.arrayBytes(s, t[4])
}

// arrayType reads numpy.dtype('f4', …) with the state (version, byte order, …).
func arrayType(v any) (typ tensor.Type, big bool, err error) {
	o, ok := v.(*pickle.Object)
	if !ok || o.Class.Name != "dtype" || o.Class.Module != "numpy" || len(o.Args) == 0 {
		return 0, false, fmt.Errorf("element type %s, want a numpy.dtype", pickle.Describe(v))
	}
	name, _ := o.Args[0].(string)
	typ, ok = arrayTypes[name]
	if !ok {
		return 0, false, fmt.Errorf("element type numpy.dtype(%q), want numbers", name)
	}
	if t, ok := o.State.(pickle.Tuple); ok && len(t) > 1 {
		switch t[1] {
		case "<", "|", "=": // native order is little-endian on what Paddle runs on
		case ">":
			big = true
		default:
			return 0, false, fmt.Errorf("byte order %s, want <, > or |", pickle.Describe(t[1]))
		}
	}
	return typ, big, nil
}

// arrayBytes says where the elements of an array lie.
func (a *archive) arrayBytes(s stored, v any) (stored, error) {
	want := int64(tensor.Elems(s.Shape)) * int64(s.Type.Size())
	var n int64
	switch v := v.(type) {
	case pickle.Bytes:
		n, s.rec = int64(len(v)), record{bytes.NewReader(v), 0, int64(len(v))}
	case string: // of Python 2
		n, s.rec = int64(len(v)), record{strings.NewReader(v), 0, int64(len(v))}
	case pickle.Blob:
		if v.Text && !v.Latin1 {
			return s, errors.New("an array of text, want bytes")
		}
		n, s.rec = v.N, record{a.text, v.Off, v.N}
		if v.Latin1 { // how long it is will be known when it has been read
			s.text = &latin1{rec: s.rec, n: want}
			return s, nil
		}
	default:
		return s, fmt.Errorf("an array of %s, want bytes", pickle.Describe(v))
	}
	if n != want {
		return s, fmt.Errorf("an array of %d bytes, want the %d of %s %v", n, want, s.Type, s.Shape)
	}
	return s, nil
}

// latin1Step is how many bytes lie between two places that latin1 remembers.
const latin1Step = 1 << 12

// latin1 is bytes that are written as text: a rune of UTF-8 for each. Places in it are
// found from the nearest one before that the first reading has remembered.
type latin1 struct {
	rec record
	n   int64 // bytes that it should have
	mu  sync.Mutex
	at  []int64 // of byte i·latin1Step, in the text
	err error
}

// scan reads the text once, to see that it is n bytes and to remember places in it.
func (l *latin1) scan() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at != nil || l.err != nil {
		return l.err
	}
	at := []int64{0}
	var count, pos int64
	l.err = l.runes(0, func(b byte, width int) bool {
		count, pos = count+1, pos+int64(width)
		if count%latin1Step == 0 {
			at = append(at, pos)
		}
		return true
	})
	if l.err == nil && count != l.n {
		l.err = fmt.Errorf("an array of %d bytes, want %d", count, l.n)
	}
	l.at = at
	return l.err
}

// runes calls each for the bytes that the text from byte pos on stands for, until it
// returns false.
func (l *latin1) runes(pos int64, each func(b byte, width int) bool) error {
	var buf [4096]byte
	held := 0
	for pos < l.rec.n || held > 0 {
		n := int(min(int64(len(buf)-held), l.rec.n-pos))
		if err := tensor.ReadFull(l.rec.r, buf[held:held+n], l.rec.off+pos); err != nil {
			return err
		}
		held, pos = held+n, pos+int64(n)
		p := buf[:held]
		for utf8.FullRune(p) || pos == l.rec.n && len(p) > 0 {
			r, width := utf8.DecodeRune(p)
			if r > 0xff || r == utf8.RuneError {
				return fmt.Errorf("a byte string in Latin-1 holds the rune %U", r)
			}
			if !each(byte(r), width) {
				return nil
			}
			p = p[width:]
		}
		held = copy(buf[:], p)
	}
	return nil
}

// ReadAt fills p, which lies among the bytes, from off on.
func (l *latin1) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	skip, done := off%latin1Step, 0
	err := l.runes(l.at[off/latin1Step], func(b byte, _ int) bool {
		if skip > 0 {
			skip--
			return true
		}
		p[done] = b
		done++
		return done < len(p)
	})
	if err == nil && done < len(p) {
		err = io.EOF
	}
	return done, err
}
