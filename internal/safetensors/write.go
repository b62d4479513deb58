package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// Create makes a file at path, by create, for the tensors of specs.
// They are laid out by type, the larger alignment first, then by key; metadata that
// is nil is {"format": "pt"}, which the transformers library asks for. The bytes of
// the file follow from specs, metadata and the tensors alone.
func Create(path string, specs []tensor.Spec, metadata map[string]string, create disk.Maker) (tensor.Writer, error) {
	head, at, err := layout(specs, metadata)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	tally, err := tensor.NewTally(specs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	w := &disk.Writer{Tally: tally, Places: make([]disk.Place, len(specs)),
		Begin: func(int) (*disk.File, error) { return create.With(path, head) }}
	for i := range at {
		w.Places[i].Off = at[i]
	}
	return w.StartOpen(1)
}

// layout plans the file: the bytes before the data, and where each tensor begins.
func layout(specs []tensor.Spec, metadata map[string]string) ([]byte, []int64, error) {
	order := make([]int, len(specs))
	for i, s := range specs {
		if err := storable(s); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", s.Key, err)
		}
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(rank(specs[b].Type), rank(specs[a].Type)), cmp.Compare(specs[a].Key, specs[b].Key))
	})
	if metadata == nil {
		metadata = map[string]string{"format": "pt"}
	}
	at := make([]int64, len(specs))
	text, err := headerText(specs, order, at, metadata)
	if err != nil {
		return nil, nil, err
	}
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	head = append(head, text...)
	for i := range at {
		at[i] += int64(len(head))
	}
	return head, at, nil
}

// storable says whether the format can hold a tensor.
func storable(s tensor.Spec) error {
	switch {
	case s.Key == metadataKey:
		return errors.New("the format keeps this name for itself")
	case !utf8.ValidString(s.Key):
		return fmt.Errorf("key %q is not UTF-8", s.Key)
	case rank(s.Type) < 0:
		return fmt.Errorf("safetensors has no element type %s", s.Type)
	case len(s.Shape) > maxRank:
		return fmt.Errorf("%d dimensions, want at most %d", len(s.Shape), maxRank)
	}
	_, err := tensor.Count(s.Shape, s.Type)
	return err
}

// headerText is the JSON, padded with spaces to a multiple of 8 bytes; at gets the
// offsets within the data.
func headerText(specs []tensor.Spec, order []int, at []int64, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	writeMetadata(&b, metadata)
	var off int64
	for _, i := range order {
		s := specs[i]
		at[i] = off
		if off += s.Bytes(); off < 0 {
			return nil, fmt.Errorf("%s: ends beyond byte 2⁶³", s.Key)
		}
		comma(&b)
		writeEntry(&b, s, at[i], off)
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes, want at most %d", b.Len(), maxHeader)
	}
	return b.Bytes(), nil
}

// comma parts the fields of an object from each other.
func comma(b *bytes.Buffer) {
	if last := b.Bytes()[b.Len()-1]; last != '{' && last != '[' {
		b.WriteByte(',')
	}
}

func writeMetadata(b *bytes.Buffer, metadata map[string]string) {
	if len(metadata) == 0 {
		return
	}
	b.WriteString(quote(metadataKey) + ":{")
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		comma(b)
		b.WriteString(quote(k) + ":" + quote(metadata[k]))
	}
	b.WriteByte('}')
}

func writeEntry(b *bytes.Buffer, s tensor.Spec, begin, end int64) {
	b.WriteString(quote(s.Key) + `:{"dtype":"` + dtypes[rank(s.Type)].name + `","shape":[`)
	for _, n := range s.Shape {
		comma(b)
		b.WriteString(strconv.Itoa(n))
	}
	fmt.Fprintf(b, `],"data_offsets":[%d,%d]}`, begin, end)
}

// quote is a JSON string with no more escapes than JSON asks for.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string always has a form
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
