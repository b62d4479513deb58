package fuse

// heldBytes is the size up to which an expression's kernels stay in memory that are read
// again for every tile: reading is a copy, which takes as long as a product of few rows.
var heldBytes = 1 << 20 // but in tests

// Shelf is where kernels are held, by as many expressions at a time as there are places. Where
// all are taken, kernels are read for every tile until one is free.
type Shelf chan []byte

// NewShelf has so many places. They take no memory before they are used, and then as much of
// it as was ever held there.
func NewShelf(places int) Shelf {
	s := make(Shelf, places)
	for range places {
		s <- nil
	}
	return s
}

// take is a place for n bytes, nil if there is none. Who has no shelf has a place of its own.
func (s Shelf) take(n int) []byte {
	if s == nil {
		return make([]byte, n)
	}
	select {
	case b := <-s:
		if b == nil {
			b = make([]byte, heldBytes)
		}
		return b
	default:
		return nil
	}
}

func (s Shelf) give(b []byte) {
	if s != nil && b != nil {
		s <- b
	}
}

// shelve says which kernels are to be held, and where in the expression's place.
func (f *Fused) shelve() {
	for _, c := range f.convs {
		if c.dense && c.bytes() <= heldBytes-f.holds {
			c.holds, c.shelf = true, f.holds
			f.holds += c.bytes()
		}
	}
}

// shelved is where the expression's kernels are held; nil if there is no place at present.
func (f *Fused) shelved() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held == nil {
		f.held = f.Shelf.take(f.holds)
	}
	return f.held
}

// multiplied makes what products with n need, n.norms and, as soon as there is a place, the
// stored rows, which it gives; nil where they are not held.
func (f *Fused) multiplied(n *conv) (held []byte, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.norms != nil && (n.held != nil || !n.holds) {
		return n.held, nil
	}
	s := n.scanner()
	defer s.release()
	if n.holds && n.held == nil {
		if place := f.shelved(); place != nil {
			b := place[n.shelf:][:n.bytes()]
			if err := s.read(b, 0); err != nil {
				return nil, err
			}
			n.held = b
		}
	}
	if s.held = n.held; n.norms == nil {
		err = n.measure(s)
	}
	return n.held, err
}

// bytes is the stored size of the kernel.
func (n *conv) bytes() int { return n.rows * n.cells * n.weight.Type.Size() }
