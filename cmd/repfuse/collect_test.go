package main

import (
	"io"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// Fusing and verifying set when garbage is collected, and leave it to GOGC where that is
// set.
func TestCollect(t *testing.T) {
	usual := debug.SetGCPercent(100)
	defer debug.SetGCPercent(usual)
	const weights = "../../examples/repvgg-tiny/weights"
	out := filepath.Join(t.TempDir(), "out")
	for _, test := range []struct {
		gogc, command string
		want          int
	}{{"100", "fuse", 100}, {"", "fuse", 150}, {"100", "verify", 100}, {"", "verify", 20}} {
		t.Setenv("GOGC", test.gogc)
		args := []string{test.command, "--quiet", weights, out}
		if test.command == "fuse" {
			args = append(args, "--force")
		}
		if code := run(args, nil, io.Discard, io.Discard); code != exitYes {
			t.Fatalf("exit code %d", code)
		}
		if got := debug.SetGCPercent(100); got != test.want {
			t.Errorf("%s with GOGC=%s: %d, want %d", test.command, test.gogc, got, test.want)
		}
	}
}
