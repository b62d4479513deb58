package pickle

import (
	"errors"
	"fmt"
	"io"
)

// The bounds of the machine. A YOLO model pickled whole takes some 20,000 values; a
// training state of a large network with its optimizer, some hundred thousand.
const (
	maxValues = 1 << 22 // made by one pickle
	maxStack  = 1 << 20 // waiting on the stack at once
	maxMarks  = 1 << 16 // open at once
	maxInline = 1 << 12 // bytes of a string that is held rather than left in the file
	maxLong   = 256     // bytes of an integer
)

// machine is the state of reading one pickle. What is popped after an error is nil; Load
// looks for the error after each opcode.
type machine struct {
	input
	stack  []any
	marks  []int // where in stack each open MARK is
	memo   map[uint64]any
	values int
	copied int64 // into values made of others
	from   int64 // where the pickle begins
	refs   []*Persistent
}

// Pickle is what Load has read.
type Pickle struct {
	Value any
	// Refs is every reference to something outside of the pickle.
	Refs []*Persistent
	// Next is the byte of the input after the pickle.
	Next int64
}

// Load reads the pickle that begins at byte off of r and must stop before byte end.
func Load(r io.ReaderAt, off, end int64) (*Pickle, error) {
	m := &machine{input: input{r: r, at: off, end: end}, from: off, memo: map[uint64]any{}}
	for {
		at := m.at
		code := m.take(1)[0]
		op := &ops[code]
		switch {
		case m.err != nil:
			return nil, fmt.Errorf("pickle: byte %d: %w", at, m.err)
		case op.name == "":
			return nil, fmt.Errorf("pickle: byte %d: 0x%02x is no opcode", at, code)
		case op.name == "STOP":
			if len(m.stack) != 1 || len(m.marks) > 0 {
				return nil, fmt.Errorf("pickle: byte %d: ends with %d values, want 1", at, len(m.stack))
			}
			return &Pickle{m.stack[0], m.refs, m.at}, nil
		case op.run == nil:
			return nil, fmt.Errorf("pickle: byte %d: asks for opcode %s, which data does not need", at, op.name)
		}
		if op.run(m); m.err != nil {
			return nil, fmt.Errorf("pickle: byte %d: %s: %w", at, op.name, m.err)
		}
	}
}

var errStack = errors.New("nothing on the stack to work on")

func (m *machine) push(v any) {
	m.count()
	if len(m.stack) >= maxStack {
		m.fail(fmt.Errorf("more than %d values on the stack", maxStack))
	}
	m.stack = append(m.stack, v)
}

// count counts a value more, and fails where they are too many.
func (m *machine) count() {
	if m.values++; m.values > maxValues {
		m.fail(fmt.Errorf("more than %d values", maxValues))
	}
}

// floor is below which the stack may not be taken: the innermost mark.
func (m *machine) floor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

func (m *machine) pop() any {
	v := m.top()
	m.stack = m.stack[:max(m.floor(), len(m.stack)-1)]
	return v
}

// top is the last value, which stays.
func (m *machine) top() any {
	if len(m.stack) <= m.floor() {
		m.fail(errStack)
		return nil
	}
	return m.stack[len(m.stack)-1]
}

// popMark takes the values above the innermost mark, and the mark. They are good
// until the next push.
func (m *machine) popMark() []any {
	if len(m.marks) == 0 {
		m.fail(errors.New("no MARK is open"))
		return nil
	}
	at := m.floor()
	m.marks = m.marks[:len(m.marks)-1]
	items := m.stack[at:]
	m.stack = m.stack[:at]
	return items
}

func (m *machine) mark() {
	if len(m.marks) >= maxMarks {
		m.fail(fmt.Errorf("more than %d marks are open", maxMarks))
	}
	m.marks = append(m.marks, len(m.stack))
}

func (m *machine) put(i uint64) {
	m.count()
	m.memo[i] = m.top()
}

func (m *machine) get(i uint64) {
	v, ok := m.memo[i]
	if !ok {
		m.fail(fmt.Errorf("nothing in the memo under %d", i))
	}
	m.push(v)
}
