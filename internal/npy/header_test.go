package npy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/hint"
	"repfuse/internal/tensor"
)

// readHeader reads one header.
func readHeader(r io.ReaderAt, size int64, o Options) (Header, error) {
	return newHeaders(o).read(r, size)
}

// A text that was met before means the same again, and what it is held against is new: the
// version, the size of the file.
func TestHeadersMet(t *testing.T) {
	text := "{'descr': '<f4', 'fortran_order': False, 'shape': (3L,), }\n"
	m := newHeaders(Options{})
	for _, test := range []struct {
		version byte
		n       int
		err     string
	}{
		{1, 12, ""},
		{1, 12, ""},
		{1, 8, "8 bytes after the header, want 12 for shape [3] of float32"},
		{3, 12, `header: "L,), }\n", want , or ) in the shape`},
		{2, 12, ""},
	} {
		b := file(test.version, text, test.n)
		h, err := m.read(bytes.NewReader(b), int64(len(b)))
		switch {
		case test.err == "" && (err != nil || h.Type != tensor.F32 || !slices.Equal(h.Shape, []int{3})):
			t.Errorf("version %d: %+v, %v", test.version, h, err)
		case test.err != "" && (err == nil || err.Error() != test.err):
			t.Errorf("version %d, %d bytes: %v, want %s", test.version, test.n, err, test.err)
		}
	}
}

// file is a .npy file of the given version, dict and number of bytes after it.
func file(version byte, dict string, n int) []byte {
	b := append([]byte(magic), version, 0)
	if version == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(dict)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(dict)))
	}
	return append(append(b, dict...), make([]byte, n)...)
}

// What Python's grammar allows is read, though no numpy writes it.
func TestOddHeaders(t *testing.T) {
	for _, test := range []struct {
		version byte
		dict    string
		n       int
		shape   []int
	}{
		{1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24, []int{2, 3}},
		{1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24, []int{2, 3}},
		{1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}\n", 24, []int{2, 3}},
		{1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}\n", 8, []int{2}},
		{1, "{'shape': (2,), 'fortran_order': False, 'descr': '<f4'}\n", 8, []int{2}},
		{2, "{'fortran_order': False, 'shape': (), 'descr': '<f4', }\n", 4, []int{}},
		{1, `{"descr":"<f4","fortran_order":False,"shape":(2,3,)}`, 24, []int{2, 3}},
		{1, "\t{ 'descr' :'<f4' ,\n'fortran_order' : False\r\n,'shape':( 2 ,3 ) , }  \n\n", 24, []int{2, 3}},
		{1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1L, 2L), }\n", 8, []int{1, 2}},
		{2, "{'descr': '<f4', 'fortran_order': False, 'shape': (3L,), }\n", 12, []int{3}},
		{3, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n", 12, []int{3}},
		{2, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }" + strings.Repeat(" ", maxHeader-58) + "\n", 12, []int{3}},
		{1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 7), }\n", 0, []int{0, 7}},
	} {
		b := file(test.version, test.dict, test.n)
		h, err := readHeader(bytes.NewReader(b), int64(len(b)), Options{})
		if err != nil || h.Type != tensor.F32 || !slices.Equal(h.Shape, test.shape) {
			t.Errorf("version %d %q: %+v, %v", test.version, test.dict, h, err)
		}
	}
}

