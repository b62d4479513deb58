package pth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strings"
)

// The layout of what torch.save writes: records stored as they are, each at a
// multiple of 64 bytes, by an extra field FB of its header that is filled up with Z.
const (
	alignment   = 64
	localHeader = 30       // bytes, before the name
	dosDate     = 1<<5 | 1 // 1980-01-01, the first there is
	zip64Needed = math.MaxUint32
)

// plan is the records of an archive and where they lie.
type plan struct {
	root    string
	records []planned
	end     int64 // of the last record
}

// planned is one record.
type planned struct {
	name   string
	header int64 // where its local header begins
	data   int64 // where its bytes begin
	size   int64
	crc    uint32
	bytes  []byte // of a record whose bytes are known, else nil
}

// add puts a record after the others.
func (p *plan) add(name string, size int64, bytes []byte) {
	r := planned{name: p.root + "/" + name, header: p.end, size: size, bytes: bytes, crc: crc32.ChecksumIEEE(bytes)}
	at := r.header + localHeader + int64(len(r.name)) + int64(len(r.zip64Sizes())) + 4 // and of FB its own 4 bytes
	r.data = (at + alignment - 1) / alignment * alignment
	p.end = r.data + size
	p.records = append(p.records, r)
}

func (p *plan) check() error {
	switch {
	case p.root == "" || strings.ContainsAny(p.root, "/\\\x00") || len(p.root) > 255:
		return fmt.Errorf("archive name %q, want a plain name", p.root)
	case p.end < 0:
		return errors.New("more than 2⁶³ bytes")
	}
	return nil
}

// zip64Sizes is the extra field of a record whose size does not fit 32 bits.
func (r *planned) zip64Sizes() []byte {
	if r.size < zip64Needed {
		return nil
	}
	le := binary.LittleEndian
	b := le.AppendUint16(le.AppendUint16(nil, 1), 16)
	return le.AppendUint64(le.AppendUint64(b, uint64(r.size)), uint64(r.size))
}

// fields is what the local and the central header have in common, from the version
// that is needed on to the two sizes.
func (r *planned) fields(b []byte, big bool) []byte {
	le := binary.LittleEndian
	version, size := uint16(20), uint32(min(r.size, zip64Needed))
	if big {
		version = 45
	}
	b = le.AppendUint16(b, version)
	b = le.AppendUint16(b, 1<<11) // names are UTF-8
	b = le.AppendUint16(b, 0)     // stored
	b = le.AppendUint16(le.AppendUint16(b, 0), dosDate)
	b = le.AppendUint32(b, r.crc)
	return le.AppendUint32(le.AppendUint32(b, size), size)
}

// local is the header before the record's bytes, as long as it has to be.
func (r *planned) local() []byte {
	le := binary.LittleEndian
	sizes := r.zip64Sizes()
	b := append([]byte(nil), "PK\x03\x04"...)
	b = r.fields(b, len(sizes) > 0)
	b = le.AppendUint16(b, uint16(len(r.name)))
	extra := int(r.data-r.header) - localHeader - len(r.name)
	b = le.AppendUint16(b, uint16(extra))
	b = append(append(b, r.name...), sizes...)
	fill := extra - len(sizes) - 4
	b = le.AppendUint16(append(b, "FB"...), uint16(fill))
	return append(b, strings.Repeat("Z", fill)...)
}

// central is the record's entry in the directory at the end.
func (r *planned) central(b []byte) []byte {
	le := binary.LittleEndian
	var extra []byte
	if r.size >= zip64Needed {
		extra = le.AppendUint64(le.AppendUint64(extra, uint64(r.size)), uint64(r.size))
	}
	if r.header >= zip64Needed {
		extra = le.AppendUint64(extra, uint64(r.header))
	}
	version := uint16(20)
	if extra != nil {
		version = 45
		extra = append(le.AppendUint16(le.AppendUint16(nil, 1), uint16(len(extra))), extra...)
	}
	b = append(b, "PK\x01\x02"...)
	b = le.AppendUint16(b, version)
	b = r.fields(b, extra != nil)
	b = le.AppendUint16(b, uint16(len(r.name)))
	b = le.AppendUint16(b, uint16(len(extra)))
	b = append(b, make([]byte, 2+2+2+4)...) // no comment, the first disk, no attributes
	b = le.AppendUint32(b, uint32(min(r.header, zip64Needed)))
	return append(append(b, r.name...), extra...)
}

// write writes everything but the bytes that are not known to the plan.
func (p *plan) write(w io.WriterAt) error {
	var directory []byte
	for i := range p.records {
		r := &p.records[i]
		if _, err := w.WriteAt(append(r.local(), r.bytes...), r.header); err != nil {
			return err
		}
		directory = r.central(directory)
	}
	_, err := w.WriteAt(p.trailer(directory), p.end)
	return err
}

// trailer is the directory and what says where it is.
func (p *plan) trailer(directory []byte) []byte {
	le := binary.LittleEndian
	n, size, at := uint64(len(p.records)), uint64(len(directory)), uint64(p.end)
	b := directory
	if n >= math.MaxUint16 || size >= zip64Needed || at >= zip64Needed {
		b = append(b, "PK\x06\x06"...)
		b = le.AppendUint64(b, 44)
		b = le.AppendUint16(le.AppendUint16(b, 45), 45)
		b = append(b, make([]byte, 8)...) // disks
		b = le.AppendUint64(le.AppendUint64(b, n), n)
		b = le.AppendUint64(le.AppendUint64(b, size), at)
		b = append(append(b, "PK\x06\x07"...), make([]byte, 4)...)
		b = le.AppendUint64(b, at+size)
		b = le.AppendUint32(b, 1)
	}
	b = append(append(b, "PK\x05\x06"...), make([]byte, 4)...)
	b = le.AppendUint16(le.AppendUint16(b, uint16(min(n, math.MaxUint16))), uint16(min(n, math.MaxUint16)))
	b = le.AppendUint32(le.AppendUint32(b, uint32(min(size, zip64Needed))), uint32(min(at, zip64Needed)))
	return append(b, 0, 0) // no comment
}
