package pth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"

	"repfuse/internal/pth/pickle"
	"repfuse/internal/tensor"
)

// magic is the first pickle of a file that PyTorch wrote before 1.6.
var magic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)

const legacyProtocol = 1001

func isMagic(v any) bool {
	n, ok := v.(*big.Int)
	return ok && n.Cmp(magic) == 0
}

// openLegacy opens a file of pickles in a row, of which the magic number has been
// read: the protocol, the writer's machine, the object, the keys of the storages.
// The storages follow in the order of the keys, each after its number of elements;
// they are little-endian whatever the writer's machine was.
func openLegacy(r io.ReaderAt, off, size int64) (*archive, error) {
	var parts [4]*pickle.Pickle
	for i, name := range []string{"protocol", "system", "object", "storage keys"} {
		p, err := pickle.Load(r, off, size)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		parts[i], off = p, p.Next
	}
	if v := parts[0].Value; v != int64(legacyProtocol) {
		return nil, fmt.Errorf("protocol %v, want %d", v, legacyProtocol)
	}
	keys, ok := parts[3].Value.(*pickle.List)
	if !ok {
		return nil, fmt.Errorf("storage keys are %s, want a list", pickle.Describe(parts[3].Value))
	}
	types, err := legacyTypes(parts[2].Refs)
	if err != nil {
		return nil, err
	}
	records, err := legacyRecords(r, off, size, keys.Items, types)
	if err != nil {
		return nil, err
	}
	find := func(key string) (record, error) {
		rec, ok := records[key]
		if !ok {
			return record{}, fmt.Errorf("storage %s is missing", key)
		}
		return rec, nil
	}
	return &archive{value: parts[2].Value, text: r, record: find}, nil
}

// legacyTypes is the element type of every storage, which the file does not repeat.
func legacyTypes(refs []*pickle.Persistent) (map[string]tensor.Type, error) {
	types := map[string]tensor.Type{}
	for _, p := range refs {
		s, err := parseStorage(p)
		if err != nil {
			return nil, err
		}
		if old, ok := types[s.key]; ok && old != s.typ {
			return nil, fmt.Errorf("storage %s is of %s and of %s", s.key, old, s.typ)
		}
		types[s.key] = s.typ
	}
	return types, nil
}

func legacyRecords(r io.ReaderAt, off, size int64, keys []any, types map[string]tensor.Type) (map[string]record, error) {
	records := make(map[string]record, len(keys))
	for _, k := range keys {
		key, ok := k.(string)
		typ, known := types[key]
		if !ok || !known || typ == tensor.Invalid {
			return nil, fmt.Errorf("storage %q is of no type that the object names", key)
		}
		if _, twice := records[key]; twice {
			return nil, fmt.Errorf("storage %s is there twice", key)
		}
		var count [8]byte
		if size-off < 8 {
			return nil, fmt.Errorf("storage %s: the file ends before it", key)
		}
		if err := tensor.ReadFull(r, count[:], off); err != nil {
			return nil, err
		}
		off += 8
		n := binary.LittleEndian.Uint64(count[:])
		if n > uint64(size-off)/uint64(typ.Size()) {
			return nil, fmt.Errorf("storage %s: %d elements of %s where %d bytes are left", key, n, typ, size-off)
		}
		bytes := int64(n) * int64(typ.Size())
		records[key] = record{r, off, bytes}
		off += bytes
	}
	if off != size {
		return nil, errors.New("bytes after the last storage")
	}
	return records, nil
}
