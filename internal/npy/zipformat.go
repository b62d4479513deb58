package npy

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf8"
)

// The fields of a .npz file that are always the same, as numpy and Python's zipfile
// write them.
const (
	zipVersion  = 45             // the first that has zip64
	zipUnix     = 3              // the system whose file modes are meant
	zipMode     = 0o600 << 16    // external attributes
	zipDate     = 1<<5 | 1       // 1 January 1980
	zipUTF8     = 0x800          // flag: the name is UTF-8
	zipLimit    = math.MaxInt32  // above it, zipfile writes 64 bits
	zip64Extra  = 1              // tag of the extra field with 64-bit numbers
	zipOversize = math.MaxUint32 // stands for a number that is there
	zipMembers  = math.MaxUint16 // as many as 16 bits count
	localSize   = 30 + 20        // of a local header without its name
)

// directory is what follows the members.
func (w *zipWriter) directory() []byte {
	le := binary.LittleEndian
	var b []byte
	for i := range w.members {
		b = w.members[i].central(b)
	}
	n, size := len(w.members), int64(len(b))
	if n > zipMembers || size > zipLimit || w.end > zipLimit {
		b = le.AppendUint32(b, 0x06064b50) // zip64 end of the directory
		b = le.AppendUint64(b, 44)         // bytes that follow
		b = le.AppendUint16(b, zipVersion)
		b = le.AppendUint16(b, zipVersion)
		b = le.AppendUint64(b, 0) // this disk, the directory's disk
		b = le.AppendUint64(b, uint64(n))
		b = le.AppendUint64(b, uint64(n))
		b = le.AppendUint64(b, uint64(size))
		b = le.AppendUint64(b, uint64(w.end))
		b = le.AppendUint32(b, 0x07064b50) // where that is
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, uint64(w.end+size))
		b = le.AppendUint32(b, 1) // disks
	}
	b = le.AppendUint32(b, 0x06054b50) // end of the directory
	b = le.AppendUint32(b, 0)
	b = le.AppendUint16(b, uint16(min(n, zipMembers)))
	b = le.AppendUint16(b, uint16(min(n, zipMembers)))
	b = le.AppendUint32(b, uint32(min(size, zipOversize)))
	b = le.AppendUint32(b, uint32(min(w.end, zipOversize)))
	return le.AppendUint16(b, 0) // no comment
}

// common appends what local and central header share: from the version to the CRC.
func (m *zipMember) common(b []byte) []byte {
	le := binary.LittleEndian
	flags := uint16(0)
	if strings.ContainsFunc(m.spec.Key, func(r rune) bool { return r >= utf8.RuneSelf }) {
		flags = zipUTF8
	}
	b = le.AppendUint16(b, zipVersion)
	b = le.AppendUint16(b, flags)
	b = le.AppendUint16(b, 0) // stored
	b = le.AppendUint16(b, 0) // midnight
	b = le.AppendUint16(b, zipDate)
	return le.AppendUint32(b, m.crc)
}

// local is the header before the member.
func (m *zipMember) local() []byte {
	le := binary.LittleEndian
	b := m.common(le.AppendUint32(nil, 0x04034b50))
	b = le.AppendUint32(b, zipOversize)
	b = le.AppendUint32(b, zipOversize)
	b = le.AppendUint16(b, uint16(len(m.spec.Key)+len(Ext)))
	b = le.AppendUint16(b, 20)
	b = append(b, m.spec.Key+Ext...)
	return extra(b, m.size, m.size)
}

// central appends the entry in the directory.
func (m *zipMember) central(b []byte) []byte {
	le := binary.LittleEndian
	size, start := m.size, m.start
	var large []int64
	if size > zipLimit {
		large = append(large, size, size)
		size = zipOversize
	}
	if start > zipLimit {
		large = append(large, start)
		start = zipOversize
	}
	b = le.AppendUint32(b, 0x02014b50)
	b = append(b, zipVersion, zipUnix)
	b = m.common(b)
	b = le.AppendUint32(b, uint32(size))
	b = le.AppendUint32(b, uint32(size))
	b = le.AppendUint16(b, uint16(len(m.spec.Key)+len(Ext)))
	b = le.AppendUint16(b, uint16(len(extra(nil, large...))))
	b = append(b, 0, 0, 0, 0, 0, 0) // no comment, disk 0, no internal attributes
	b = le.AppendUint32(b, zipMode)
	b = le.AppendUint32(b, uint32(start))
	b = append(b, m.spec.Key+Ext...)
	return extra(b, large...)
}

// extra appends the zip64 extra field of the given numbers, if there are any.
func extra(b []byte, numbers ...int64) []byte {
	le := binary.LittleEndian
	if len(numbers) == 0 {
		return b
	}
	b = le.AppendUint16(b, zip64Extra)
	b = le.AppendUint16(b, uint16(8*len(numbers)))
	for _, n := range numbers {
		b = le.AppendUint64(b, uint64(n))
	}
	return b
}
