package pickle

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"slices"
)

// op is one opcode: its name, and what it does, or nil where it is refused.
type op struct {
	name string
	run  func(m *machine)
}

// ops is every opcode of protocols 0 to 5. Those without a function are the ones of
// protocol 0, which PyTorch and numpy never wrote, and the ones that look something
// up outside of the pickle.
var ops [256]op

func init() {
	for code, o := range map[byte]op{
		'(': {"MARK", (*machine).mark}, '.': {"STOP", nil}, '0': {"POP", popOne}, '1': {"POP_MARK", popMarked},
		'2': {"DUP", dup}, 0x80: {"PROTO", proto}, 0x95: {"FRAME", frame},

		'N': {"NONE", constant(nil)}, 0x88: {"NEWTRUE", constant(true)}, 0x89: {"NEWFALSE", constant(false)},
		'J': {"BININT", binint}, 'K': {"BININT1", unsigned(1)}, 'M': {"BININT2", unsigned(2)},
		0x8a: {"LONG1", long(1)}, 0x8b: {"LONG4", long(4)}, 'G': {"BINFLOAT", binfloat},

		'U': {"SHORT_BINSTRING", text(1, false)}, 'T': {"BINSTRING", text(4, false)},
		0x8c: {"SHORT_BINUNICODE", text(1, true)}, 'X': {"BINUNICODE", text(4, true)}, 0x8d: {"BINUNICODE8", text(8, true)},
		'C': {"SHORT_BINBYTES", bytestring(1)}, 'B': {"BINBYTES", bytestring(4)}, 0x8e: {"BINBYTES8", bytestring(8)},
		0x96: {"BYTEARRAY8", bytestring(8)},

		')': {"EMPTY_TUPLE", constant(Tuple(nil))}, 't': {"TUPLE", tuple}, 0x85: {"TUPLE1", tupleOf(1)},
		0x86: {"TUPLE2", tupleOf(2)}, 0x87: {"TUPLE3", tupleOf(3)},
		']': {"EMPTY_LIST", func(m *machine) { m.push(&List{}) }}, 'l': {"LIST", list},
		'a': {"APPEND", appendOne}, 'e': {"APPENDS", appends},
		'}': {"EMPTY_DICT", func(m *machine) { m.push(&Dict{}) }}, 'd': {"DICT", dict},
		's': {"SETITEM", setItem}, 'u': {"SETITEMS", setItems},
		0x8f: {"EMPTY_SET", func(m *machine) { m.push(&Set{}) }}, 0x90: {"ADDITEMS", addItems}, 0x91: {"FROZENSET", frozenSet},

		'q': {"BINPUT", memo(1, (*machine).put)}, 'r': {"LONG_BINPUT", memo(4, (*machine).put)},
		'h': {"BINGET", memo(1, (*machine).get)}, 'j': {"LONG_BINGET", memo(4, (*machine).get)},
		0x94: {"MEMOIZE", func(m *machine) { m.put(uint64(len(m.memo))) }},

		'c': {"GLOBAL", global}, 0x93: {"STACK_GLOBAL", stackGlobal}, 'R': {"REDUCE", reduce},
		0x81: {"NEWOBJ", newObject}, 0x92: {"NEWOBJ_EX", newObjectEx}, 'b': {"BUILD", build}, 'Q': {"BINPERSID", persistent},

		'I': {"INT", nil}, 'L': {"LONG", nil}, 'F': {"FLOAT", nil}, 'S': {"STRING", nil}, 'V': {"UNICODE", nil},
		'p': {"PUT", nil}, 'g': {"GET", nil}, 'P': {"PERSID", nil}, 'i': {"INST", nil}, 'o': {"OBJ", nil},
		0x82: {"EXT1", nil}, 0x83: {"EXT2", nil}, 0x84: {"EXT4", nil}, 0x97: {"NEXT_BUFFER", nil}, 0x98: {"READONLY_BUFFER", nil},
	} {
		ops[code] = o
	}
}

func proto(m *machine) {
	if n := m.number(1); n > 5 {
		m.fail(fmt.Errorf("protocol %d, want at most 5", n))
	}
}

// frame passes over the length of a frame, which only helps a reader to buffer.
func frame(m *machine) { m.number(8) }

func popOne(m *machine) {
	if len(m.marks) > 0 && m.floor() == len(m.stack) { // POP takes a mark as well
		m.marks = m.marks[:len(m.marks)-1]
		return
	}
	m.pop()
}

func popMarked(m *machine) { m.popMark() }

func dup(m *machine) { m.push(m.top()) }

func constant(v any) func(*machine) {
	return func(m *machine) { m.push(v) }
}

func binint(m *machine) { m.push(int64(int32(m.number(4)))) }

func unsigned(n int) func(*machine) {
	return func(m *machine) { m.push(int64(m.number(n))) }
}

// long is an integer in two's complement, after its length in n bytes.
func long(n int) func(*machine) {
	return func(m *machine) {
		size := m.number(n)
		if size > maxLong {
			m.fail(fmt.Errorf("an integer of %d bytes, want at most %d", size, maxLong))
			return
		}
		m.push(integer(m.take(int(size))))
	}
}

// integer is an int64 or, where it does not fit, a *big.Int.
func integer(little []byte) any {
	big1 := slices.Clone(little)
	slices.Reverse(big1)
	v := new(big.Int).SetBytes(big1)
	if len(big1) > 0 && big1[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(big1))))
	}
	if v.IsInt64() {
		return v.Int64()
	}
	return v
}

func binfloat(m *machine) { m.push(math.Float64frombits(binary.BigEndian.Uint64(m.take(8)))) }

// text is a string after its length in n bytes.
func text(n int, unicode bool) func(*machine) {
	return func(m *machine) {
		if b, blob := m.str(n); b != nil {
			m.push(string(b))
		} else {
			blob.Text = unicode
			m.push(blob)
		}
	}
}

func bytestring(n int) func(*machine) {
	return func(m *machine) {
		if b, blob := m.str(n); b != nil {
			m.push(Bytes(slices.Clone(b)))
		} else {
			m.push(blob)
		}
	}
}

// str is the bytes of a short string, or nil and where a long one lies.
func (m *machine) str(n int) ([]byte, Blob) {
	size := m.number(n)
	if size > maxInline {
		blob := Blob{Off: m.at, N: int64(size)}
		m.skip(size)
		return nil, blob
	}
	return m.take(int(size)), Blob{}
}

func memo(n int, run func(*machine, uint64)) func(*machine) {
	return func(m *machine) { run(m, m.number(n)) }
}
