package pth

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"repfuse/internal/tensor"
)

// storageNames is the class of storage for each element type that every PyTorch
// since 1.6 can read.
var storageNames = map[tensor.Type]string{
	tensor.F64: "DoubleStorage", tensor.F32: "FloatStorage", tensor.F16: "HalfStorage", tensor.BF16: "BFloat16Storage",
	tensor.I64: "LongStorage", tensor.I32: "IntStorage", tensor.I16: "ShortStorage", tensor.I8: "CharStorage",
	tensor.U8: "ByteStorage", tensor.Bool: "BoolStorage",
	tensor.C64: "ComplexFloatStorage", tensor.C128: "ComplexDoubleStorage",
}

// pickler writes pickles of protocol 2, of which it needs a few opcodes.
type pickler struct {
	b    []byte
	memo map[string]int // of globals
}

// stateDict is the pickle of an OrderedDict of tensors, tensor i in storage "i"; under a key of a
// dict where wrap is not "".
func stateDict(wrap string, specs []tensor.Spec) ([]byte, error) {
	if !utf8.ValidString(wrap) {
		return nil, fmt.Errorf("key %q is not UTF-8", wrap)
	}
	p := &pickler{b: []byte{0x80, 2}, memo: map[string]int{}}
	if wrap != "" {
		p.op('}')
		p.text(wrap)
	}
	p.orderedDict()
	if len(specs) > 0 {
		p.op('(')
	}
	for i, s := range specs {
		if err := storable(s); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Key, err)
		}
		p.text(s.Key)
		p.tensor(i, s)
	}
	if len(specs) > 0 {
		p.op('u')
	}
	if wrap != "" {
		p.op('s')
	}
	p.op('.')
	return p.b, nil
}

// storable says whether a state dict can hold a tensor.
func storable(s tensor.Spec) error {
	switch {
	case !utf8.ValidString(s.Key):
		return fmt.Errorf("key %q is not UTF-8", s.Key)
	case storageNames[s.Type] == "":
		return fmt.Errorf("a .pth that every PyTorch reads has no storage of %s", s.Type)
	case len(s.Shape) > maxRank:
		return fmt.Errorf("%d dimensions, want at most %d", len(s.Shape), maxRank)
	}
	_, err := tensor.Count(s.Shape, s.Type)
	return err
}

// tensor is _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks).
func (p *pickler) tensor(i int, s tensor.Spec) {
	p.global("torch._utils", "_rebuild_tensor_v2")
	p.op('(')
	p.op('(') // the storage: its class, key, device and number of elements
	p.text("storage")
	p.global("torch", storageNames[s.Type])
	p.text(strconv.Itoa(i))
	p.text("cpu")
	p.integer(tensor.Elems(s.Shape))
	p.op('t')
	p.op('Q')
	p.integer(0)
	p.tuple(s.Shape)
	p.tuple(tensor.InOrder(s.Shape, false))
	p.op(0x89)
	p.orderedDict()
	p.op('t')
	p.op('R')
}

func (p *pickler) op(code byte) { p.b = append(p.b, code) }

func (p *pickler) orderedDict() {
	p.global("collections", "OrderedDict")
	p.op(')')
	p.op('R')
}

// global is a name, which the memo keeps from being repeated.
func (p *pickler) global(module, name string) {
	full := module + "\n" + name + "\n"
	if i, ok := p.memo[full]; ok {
		p.b = append(p.b, 'h', byte(i))
		return
	}
	i := len(p.memo)
	p.memo[full] = i // of as many names as there are types, and two
	p.b = append(append(append(p.b, 'c'), full...), 'q', byte(i))
}

func (p *pickler) text(s string) {
	p.b = binary.LittleEndian.AppendUint32(append(p.b, 'X'), uint32(len(s)))
	p.b = append(p.b, s...)
}

func (p *pickler) integer(n int) {
	switch {
	case n >= 0 && n <= math.MaxUint8:
		p.b = append(p.b, 'K', byte(n))
	case n <= math.MaxInt32:
		p.b = binary.LittleEndian.AppendUint32(append(p.b, 'J'), uint32(n))
	default:
		p.b = binary.LittleEndian.AppendUint64(append(p.b, 0x8a, 8), uint64(n))
	}
}

func (p *pickler) tuple(list []int) {
	if len(list) == 0 {
		p.op(')')
		return
	}
	p.op('(')
	for _, n := range list {
		p.integer(n)
	}
	p.op('t')
}
