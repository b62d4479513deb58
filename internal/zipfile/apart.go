package zipfile

import (
	"archive/zip"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"repfuse/internal/tensor"
)

// span is where a member lies in the file, from its own header on.
type span struct {
	name       string
	begin, end int64
}

// Apart is an error where members share bytes, which makes much of a small file, or have
// another name before their bytes than in the directory, where readers differ on which counts.
func Apart(f io.ReaderAt, members []*zip.File) error {
	spans := make([]span, 0, len(members))
	for _, z := range members {
		off, err := z.DataOffset()
		if err != nil {
			return fmt.Errorf("%s: %w", z.Name, err)
		}
		begin, err := header(f, off, z.Name)
		if err != nil {
			return fmt.Errorf("%s: %w", z.Name, err)
		}
		spans = append(spans, span{z.Name, begin, off + int64(z.CompressedSize64)})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.begin, b.begin) })
	for k := range spans {
		if k > 0 && spans[k].begin < spans[k-1].end {
			return fmt.Errorf("%s: shares bytes with %s", spans[k].name, spans[k-1].name)
		}
	}
	return nil
}

// header is where the local header of a member begins whose bytes begin at off: as many bytes
// before as its own fields say (APPNOTE 4.3.7), with the member's name in it.
func header(f io.ReaderAt, off int64, name string) (int64, error) {
	const fixed, usual, most = 30, 64, 1<<16 - 1
	for _, extra := range []int64{usual, most} {
		n := min(off, fixed+int64(len(name))+extra)
		b := make([]byte, n)
		if err := tensor.ReadFull(f, b, off-n); err != nil {
			return 0, err
		}
		for at := len(b) - fixed - len(name); at >= 0; at-- {
			if fits(b[at:], name) {
				return off - n + int64(at), nil
			}
		}
	}
	return 0, errors.New("has another name before its bytes than in the directory of the file")
}

// fits reports whether b is a local header with this name and whatever follows that.
func fits(b []byte, name string) bool {
	le := binary.LittleEndian
	return le.Uint32(b) == 0x04034b50 && int(le.Uint16(b[26:])) == len(name) &&
		len(b) == 30+len(name)+int(le.Uint16(b[28:])) && string(b[30:30+len(name)]) == name
}