func TestRefusedHeaders(t *testing.T) {
	dict := func(descr, shape string) string {
		return "{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + ", }\n"
	}
	f4 := func(shape string) string { return dict("'<f4'", shape) }
	of := func(descr string) string { return dict(descr, "(2,)") }
	const notPickled = "Python objects, which only unpickling could read, want numbers"
	for _, test := range []struct {
		version byte
		dict    string
		n       int
		err     string
	}{
		// the elements
		{1, f4("(2, 3)"), 20, "20 bytes after the header, want 24 for shape [2 3] of float32"},
		{1, f4("(2, 3)"), 25, "25 bytes after the header, want 24 for shape [2 3] of float32"},
		{1, f4("()"), 0, "0 bytes after the header, want 4 for shape [] of float32"},
		{1, f4("(1099511627776,)"), 8, "8 bytes after the header, want 4398046511104 for shape [1099511627776] of float32"},
		{1, f4("(1000000000000000000,)"), 8, "8 bytes after the header, want 4000000000000000000 for shape [1000000000000000000] of float32"},
		{1, f4("(4294967296, 4294967296)"), 0, "shape [4294967296 4294967296] of float32 has more bytes than an int64 holds"},
		{1, f4("(4611686018427387904,)"), 0, "shape [4611686018427387904] of float32 has more bytes than an int64 holds"},
		{1, f4("(9223372036854775808,)"), 0, `header: "9223372036854775808,", want a dimension that an int holds`},
		{1, f4("(-1, 3)"), 0, `header: "-1, 3), }\n", want a dimension that is not negative`},
		// the shape
		{1, f4("(3)"), 12, "header: shape (3), want the tuple (3,)"},
		{1, f4("[3]"), 12, `header: "[3], }\n", want a tuple for the shape`},
		{1, f4("3"), 12, `header: "3, }\n", want a tuple for the shape`},
		{1, f4("(3.0,)"), 12, `header: ".0,), }\n", want , or ) in the shape`},
		{1, f4("(,)"), 4, `header: ",), }\n", want a decimal integer in the shape`},
		{1, f4("(3,,)"), 12, `header: ",), }\n", want a decimal integer in the shape`},
		{1, f4("(3 4)"), 48, `header: "4), }\n", want , or ) in the shape`},
		{1, f4("(007,)"), 28, `header: "007,), }\n", want a decimal integer in the shape`},
		{1, f4("(0x3,)"), 12, `header: "x3,), }\n", want , or ) in the shape`},
		{1, f4("(True,)"), 4, `header: "True,), }\n", want a decimal integer in the shape`},
		{1, f4("(np.int64(3),)"), 12, `header: "np.int64(3),), }\n", want a decimal integer in the shape`},
		{3, f4("(1L,)"), 4, `header: "L,), }\n", want , or ) in the shape`},
		{1, f4("(" + strings.Repeat("1,", 65) + ")"), 4, "header: shape of more than 64 dimensions"},
		// the type
		{1, of("'|O'"), 16, `element type "|O": ` + notPickled},
		{1, of("'<U3'"), 24, `element type "<U3": strings, want numbers`},
		{1, of("'|S3'"), 6, `element type "|S3": strings of bytes, want numbers`},
		{1, of("'<M8[s]'"), 16, `element type "<M8[s]": dates, want numbers`},
		{1, of("'<m8[s]'"), 16, `element type "<m8[s]": time spans, want numbers`},
		{1, of("'|V1'"), 2, `element type "|V1": bytes without a type, want numbers`},
		{1, of("'|V2'"), 4, `element type "|V2": two bytes without a type`},
		{1, of("'<V2'"), 4, `element type "<V2": two bytes without a type`},
		{1, of("[('a', '<f4')]"), 8, "header: structured elements (descr is a list), want numbers"},
		{1, of("('<f4', (2,))"), 16, "header: structured elements (descr is a list), want numbers"},
		{1, of("'<f16'"), 32, `element type "<f16" is unknown`},
		{1, of("'<f1'"), 2, `element type "<f1" is unknown`},
		{1, of("'<g2'"), 4, `element type "<g2" is unknown`},
		{1, of("'<'"), 8, `element type "<" is unknown`},
		{1, of("'|f4'"), 8, `element type "|f4" has no byte order, want < or >`},
		{1, of("'f4'"), 8, `element type "f4", want one that begins with its byte order: < > |`},
		{1, of("'=f4'"), 8, `element type "=f4", want one that begins with its byte order: < > |`},
		{1, of("''"), 8, `element type "", want one that begins with its byte order: < > |`},
		{1, of(`'<f\x34'`), 8, `header: "<f\\x34', 'fortran_or", want a string without escapes`},
		{1, of("b'<f4'"), 8, `header: "b'<f4', 'fortran_ord", want a string in quotes`},
		{1, of("4"), 8, `header: "4, 'fortran_order': ", want a string in quotes`},
		// the dict
		{1, "", 0, `header: the end, want {`},
		{1, "{}\n", 0, `header: keys [], want descr, fortran_order and shape`},
		{1, "{'descr': '<f4', 'shape': (), }\n", 4, `header: keys ["descr" "shape"], want descr, fortran_order and shape`},
		{1, "{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': ()}\n", 4, `header: key "descr" twice`},
		{1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}\n", 4, `header: key "x", want descr, fortran_order and shape alone`},
		{1, "{'descr' '<f4'}\n", 4, `header: "'<f4'}\n", want : after key "descr"`},
		{1, "{'descr': '<f4' 'shape': ()}\n", 4, `header: "'shape': ()}\n", want , or } after the value of "descr"`},
		{1, "{'descr': '<f4', 'fortran_order': 0, 'shape': ()}\n", 4, `header: "0, 'shape': ()}\n", want True or False for fortran_order`},
		{1, "{'descr': '<f4', 'fortran_order': False, 'shape': (\n", 4, `header: the end, want a decimal integer in the shape`},
		{1, "{'descr': '<f4', 'fortran_order': False, 'shape': ()\n", 4, `header: the end, want , or } after the value of "shape"`},
		{1, "{'descr': '<f4', 'fortran_order': False, 'shape': ()} + os\n", 4, `header: "+ os\n", want nothing after the dict`},
		{1, "{'descr': '<f4\n", 4, `header: "<f4\n", want a string without escapes`},
		// the length
		{4, f4("()"), 4, "version 4.0, want 1.0, 2.0 or 3.0"},
		{0, f4("()"), 4, "version 0.0, want 1.0, 2.0 or 3.0"},
		{2, strings.Repeat(" ", maxHeader+1), 4, "header of 10001 bytes, want at most 10000"},
	} {
		b := file(test.version, test.dict, test.n)
		_, err := readHeader(bytes.NewReader(b), int64(len(b)), Options{})
		if err == nil || err.Error() != test.err {
			t.Errorf("version %d %q: %v, want %s", test.version, test.dict, err, test.err)
		}
	}
}

