package fuse

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// TestWorkers: several workers at once give the bytes of one, and no tensor is left
// open.
func TestWorkers(t *testing.T) {
	var open atomic.Int64
	e := counted(dbb(rand.New(rand.NewPCG(9, 9)), 48), &open)
	f, err := New(e, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	want := collapsed(t, e, tensor.F32)[:f.Rows()*f.RowBytes()]
	got := make([]byte, len(want))
	var group sync.WaitGroup
	for k := range 4 {
		group.Go(func() {
			w := f.NewWorker(new(Workspace))
			for o := 12 * k; o < 12*(k+1); o += 4 {
				if _, err := w.Kernel(got[o*f.RowBytes():(o+4)*f.RowBytes()], o, o+4); err != nil {
					t.Error(err)
				}
			}
			if _, err := f.Constant(); err != nil {
				t.Error(err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if !bytes.Equal(got, want) {
		t.Error("four workers give other bytes than one")
	}
	if n := open.Load(); n != 0 {
		t.Errorf("%d tensors are still open, want none", n)
	}
}

// counted counts in open how many tensors of a sum of sequences are open.
func counted(e op.Expr, open *atomic.Int64) op.Expr {
	for _, branch := range e.(op.Sum) {
		for k, p := range branch.(op.Seq) {
			if c, ok := p.(op.Conv); ok {
				inner := c.Weight.Open
				c.Weight.Open = func() (tensor.Data, error) {
					d, err := inner()
					open.Add(1)
					return closing{d, open}, err
				}
				branch.(op.Seq)[k] = c
			}
		}
	}
	return e
}

type closing struct {
	tensor.Data
	open *atomic.Int64
}

func (c closing) Close() error {
	c.open.Add(-1)
	return c.Data.Close()
}

// TestUnreadable: a kernel that cannot be opened, or ends too soon, is an error that
// names it, in whichever of its roles it is read.
func TestUnreadable(t *testing.T) {
	broken := errors.New("broken")
	r := rand.New(rand.NewPCG(10, 10))
	good := randomConv(r, "good", 3, 3, 1, 1)
	for _, test := range []struct {
		open func() (tensor.Data, error)
		want string
		is   error
	}{
		{func() (tensor.Data, error) { return nil, broken }, "bad: broken", broken},
		{func() (tensor.Data, error) { return tensor.Section(bytes.NewReader(make([]byte, 30)), 0, 30), nil },
			"bad: the file is shorter than when it was opened", tensor.ErrShort},
	} {
		bad := randomConv(r, "bad", 3, 3, 1, 1)
		bad.Weight.Open = test.open
		for _, e := range []op.Expr{bad, op.Seq{bad, good}, op.Seq{good, bad}, op.Sum{good, bad}, op.Concat{good, op.Seq{good, bad}}} {
			for _, typ := range []tensor.Type{tensor.F32, tensor.F64} {
				if _, err := Collapse(e, typ); !errors.Is(err, test.is) || err.Error() != test.want {
					t.Errorf("%s: error %v, want %s", e, err, test.want)
				}
			}
		}
		f, err := New(op.Seq{op.Shift{Term: 1}, bad}, tensor.F32)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.NewWorker(new(Workspace)).Bias(make([]byte, 12)); !errors.Is(err, test.is) {
			t.Errorf("the bias: error %v, want %s", err, test.want)
		}
	}
}

// TestRowsPerBlock: as many rows as the budget holds, but whole tiles, and never more
// than there are.
func TestRowsPerBlock(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	for _, test := range []struct {
		e                  op.Expr
		budget, rows, tile int
	}{
		{repvgg(r, 96), 1, 52, 52},                               // a row is 96·9·4 bytes stored, 96 sums, 96 Σ|terms| and the unit it starts from, twice
		{repvgg(r, 96), 1 << 20, 96, 52},                         // all there are
		{randomConv(r, "w", 400, 64, 3, 3), 256 << 10, 113, 113}, // 2304 bytes a row, stored, and 8 of working: 113 rows
	} {
		f, err := New(test.e, tensor.F32)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.RowsPerBlock(test.budget); got != test.rows || f.tileRows != test.tile {
			t.Errorf("%d bytes: %d rows in tiles of %d, want %d and %d", test.budget, got, f.tileRows, test.rows, test.tile)
		}
	}
}

// TestMemory: a worker on the largest dense block stays within what the package says.
func TestMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 12))
	n := 640
	f, err := New(dbb(r, n), tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	var space Workspace
	w := f.NewWorker(&space)
	defer w.Close()
	if _, err := w.Kernel(make([]byte, f.tileRows*f.RowBytes()), 0, f.tileRows); err != nil {
		t.Fatal(err)
	}
	got := 8*cap(space.floats.buf) + 16*cap(space.twofold.buf) + 8*len(space.panel) + cap(space.window.b)
	// a row of 9·640 numbers twice in double-double: what is computed again, and what it is made of
	if limit := productBytes + 16*2*9*n + 4*chunkFloats + 64<<10; got > limit {
		t.Errorf("a worker holds %d bytes, want at most %d", got, limit)
	}
}

// TestTurns: workers that take turns at one workspace make the bytes that they make alone.
func TestTurns(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 13))
	e := []op.Expr{repvgg(r, 40), dbb(r, 24)}
	var space Workspace
	var got [2][]byte
	var f [2]*Fused
	var w [2]*Worker
	for k := range e {
		var err error
		if f[k], err = New(e[k], tensor.F32); err != nil {
			t.Fatal(err)
		}
		w[k] = f[k].NewWorker(&space)
		defer w[k].Close()
		got[k] = make([]byte, f[k].Rows()*(f[k].RowBytes()+4))
	}
	for o := 0; o < 40; o += 4 {
		for k := range w {
			if o >= f[k].Rows() {
				continue
			}
			if _, err := w[k].Kernel(got[k][o*f[k].RowBytes():][:4*f[k].RowBytes()], o, o+4); err != nil {
				t.Fatal(err)
			}
			if _, err := w[k].Bias(got[k][f[k].Rows()*f[k].RowBytes():]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for k := range w {
		if !bytes.Equal(got[k], collapsed(t, e[k], tensor.F32)) {
			t.Errorf("%s: other bytes than alone", e[k])
		}
	}
}
