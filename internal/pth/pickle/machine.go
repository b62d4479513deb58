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

// machine is the state of reading one pickle.
type machine struct {
	in     input
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
	m := &machine{in: input{r: r, at: off, end: end}, from: off, memo: map[uint64]any{}}
	for {
		at := m.in.at
		code, err := m.in.take(1)
		if err != nil {
			return nil, fmt.Errorf("pickle: byte %d: %w", at, err)
		}
		op := &ops[code[0]]
		switch {
		case op.name == "":
			return nil, fmt.Errorf("pickle: byte %d: 0x%02x is no opcode", at, code[0])
		case op.name == "STOP":
			if len(m.stack) != 1 || len(m.marks) > 0 {
				return nil, fmt.Errorf("pickle: byte %d: ends with %d values, want 1", at, len(m.stack))
			}
			return &Pickle{m.stack[0], m.refs, m.in.at}, nil
		case op.run == nil:
			return nil, fmt.Errorf("pickle: byte %d: asks for opcode %s, which data does not need", at, op.name)
		}
		if err := op.run(m); err != nil {
			return nil, fmt.Errorf("pickle: byte %d: %s: %w", at, op.name, err)
		}
	}
}

var errStack = errors.New("nothing on the stack to work on")

func (m *machine) push(v any) error {
	m.values++
	if m.values > maxValues {
		return fmt.Errorf("more than %d values", maxValues)
	}
	if len(m.stack) >= maxStack {
		return fmt.Errorf("more than %d values on the stack", maxStack)
	}
	m.stack = append(m.stack, v)
	return nil
}

// floor is below which the stack may not be taken: the innermost mark.
func (m *machine) floor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

func (m *machine) pop() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, errStack
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

// top is the last value, which stays.
func (m *machine) top() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, errStack
	}
	return m.stack[len(m.stack)-1], nil
}

// popMark takes the values above the innermost mark, and the mark. They are good
// until the next push.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("no MARK is open")
	}
	at := m.floor()
	m.marks = m.marks[:len(m.marks)-1]
	items := m.stack[at:]
	m.stack = m.stack[:at]
	return items, nil
}

func (m *machine) mark() error {
	if len(m.marks) >= maxMarks {
		return fmt.Errorf("more than %d marks are open", maxMarks)
	}
	m.marks = append(m.marks, len(m.stack))
	return nil
}

func (m *machine) put(i uint64) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	if m.values++; m.values > maxValues {
		return fmt.Errorf("more than %d values", maxValues)
	}
	m.memo[i] = v
	return nil
}

func (m *machine) get(i uint64) error {
	v, ok := m.memo[i]
	if !ok {
		return fmt.Errorf("nothing in the memo under %d", i)
	}
	return m.push(v)
}
