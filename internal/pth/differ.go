package pth

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/tensor"
)

// maxCompared bounds how many bytes of a state are read to see whether another one
// holds the same numbers.
const maxCompared = 64 << 20

// differ says how another state of the file differs from the one that was taken.
func (a *archive) differ(chosen string, mine []keyed, other state) string {
	says := func(what string) string { return "there is " + other.path + " too, " + what }
	theirs, _, err := a.tensors(other)
	if err != nil {
		return says("which cannot be read: " + err.Error())
	}
	byKey := make(map[string]stored, len(theirs))
	for _, t := range theirs {
		byKey[bare(t.key)] = t.stored
	}
	common, different, size := 0, 0, int64(0)
	for _, t := range mine {
		o, ok := byKey[bare(t.key)]
		if !ok {
			continue
		}
		common++
		if t.same(o) {
			continue
		}
		if t.typ == o.typ && slices.Equal(t.shape, o.shape) {
			if size += t.tensor().Bytes(); size > maxCompared {
				return says(fmt.Sprintf("with %d of the keys of %s; too large to be compared", common, chosen))
			}
			if same, err := sameBytes(t.tensor(), o.tensor()); err == nil && same {
				continue
			}
		}
		different++
	}
	switch {
	case common == 0:
		return says("with other keys than " + chosen)
	case different == 0:
		return says(fmt.Sprintf("with the same numbers under %d of the %d keys of %s", common, len(mine), chosen))
	}
	return says(fmt.Sprintf("with other numbers under %d of the %d keys of %s", different, len(mine), chosen))
}

// bare is a key without the prefixes that wrappers for several devices put before it.
func bare(key string) string {
	for {
		rest, ok := strings.CutPrefix(key, "module.")
		if !ok {
			return key
		}
		key = rest
	}
}

// sameBytes compares the elements of two tensors, bit by bit.
func sameBytes(a, b tensor.Tensor) (bool, error) {
	x, err := a.Open()
	if err != nil {
		return false, err
	}
	defer x.Close()
	y, err := b.Open()
	if err != nil {
		return false, err
	}
	defer y.Close()
	p, q := make([]byte, 1<<16), make([]byte, 1<<16)
	for off, n := int64(0), a.Bytes(); off < n; {
		k := int(min(n-off, int64(len(p))))
		if err := tensor.ReadFull(x, p[:k], off); err != nil {
			return false, err
		}
		if err := tensor.ReadFull(y, q[:k], off); err != nil {
			return false, err
		}
		if !bytes.Equal(p[:k], q[:k]) {
			return false, nil
		}
		off += int64(k)
	}
	return true, nil
}
