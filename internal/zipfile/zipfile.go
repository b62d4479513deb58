// Package zipfile writes zip archives of tensors as numpy and as PyTorch write them, to the byte:
// members that are stored as they are, whose places are known before the first byte is written. Of archives that are
// read it says whether their members lie apart.
package zipfile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// Style is what programs write differently.
type Style struct {
	version, host uint16 // that is needed to read any member; the system whose file modes are meant
	mode          uint32 // of the files
	plain         bool   // names of ASCII are not marked as UTF-8
	wide          bool   // the header before each member has its sizes in 64 bits
	largest       int64  // number that takes 32 bits
	most          int    // members that take 16 bits
	align         int64  // what bytes begin at a multiple of, by a field FB that is filled up with Z; 0 for any
}

// The styles of numpy.savez and torch.save.
var (
	NumPy = Style{version: version64, host: 3, mode: 0o600 << 16, plain: true, wide: true, largest: math.MaxInt32, most: math.MaxUint16}
	Torch = Style{version: 20, largest: math.MaxUint32 - 1, most: math.MaxUint16 - 1, align: 64}
)

const (
	version64 = 45       // the first that has numbers of 64 bits
	localSize = 30       // bytes of the header before a member, without its name
	dosDate   = 1<<5 | 1 // 1980-01-01, the first there is
	instead   = math.MaxUint32
)

// Member is a file of the archive: bytes that are known, and behind them those of a tensor by its place in
// the list, if it is not negative.
type Member struct {
	Name   string
	Head   []byte
	Tensor int

	start, data, size int64 // of its header and its bytes in the file
	crc               uint32
}

// Create makes, by create, an archive at path of the members in their order.
func (s Style) Create(path string, members []Member, specs []tensor.Spec, create disk.Maker) (tensor.Writer, error) {
	tally, err := tensor.NewTally(specs)
	if err != nil {
		return nil, err
	}
	a, err := s.layout(members, specs)
	if err != nil {
		return nil, err
	}
	w := &disk.Writer{
		Tally: tally, Places: make([]disk.Place, len(specs)),
		Begin: func(int) (*disk.File, error) { return create(path) },
		End:   func(f *disk.File, crcs []uint32) error { return a.write(f, specs, crcs) },
	}
	for _, m := range a.members {
		if m.Tensor >= 0 {
			w.Places[m.Tensor].Off = m.data + int64(len(m.Head))
		}
	}
	return w.StartOpen(1)
}

// archive is the members and where they lie.
type archive struct {
	Style
	members []Member
	end     int64 // of the last
}

func (s Style) layout(members []Member, specs []tensor.Spec) (*archive, error) {
	const headers = 1 << 20 // more than any have
	a := &archive{Style: s, members: members}
	for k := range members {
		m := &members[k]
		m.start, m.size = a.end, int64(len(m.Head))
		if m.Tensor >= 0 {
			spec := specs[m.Tensor]
			if spec.Bytes() > math.MaxInt64-headers-m.size-m.start {
				return nil, fmt.Errorf("%s: the file would have more bytes than an int64 counts", spec.Key)
			}
			m.size += spec.Bytes()
		}
		m.data = m.start + localSize + int64(len(m.Name)+len(a.sizes(m)))
		if s.align > 0 {
			m.data = (m.data + 4 + s.align - 1) / s.align * s.align // 4 of FB itself
		}
		a.end = m.data + m.size
	}
	return a, nil
}

// write writes all but the tensors, of which it has the CRCs.
func (a *archive) write(f io.WriterAt, specs []tensor.Spec, crcs []uint32) error {
	var directory []byte
	for k := range a.members {
		m := &a.members[k]
		m.crc = crc32.ChecksumIEEE(m.Head)
		if m.Tensor >= 0 {
			m.crc = tensor.CombineCRC(m.crc, crcs[m.Tensor], specs[m.Tensor].Bytes())
		}
		if _, err := f.WriteAt(append(a.local(m), m.Head...), m.start); err != nil {
			return err
		}
		directory = a.central(directory, m)
	}
	_, err := f.WriteAt(a.trailer(directory), a.end)
	return err
}

// number is one of 32 bits, or what stands there instead of a larger one.
func (s Style) number(n int64) uint32 {
	if n > s.largest {
		return instead
	}
	return uint32(n)
}

