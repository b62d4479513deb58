package tensor

import (
	"errors"
	"os"
	"testing"
)

// A tensor is whole when each of its bytes was given once, and takes no more then.
func TestTally(t *testing.T) {
	tally, err := NewTally([]Spec{
		{Key: "a", Type: F32, Shape: []int{2}}, {Key: "none", Type: F32, Shape: []int{0}}, {Key: "more", Type: I8, Shape: []int{3}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for k, test := range []struct {
		do  func() error
		err string
	}{
		{func() error { return tally.Take(0, 5, 4) }, "a: write of 5 bytes at 4, want them within its 8"},
		{func() error { return tally.Take(0, 1, -1) }, "a: write of 1 bytes at -1, want them within its 8"},
		{func() error { return tally.Take(0, 5, 3) }, ""},
		{func() error { return tally.Done(0) }, "a: 5 bytes were written, want 8"},
		{func() error { return tally.Take(0, 3, 0) }, ""},
		{func() error { return tally.Whole() }, "a: not written to its end"},
		{func() error { return tally.Done(0) }, ""},
		{func() error { return tally.Take(0, 1, 0) }, "a: file already closed"},
		{func() error { return tally.Done(0) }, "a: file already closed"},
		{func() error { return tally.Whole() }, "none: not written to its end"},
		{func() error { return tally.Done(1) }, ""},
		{func() error { return tally.Take(2, 2, 0) }, ""},
		{func() error { return tally.Take(2, 2, 1) }, ""},
		{func() error { return tally.Done(2) }, "more: 4 bytes were written, want 3"},
		{func() error { return tally.Whole() }, "more: not written to its end"},
	} {
		err := test.do()
		if test.err == "" && err != nil || test.err != "" && (err == nil || err.Error() != test.err) {
			t.Errorf("%d: %v, want %q", k, err, test.err)
		}
	}
	if err := tally.Take(0, 0, 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("nothing, after it was done: %v, want %v", err, os.ErrClosed)
	}
	if _, err := NewTally([]Spec{{Key: "a"}, {Key: "b"}, {Key: "a"}}); err == nil || err.Error() != "a: two tensors have this key" {
		t.Errorf("one key twice: %v", err)
	}
}