func TestBFloat16(t *testing.T) {
	for _, descr := range []string{"<V2", "|V2", ">V2"} {
		b := file(1, "{'descr': '"+descr+"', 'fortran_order': False, 'shape': (1,), }\n", 2)
		_, err := readHeader(bytes.NewReader(b), int64(len(b)), Options{})
		if hint.Of(err) == "" {
			t.Errorf("%s: %v, want a hint", descr, err)
		}
		h, err := readHeader(bytes.NewReader(b), int64(len(b)), Options{BFloat16: true})
		if ok := descr != ">V2"; ok != (err == nil) || ok && h.Type != tensor.BF16 {
			t.Errorf("%s as bfloat16: %+v, %v", descr, h, err)
		}
	}
}

// The other ways in which the bytes before the dict are wrong.
func TestRefusedPrefix(t *testing.T) {
	for _, test := range []struct{ file, err string }{
		{"", `begins with "", want "\x93NUMPY": not a .npy file`},
		{"\x93NUMPX\x01\x00", `begins with "\x93NUMPX", want "\x93NUMPY": not a .npy file`},
		{magic + "\x01\x01\x00\x00", "version 1.1, want 1.0, 2.0 or 3.0"},
		{magic + "\x02\x00\x00\x00", "10 bytes, want at least 12 for the header's length"},
		{magic + "\x01\x00\x76\x00{'descr'", "header of 118 bytes, want at most the 8 that the file has left"},
	} {
		_, err := readHeader(strings.NewReader(test.file), int64(len(test.file)), Options{})
		if err == nil || err.Error() != test.err {
			t.Errorf("%q: %v, want %s", test.file, err, test.err)
		}
	}
}

