package onnx

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// piece is a part of the file to be written: bytes of the source, or text, or, where
// key is not "", the elements of a tensor that is streamed, which take size bytes.
type piece struct {
	span
	text []byte
	key  string
	size int64
	off  int64 // where it goes
}

func (p piece) len() int64 { return p.to - p.from + int64(len(p.text)) + p.size }

// edit puts pieces in the place of bytes of the source.
type edit struct {
	span
	with []piece
	in   *holder // the innermost message that the bytes are in
}

func (e edit) grows() int64 {
	n := e.from - e.to
	for _, p := range e.with {
		n += p.len()
	}
	return n
}

// apply is the file with the edits made: those that were asked for, and of every
// message that they are in the length, if that changed. Edits do not overlap.
func (m *Model) apply(edits []edit) ([]piece, error) {
	growth := map[*holder]int64{}
	for _, e := range edits {
		e.in.grow(growth, e.grows())
	}
	inner := make([]*holder, 0, len(growth))
	for h := range growth {
		inner = append(inner, h)
	}
	slices.SortFunc(inner, func(a, b *holder) int { return cmp.Compare(b.from, a.from) })
	for _, h := range inner { // the inner ones first: the numbers that say their lengths may grow too
		if growth[h] == 0 {
			continue
		}
		e, err := m.relength(h, growth[h])
		if err != nil {
			return nil, err
		}
		h.around.grow(growth, e.grows())
		edits = append(edits, e)
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	var out []piece
	var from int64
	for _, e := range edits {
		out = append(out, piece{span: span{from, e.from}})
		out = append(out, e.with...)
		from = e.to
	}
	return append(out, piece{span: span{from, m.file.src.size}}), nil
}

// grow adds to what each message around a place grows by.
func (h *holder) grow(to map[*holder]int64, by int64) {
	for ; h.around != nil; h = h.around {
		to[h] += by
	}
}

// relength writes the tag and the length of a message that has grown.
func (m *Model) relength(h *holder, by int64) (edit, error) {
	in := message{m.file.src, h.from, h.at, nil}
	tag, err := in.varint()
	text := binary.AppendUvarint(nil, tag)
	text = binary.AppendUvarint(text, uint64(h.to-h.at+by))
	return edit{span: span{h.from, h.at}, with: []piece{{text: text}}}, err
}

// place is where the elements of a streamed tensor go, size bytes.
type place struct {
	disk.Place
	size int64
}

// The files of a model that is written.
const (
	copied    = -1 // none: the elements are numbers, which are copied with what is around them
	modelFile = 0
	dataFile  = 1 // of external data
)

// lay lays the pieces out; the source's own tensors are cut out of the ranges that
// are copied, since they are streamed.
func lay(pieces []piece, kept []*Tensor, to map[string]place) (out []piece) {
	var size int64
	kept = slices.Clone(kept)
	slices.SortFunc(kept, func(a, b *Tensor) int { return cmp.Compare(a.data.from, b.data.from) })
	add := func(p piece) {
		if p.len() == 0 && p.key == "" {
			return
		}
		p.off = size
		if p.key != "" {
			to[p.key] = place{disk.Place{File: modelFile, Off: size}, p.len()}
		} else {
			out = append(out, p)
		}
		size += p.len()
	}
	k := 0
	for _, p := range pieces {
		for k < len(kept) && kept[k].data.from < p.from {
			k++
		}
		for ; k < len(kept) && kept[k].data.to <= p.to; k++ {
			t := kept[k]
			add(piece{span: span{p.from, t.data.from}})
			add(piece{key: t.Key, size: t.Bytes()})
			p.from = t.data.to
		}
		add(p)
	}
	return out
}

// alignment is where elements may begin in a file of external data: a page, so that it
// can be mapped (onnx's docs/ExternalData.md).
const alignment = 4096

// oneFile says whether the tensors lie in one file of external data.
func oneFile(all []*Tensor) bool {
	return !slices.ContainsFunc(all, func(t *Tensor) bool { return t.external.location != all[0].external.location })
}

// spread gives each of the external tensors its place in one file: its offset in the old one, if
// there was one and the same is to be in it, else they follow each other in the old order.
func spread(kept []*Tensor, fresh []tensor.Spec, same bool, to map[string]place) {
	type bytes struct {
		location     string
		offset, size int64
	}
	var size int64
	kept = slices.Clone(kept)
	slices.SortStableFunc(kept, func(a, b *Tensor) int {
		return cmp.Or(strings.Compare(a.external.location, b.external.location), cmp.Compare(a.external.offset, b.external.offset))
	})
	next := func(n int64) int64 {
		if n == 0 {
			return 0
		}
		off := (size + alignment - 1) / alignment * alignment
		size = off + n
		return off
	}
	shared := map[bytes]int64{}
	for _, t := range kept {
		e := t.external
		b := bytes{e.location, e.offset, e.length}
		off, placed := shared[b]
		switch {
		case same:
			off = e.offset
		case !placed:
			off = next(e.length)
		}
		shared[b] = off
		to[t.Key] = place{disk.Place{File: dataFile, Off: off}, e.length}
	}
	for _, s := range fresh {
		to[s.Key] = place{disk.Place{File: dataFile, Off: next(s.Bytes())}, s.Bytes()}
	}
}
