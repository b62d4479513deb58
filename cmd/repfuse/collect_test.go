package main

import (
	"io"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// Fusing sets when garbage is collected, and leaves it to GOGC where that is set.
func TestCollectLater(t *testing.T) {
	usual := debug.SetGCPercent(100)
	defer debug.SetGCPercent(usual)
	for _, test := range []struct {
		gogc string
		want int
	}{{"100", 100}, {"", 150}} {
		t.Setenv("GOGC", test.gogc)
		args := []string{"fuse", "--quiet", "../../examples/repvgg-tiny/weights", filepath.Join(t.TempDir(), "out")}
		if code := run(args, nil, io.Discard, io.Discard); code != exitYes {
			t.Fatalf("exit code %d", code)
		}
		if got := debug.SetGCPercent(100); got != test.want {
			t.Errorf("GOGC=%s: %d, want %d", test.gogc, got, test.want)
		}
	}
}