// large is the extra field of numbers that need 64 bits, none where there are none.
func large(numbers ...int64) (b []byte) {
	if len(numbers) == 0 {
		return nil
	}
	le := binary.LittleEndian
	b = le.AppendUint16(le.AppendUint16(nil, 1), uint16(8*len(numbers)))
	for _, n := range numbers {
		b = le.AppendUint64(b, uint64(n))
	}
	return b
}

// sizes is the extra field of the header before a member.
func (s Style) sizes(m *Member) []byte {
	if s.wide || m.size > s.largest {
		return large(m.size, m.size)
	}
	return nil
}

// fields is what both headers of a member have, from the version that is needed on to the length of its name.
func (s Style) fields(b []byte, version uint16, size uint32, m *Member) []byte {
	le := binary.LittleEndian
	flags := uint16(1 << 11) // the name is UTF-8
	if s.plain && !strings.ContainsFunc(m.Name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		flags = 0
	}
	b = le.AppendUint16(le.AppendUint16(b, version), flags)
	b = le.AppendUint16(b, 0) // stored
	b = le.AppendUint16(le.AppendUint16(b, 0), dosDate)
	b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, m.crc), size), size)
	return le.AppendUint16(b, uint16(len(m.Name)))
}

// needs is the version that a header with these extra fields needs.
func (s Style) needs(extra []byte) uint16 {
	if len(extra) > 0 {
		return version64
	}
	return s.version
}

// local is the header before the member's bytes.
func (s Style) local(m *Member) []byte {
	le := binary.LittleEndian
	extra, size := s.sizes(m), s.number(m.size)
	if s.wide {
		size = instead
	}
	b := s.fields([]byte("PK\x03\x04"), s.needs(extra), size, m)
	if s.align > 0 {
		fill := int(m.data-m.start) - localSize - len(m.Name) - len(extra) - 4
		extra = append(le.AppendUint16(append(extra, "FB"...), uint16(fill)), strings.Repeat("Z", fill)...)
	}
	b = le.AppendUint16(b, uint16(len(extra)))
	return append(append(b, m.Name...), extra...)
}

// central appends the member's entry in the directory at the end.
func (s Style) central(b []byte, m *Member) []byte {
	le := binary.LittleEndian
	var numbers []int64
	if m.size > s.largest {
		numbers = append(numbers, m.size, m.size)
	}
	if m.start > s.largest {
		numbers = append(numbers, m.start)
	}
	extra := large(numbers...)
	version := s.needs(extra)
	b = s.fields(le.AppendUint16(append(b, "PK\x01\x02"...), s.host<<8|version), version, s.number(m.size), m)
	b = le.AppendUint16(b, uint16(len(extra)))
	b = append(b, 0, 0, 0, 0, 0, 0) // no comment, the first disk, no internal attributes
	b = le.AppendUint32(le.AppendUint32(b, s.mode), s.number(m.start))
	return append(append(b, m.Name...), extra...)
}

// trailer is the directory and what says where it is.
func (a *archive) trailer(b []byte) []byte {
	le := binary.LittleEndian
	n, size, at := len(a.members), int64(len(b)), a.end
	if n > a.most || size > a.largest || at > a.largest {
		b = le.AppendUint64(append(b, "PK\x06\x06"...), 44) // bytes that follow
		b = le.AppendUint16(le.AppendUint16(b, version64), version64)
		b = append(b, make([]byte, 8)...) // disks
		b = le.AppendUint64(le.AppendUint64(b, uint64(n)), uint64(n))
		b = le.AppendUint64(le.AppendUint64(b, uint64(size)), uint64(at))
		b = append(append(b, "PK\x06\x07"...), make([]byte, 4)...)
		b = le.AppendUint32(le.AppendUint64(b, uint64(at+size)), 1)
	}
	b = append(append(b, "PK\x05\x06"...), make([]byte, 4)...)
	count := uint16(min(n, math.MaxUint16))
	b = le.AppendUint16(le.AppendUint16(b, count), count)
	b = le.AppendUint32(le.AppendUint32(b, uint32(min(size, instead))), uint32(min(at, instead)))
	return append(b, 0, 0) // no comment
}
