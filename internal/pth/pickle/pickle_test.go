package pickle

import (
	"bytes"
	"errors"
	"io"
	"math/big"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func load(s string) (any, error) {
	p, err := Load(strings.NewReader(s), 0, int64(len(s)))
	if err != nil {
		return nil, err
	}
	return p.Value, nil
}

func TestValues(t *testing.T) {
	big1, _ := new(big.Int).SetString("-170141183460469231731687303715884105728", 10)
	for _, test := range []struct {
		name, in string
		want     any
	}{
		{"none", "\x80\x02N.", nil},
		{"true", "\x88.", true},
		{"int", "J\xfe\xff\xff\xff.", int64(-2)},
		{"int1", "K\xff.", int64(255)},
		{"int2", "M\x00\x01.", int64(256)},
		{"long", "\x8a\x02\x00\xff.", int64(-256)},
		{"long of nothing", "\x8a\x00.", int64(0)},
		{"long of 8 bytes", "\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", int64(-1 << 63)},
		{"long beyond", "\x8a\x10" + strings.Repeat("\x00", 15) + "\x80.", big1},
		{"float", "G\x3f\xf8\x00\x00\x00\x00\x00\x00.", 1.5},
		{"text", "X\x02\x00\x00\x00\xc3\xa9.", "é"},
		{"short text", "\x8c\x01a.", "a"},
		{"bytes", "C\x02ab.", Bytes("ab")},
		{"str of python 2", "U\x02a\xff.", "a\xff"},
		{"tuple", "(K\x01K\x02K\x03K\x04t.", Tuple{int64(1), int64(2), int64(3), int64(4)}},
		{"tuple3", "K\x01K\x02K\x03\x87.", Tuple{int64(1), int64(2), int64(3)}},
		{"list", "](K\x01K\x02e.", &List{[]any{int64(1), int64(2)}}},
		{"memo", "]q\x05h\x05\x86.", nil}, // compared below
		{"dict", "}(\x8c\x01aK\x01\x8c\x01bK\x02\x8c\x01aK\x03u.", &Dict{Pairs: []Pair{{"a", int64(3)}, {"b", int64(2)}}}},
		{"set", "\x8f(K\x01\x90.", &Set{[]any{int64(1)}}},
		{"set by its class", "c__builtin__\nset\n](K\x01e\x85R.", &Set{[]any{int64(1)}}},
		{"ordered", "ccollections\nOrderedDict\n)R\x8c\x01aNs.", &Dict{Pairs: []Pair{{"a", nil}}}},
		{"ordered by pairs", "ccollections\nOrderedDict\n]]\x8c\x01aaNaa\x85R.", &Dict{Pairs: []Pair{{"a", nil}}}},
		{"attributes", "ccollections\nOrderedDict\n)R}\x8c\x01aNsb.", &Dict{}},
		{"latin1", "c_codecs\nencode\nX\x03\x00\x00\x00a\xc3\xbf\x8c\x06latin1\x86R.", Bytes("a\xff")},
		{"size", "ctorch\nSize\nK\x02K\x03\x86\x85R.", Tuple{int64(2), int64(3)}},
		{"class", "\x8c\x01m\x8c\x01C\x93.", Global{"m", "C"}},
		{"call", "cos\nsystem\n\x8c\x02ls\x85R.", &Object{Class: Global{"os", "system"}, Called: true, Args: Tuple{"ls"}}},
		{"instance", "cm\nC\n)\x81}\x8c\x01aNsb.", &Object{Class: Global{"m", "C"}, State: &Dict{Pairs: []Pair{{"a", nil}}}}},
		{"reference", "\x8c\x01aQ.", &Persistent{"a"}},
		{"framed", "\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N.", nil},
		{"pop", "K\x01K\x020.", int64(1)},
		{"pop of marks", "K\x01(K\x02K\x031.", int64(1)},
		{"dup", "K\x012\x86.", Tuple{int64(1), int64(1)}},
	} {
		got, err := load(test.in)
		if test.name == "memo" {
			if tup, ok := got.(Tuple); !ok || tup[0] != tup[1] {
				t.Errorf("memo: %v, %v", got, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %#v, %v; want %#v", test.name, got, err, test.want)
		}
	}
}

// A long string stays where it is.
func TestBlob(t *testing.T) {
	long := strings.Repeat("x", maxInline+1)
	for _, test := range []struct {
		in   string
		want any
	}{
		{"B\x01\x10\x00\x00" + long + ".", Blob{Off: 5, N: maxInline + 1}},
		{"X\x01\x10\x00\x00" + long + ".", Blob{Off: 5, N: maxInline + 1, Text: true}},
		{"c_codecs\nencode\nX\x01\x10\x00\x00" + long + "\x8c\x06latin1\x86R.", Blob{Off: 21, N: maxInline + 1, Text: true, Latin1: true}},
	} {
		if got, err := load(test.in); err != nil || got != test.want {
			t.Errorf("%#v, %v; want %#v", got, err, test.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"nothing", "", "byte 0: the pickle is cut off here"},
		{"no end", "N", "byte 1: the pickle is cut off here"},
		{"no opcode", "\xff", "byte 0: 0xff is no opcode"},
		{"inst", "(ios\nsystem\n.", "byte 1: asks for opcode INST, which data does not need"},
		{"text int", "I1\n.", "byte 0: asks for opcode INT, which data does not need"},
		{"extension", "\x82\x01.", "byte 0: asks for opcode EXT1, which data does not need"},
		{"outside buffer", "\x97.", "byte 0: asks for opcode NEXT_BUFFER, which data does not need"},
		{"protocol", "\x80\x06N.", "byte 0: PROTO: protocol 6, want at most 5"},
		{"empty stack", ".", "byte 0: ends with 0 values, want 1"},
		{"two values", "NN.", "byte 2: ends with 2 values, want 1"},
		{"open mark", "N(.", "byte 2: ends with 1 values, want 1"},
		{"pop below", "0.", "byte 0: POP: nothing on the stack to work on"},
		{"pop below a mark", "N(\x85.", "byte 2: TUPLE1: nothing on the stack to work on"},
		{"no mark", "Nt.", "byte 1: TUPLE: no MARK is open"},
		{"no memo", "h\x01.", "byte 0: BINGET: nothing in the memo under 1"},
		{"put of nothing", "q\x01.", "byte 0: BINPUT: nothing on the stack to work on"},
		{"long4", "\x8b\xff\xff\xff\xff.", "byte 0: LONG4: an integer of 4294967295 bytes, want at most 256"},
		{"text beyond", "X\xff\xff\xff\x7f.", "byte 0: BINUNICODE: 2147483647 bytes are announced and 1 are left"},
		{"text far beyond", "\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "byte 0: BINUNICODE8: 18446744073709551615 bytes are announced and 1 are left"},
		{"short text beyond", "\x8c\x09a.", "byte 0: SHORT_BINUNICODE: the pickle is cut off here"},
		{"item of a number", "K\x01NNs.", "byte 4: SETITEM: 1, want a dict"},
		{"item of a tuple", ")NNs.", "byte 3: SETITEM: a tuple, want a dict"},
		{"append to a dict", "}Na.", "byte 2: APPEND: a dict, want a list"},
		{"state of a number", "K\x01Nb.", "byte 3: BUILD: 1, want an object"},
		{"arguments", "cos\nsystem\nNR.", "byte 12: REDUCE: None for arguments, want a tuple"},
		{"odd items", "}(Nu.", "byte 3: SETITEMS: a key without a value"},
		{"global without end", "c" + strings.Repeat("a", 2000), "byte 0: GLOBAL: no end of line within 1024 bytes"},
		{"names", "NN\x93.", "byte 2: STACK_GLOBAL: None and None, want two names"},
		{"marks", strings.Repeat("(", 1<<17), "byte 65536: MARK: more than 65536 marks are open"},
		{"marks, one too many", "N" + strings.Repeat("(", 1<<16) + "(", "byte 65537: MARK: more than 65536 marks are open"},
		{"marks, as many as may be", strings.Repeat("(", 1<<16) + "N.", "byte 65537: ends with 1 values, want 1"},
		{"values on the stack, as many as may be", strings.Repeat("N", 1<<20) + ".", "byte 1048576: ends with 1048576 values, want 1"},
		{"values", strings.Repeat("N0", 1<<22) + "N.", "byte 8388608: NONE: more than 4194304 values"},
		{"values, as many as may be", strings.Repeat("N0", 1<<22) + ".", "byte 8388608: ends with 0 values, want 1"},
		{"an integer", "\x8b\x01\x01\x00\x00" + strings.Repeat("\x01", 257) + ".", "byte 0: LONG4: an integer of 257 bytes, want at most 256"},
		{"a name", "c" + strings.Repeat("a", 1024) + "\nx\n.", "byte 0: GLOBAL: no end of line within 1024 bytes"},
		{"a name, as long as may be", "c" + strings.Repeat("a", 1023) + "\nx\n" + strings.Repeat(" ", 1022) + ".", "byte 1027: 0x20 is no opcode"},
		{"values on the stack", strings.Repeat("N", 1<<21), "byte 1048576: NONE: more than 1048576 values on the stack"},
	} {
		if _, err := load(test.in); err == nil || err.Error() != "pickle: "+test.want {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
}

// Pickles made to cost much: copying one list again and again, a memo that is filled
// in every place, values within values. The most that a byte may cost is a Dict or an
// Object with its places on the stack, or an entry of the memo's map.
func TestBombs(t *testing.T) {
	items := strings.Repeat("N", 30000)
	for name, in := range map[string]string{
		"copies":     "](" + items + "e\x85q\x000cbuiltins\nlist\nq\x010(" + strings.Repeat("h\x01h\x00R", 30000) + "t.",
		"text":       "X\x00\x10\x00\x00" + strings.Repeat("a", 4096) + "\x8c\x06latin1\x86q\x000c_codecs\nencode\nq\x010(" + strings.Repeat("h\x01h\x00R", 30000) + "t.",
		"named":      "(" + items + "tq\x000cm\nC\nq\x010(" + strings.Repeat("h\x01h\x00}\x92", 30000) + "t.",
		"nested":     strings.Repeat("]", 200000) + strings.Repeat("a", 199999) + ".",
		"doubled":    "N" + strings.Repeat("2\x86", 100000) + ".",
		"dicts":      "(" + strings.Repeat("}", 300000) + "t.",
		"objects":    "cm\nC\nq\x000(" + strings.Repeat("h\x00)\x81", 100000) + "t.",
		"calls":      "cm\nC\n" + strings.Repeat(")R", 100000) + ".",
		"memo":       "N" + strings.Repeat("\x94", 300000) + ".",
		"shadowed":   "N" + strings.Repeat("r\xff\xff\xff\xff", 100000) + ".",
		"itself":     "]q\x00" + strings.Repeat("h\x00a", 100000) + ".",
		"references": "(" + strings.Repeat("NQ", 100000) + "t.",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := load(in)
		runtime.ReadMemStats(&after)
		got, limit := after.TotalAlloc-before.TotalAlloc, uint64(160*len(in)+4<<20)
		t.Logf("%s: %d bytes for %d, %v", name, got, len(in), err)
		if got > limit {
			t.Errorf("%s: %d bytes allocated for %d, want at most %d", name, got, len(in), limit)
		}
	}
}

// A list may be copied as often as the bytes so far and 64 Ki items allow.
func TestCopies(t *testing.T) {
	for _, more := range []int{0, 1} {
		begin, end := "](", "e\x85q\x000cbuiltins\nlist\nq\x010(h\x01h\x00Rh\x01h\x00R"
		n := len(begin+end) + 1<<16 + more // which makes 2n items of n bytes and begin and end
		_, err := load(begin + strings.Repeat("N", n) + end + "t.")
		if (err != nil) != (more > 0) {
			t.Errorf("%d items, twice: %v", n, err)
		}
	}
}

type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, errors.New("broken disk") }

func TestReadError(t *testing.T) {
	if _, err := Load(failing{}, 0, 100); err == nil || err.Error() != "pickle: byte 0: broken disk" {
		t.Errorf("%v", err)
	}
	if _, err := Load(strings.NewReader("N."), 0, 100); err == nil || !errors.Is(err, errEnd) {
		t.Errorf("a reader shorter than announced: %v", err)
	}
}

func FuzzPickle(f *testing.F) {
	for _, in := range []string{
		"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00aq\x02K\x01u}q\x03b.",
		"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01K\x02eu.",
		"cos\nsystem\n\x8c\x02ls\x85R.", "(ios\nsystem\n.", "\x8b\xff\xff\xff\xff.", "]q\x00h\x00a.", "cm\nC\n)\x81}b.",
		"(U\x07storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ.",
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Load(bytes.NewReader(b), 0, int64(len(b)))
		if err != nil {
			return
		}
		if p.Next < 1 || p.Next > int64(len(b)) || b[p.Next-1] != '.' {
			t.Fatalf("stops at byte %d of %d", p.Next, len(b))
		}
		io.WriteString(io.Discard, Describe(p.Value))
	})
}
