package npy

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
	"repfuse/internal/zipfile"
)

// CreateZip makes a writer of a .npz file, which create makes, as numpy.savez
// writes it: members KEY.npy, stored, each with the zip64 extra, in the order of specs, dated
// 1980. All offsets are known before the first byte is written.
func CreateZip(path string, specs []tensor.Spec, create disk.Maker) (tensor.Writer, error) {
	members := make([]zipfile.Member, len(specs))
	for i, s := range specs {
		name := s.Key + Ext
		switch {
		case s.Key == "" || !utf8.ValidString(name) || strings.Contains(name, "\x00"):
			return nil, fmt.Errorf("key %q cannot be the name of a member", s.Key)
		case len(name) > math.MaxUint16:
			return nil, fmt.Errorf("key of %d bytes cannot be the name of a member, want at most %d", len(s.Key), math.MaxUint16-len(Ext))
		}
		header, err := headerOf(s)
		if err != nil {
			return nil, err
		}
		members[i] = zipfile.Member{Name: name, Head: header, Tensor: i}
	}
	return zipfile.NumPy.Create(path, members, specs, create)
}