// A header that claims to be long costs nothing: the claim is held against a limit
// and against the file before any memory is taken for it.
func TestHeaderAllocation(t *testing.T) {
	for _, n := range []uint32{maxHeader, 1 << 30, 0xfffffff0} {
		b := append([]byte(magic), 2, 0)
		b = binary.LittleEndian.AppendUint32(b, n)
		for _, size := range []int64{int64(len(b)), 1 << 40} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := readHeader(bytes.NewReader(b), size, Options{})
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; err == nil || got > 2*maxHeader {
				t.Errorf("header of %d bytes in a file of %d: %v, %d bytes allocated", n, size, err, got)
			}
		}
	}
}

// A dict that was met before is judged anew by its version, the options and the file.
func TestKnownDict(t *testing.T) {
	const long = "{'descr': '<f4', 'fortran_order': False, 'shape': (3L,), }"
	const untyped = "{'descr': '|V2', 'fortran_order': False, 'shape': (6,), }"
	for range 2 {
		for _, test := range []struct {
			version  byte
			text     string
			elements int
			o        Options
			good     bool
		}{
			{1, long, 12, Options{}, true},
			{3, long, 12, Options{}, false},
			{1, long, 11, Options{}, false},
			{1, untyped, 12, Options{BFloat16: true}, true},
			{1, untyped, 12, Options{}, false},
		} {
			b := file(test.version, test.text, test.elements)
			if h, err := readHeader(bytes.NewReader(b), int64(len(b)), test.o); (err == nil) != test.good {
				t.Errorf("version %d of %s with %d bytes, %+v: %+v, %v", test.version, test.text, test.elements, test.o, h, err)
			}
		}
	}
}

// npyio's reading is what decides nothing alone, but would a disagreement be seen?
func TestSecondOpinion(t *testing.T) {
	text := []byte("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n")
	right := dict{"<f4", false, []int{2, 3}}
	if err := secondOpinion(text, right); err != nil {
		t.Error(err)
	}
	h, err := npyioHeader(text)
	must(t, err)
	must(t, agree(h, right))
	for _, wrong := range []dict{{">f4", false, []int{2, 3}}, {"<f4", true, []int{2, 3}}, {"<f4", false, []int{3, 2}}, {"<f4", false, nil}} {
		if err := agree(h, wrong); err == nil {
			t.Errorf("npyio reads %+v and agrees with %+v", h, wrong)
		}
	}
	if err := secondOpinion([]byte("{'descr': '<}', 'fortran_order': False, 'shape': (), }"), dict{descr: "<}"}); err == nil {
		t.Error("npyio panics over this and is believed")
	}
	if _, err := npyioHeader([]byte("{'shape': (2,), 'fortran_order': False, 'descr': '<f4'}\n")); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("npyio on keys in another order: %v, want its panic as an error", err)
	}
}

// FuzzHeader: no file makes the parser panic, and what it accepts agrees with the
// file to the byte and is read to the end.
func FuzzHeader(f *testing.F) {
	for _, a := range arrays(f)[:12] {
		f.Add(a.file())
	}
	f.Add(file(3, "{'shape':(0L,),'descr':\"|V2\",'fortran_order':True}", 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHeader(bytes.NewReader(b), int64(len(b)), Options{BFloat16: true})
		if err != nil {
			return
		}
		n := int64(tensor.Elems(h.Shape)) * int64(h.Type.Size())
		if h.Offset+n != int64(len(b)) {
			t.Fatalf("%+v of a file of %d bytes", h, len(b))
		}
		got := make([]byte, n)
		if err := tensor.ReadFull(h.elements(bytes.NewReader(b), io.NopCloser(nil)), got, 0); err != nil {
			t.Fatal(err)
		}
		if again, err := AppendHeader(nil, h.Type, h.Shape); err == nil {
			again = append(again, got...)
			h2, err := readHeader(bytes.NewReader(again), int64(len(again)), Options{BFloat16: true})
			if err != nil || fmt.Sprint(h2.Type, h2.Shape) != fmt.Sprint(h.Type, h.Shape) {
				t.Fatalf("%+v written and read again: %+v, %v", h, h2, err)
			}
		}
	})
}
