package fuse

// cells is a tile of numbers of a field, tap-major. Of the channels of a row it may
// hold some columns only, and of those want only some.
type cells[T any] struct {
	*layout
	at   []place
	val  []T
	cols []int   // the columns held, counted from a row's base, ascending; nil is all
	want [][]int // for every row and tap, which of the columns; nil is all
	n    int     // columns

	owned bool // nobody else reads val
}

func (e *careful[T, F]) newCells(l *layout, at []place, cols []int) *cells[T] {
	c := e.tile(cells[T]{layout: l, at: at, cols: cols, n: l.width, owned: true})
	if cols != nil {
		c.n = len(cols)
	}
	c.val = e.cells.alloc(len(at) * l.taps() * c.n)
	clear(c.val)
	return c
}

// row is the columns at a tap of stored row o.
func (c *cells[T]) row(o, tap int) []T {
	at := (o*c.taps() + tap) * c.n
	return c.val[at : at+c.n]
}

// wanted is the columns that are wanted at a tap of row o, where some are; nil is all.
func (c *cells[T]) wanted(o, tap int) []int {
	if c.want == nil {
		return nil
	}
	if list := c.want[o*c.taps()+tap]; len(list) < c.n {
		return list
	}
	return nil
}

// wants reports whether any column is wanted at a tap of row o.
func (c *cells[T]) wants(o, tap int) bool { return c.want == nil || len(c.want[o*c.taps()+tap]) > 0 }

// wantFor has c, whose row j goes to row at[j].row of dst through n, want those taps whole
// that go where something is wanted.
func (e *careful[T, F]) wantFor(c *cells[T], n node, at []place, dst *cells[T]) {
	list, ok := tables(nil, n)
	if !ok || dst.want == nil {
		return
	}
	for i := len(e.columns); i < c.n; i++ {
		e.columns = append(e.columns, i)
	}
	c.want = make([][]int, len(at)*c.taps())
	for _, table := range list {
		each := len(table) / c.taps()
		for k, to := range table {
			for j, p := range at {
				if dst.wants(p.row, to) {
					c.want[j*c.taps()+k/each] = e.columns[:c.n]
				}
			}
		}
	}
}

// columns is the places from x to y-1 among the columns held of row o that are
// channels in s.
func (c *cells[T]) columns(o int, s span) (x, y int) {
	base := c.at[o].base
	if c.cols == nil {
		return s.lo - base, s.hi - base
	}
	for x < len(c.cols) && base+c.cols[x] < s.lo {
		x++
	}
	y = x
	for y < len(c.cols) && base+c.cols[y] < s.hi {
		y++
	}
	return x, y
}

// channel is the channel of place i among the columns of row o.
func (c *cells[T]) channel(o, i int) int {
	if c.cols == nil {
		return c.at[o].base + i
	}
	return c.at[o].base + c.cols[i]
}
