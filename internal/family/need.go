package family

import "fmt"

// wants holds a block to what its declaration says beside the expressions: keys that
// must be there though no expression reads them, and kernels over equally many
// input channels a group.
func (b *builder) wants(m *Match) {
	for _, key := range b.family.Need {
		if _, ok := b.lookup(key); !ok {
			m.Missing = append(m.Missing, b.whole(key))
		}
	}
	first, width := "", 0
	for _, key := range b.family.Alike {
		t, ok := b.lookup(key)
		switch {
		case !ok || len(t.Shape) < 2 || m.Err != nil:
		case first == "":
			first, width = t.Key, t.Shape[1]
		case t.Shape[1] != width:
			m.Err = fmt.Errorf("%s has shape %v, want %d input channels a group as %s has: side by side, not one after the other", t.Key, t.Shape, width, first)
		}
	}
}
