//go:build linux

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"repfuse/internal/golden"
	"repfuse/internal/npy"
	"repfuse/internal/tensor"
)

// command builds repfuse as a program of its own, for what a test in this process
// cannot do to itself: other rights, a signal, a full disk.
func command(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "repfuse")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

func weights(t *testing.T, dir, name string) {
	t.Helper()
	golden.Write(t, filepath.Join(dir, "weights"), golden.Load(t, name).Train)
}

// wantNothing fails where anything but the given names is in dir, hidden files too.
func wantNothing(t *testing.T, dir string, but ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.Contains(" "+strings.Join(but, " ")+" ", " "+e.Name()+" ") {
			t.Errorf("%s was left behind in %s", e.Name(), dir)
		}
	}
}

func root(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: to mount a small file system, or to become nobody")
	}
}

// A disk that fills up is an error, and nothing is left on it.
func TestDiskFull(t *testing.T) {
	root(t)
	dir := t.TempDir()
	repfuse := command(t, dir)
	weights(t, dir, "repvgg-model-tiny")
	small := filepath.Join(dir, "small")
	if err := os.Mkdir(small, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", small, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(small, 0) })
	c := exec.Command(repfuse, "fuse", filepath.Join(dir, "weights"), filepath.Join(small, "out"))
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Run(); c.ProcessState.ExitCode() != exitError {
		t.Errorf("exit status %v (%v), want %d", c.ProcessState, err, exitError)
	}
	if !strings.Contains(stderr.String(), filepath.Join(small, "out")+": ") || !strings.Contains(stderr.String(), "no space left on device") || strings.Contains(stderr.String(), "-tmp") || strings.Count(stderr.String(), "\n") > 2 {
		t.Errorf("stderr %q, want one line that says no space left on device for out", &stderr)
	}
	wantNothing(t, small)
}

// A page or a witness for which there is no room leaves what was there, and nothing else.
func TestNoHalfPage(t *testing.T) {
	dir := t.TempDir()
	repfuse := command(t, dir)
	weights(t, dir, "repvgg-model-tiny")
	if out, err := exec.Command(repfuse, "fuse", filepath.Join(dir, "weights"), filepath.Join(dir, "out")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for flag, blocks := range map[string]string{"--report": "16", "--witness": "0"} {
		file := filepath.Join(dir, "file"+flag)
		if err := os.WriteFile(file, []byte("old"), 0o666); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("sh", "-c", `ulimit -f `+blocks+`; exec "$@"`, "sh", repfuse, "verify", "-q", "-f", flag, file)
		c.Dir = dir
		out, _ := c.CombinedOutput()
		if c.ProcessState.ExitCode() != exitError || !strings.Contains(string(out), "file too large") {
			t.Errorf("%s: %v: %q, want exit status %d and the reason", flag, c.ProcessState, out, exitError)
		}
		if b, err := os.ReadFile(file); err != nil || string(b) != "old" {
			t.Errorf("%s: %d bytes are there (%v), want the old file", flag, len(b), err)
		}
	}
	wantNothing(t, dir, "repfuse", "weights", "out", "file--report", "file--witness")
}

// Without the right to write there is an error and nothing else.
func TestNoPermission(t *testing.T) {
	root(t)
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	repfuse := command(t, dir)
	weights(t, dir, "repvgg-block-s1")
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	for _, test := range []struct {
		name  string
		lock  string // what nobody may not read
		error string
	}{
		{"write", "", "permission denied"},
		{"read", "weights/rbr_dense.conv.weight.npy", "permission denied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.lock != "" {
				if err := os.Chmod(filepath.Join(dir, test.lock), 0); err != nil {
					t.Fatal(err)
				}
			}
			c := exec.Command(repfuse, "fuse", "weights", "out")
			c.Dir, c.SysProcAttr = dir, nobody
			out, _ := c.CombinedOutput()
			if c.ProcessState.ExitCode() != exitError || !strings.Contains(string(out), test.error) {
				t.Errorf("%v: %q, want exit status %d and %q", c.ProcessState, out, exitError, test.error)
			}
			wantNothing(t, dir, "repfuse", "weights")
		})
	}
}

// A DST whose files another owns is refused before the work, and is as it was.
func TestNotOurs(t *testing.T) {
	root(t)
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	repfuse := command(t, dir)
	weights(t, dir, "repvgg-block-s1")
	if out, err := exec.Command(repfuse, "fuse", filepath.Join(dir, "weights"), filepath.Join(dir, "out")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(repfuse, "fuse", "-f", "weights", "out")
	c.Dir, c.SysProcAttr = dir, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, _ := c.CombinedOutput()
	if c.ProcessState.ExitCode() != exitError || !strings.Contains(string(out), "cannot be removed: permission denied") {
		t.Errorf("%v: %q, want exit status %d and why", c.ProcessState, out, exitError)
	}
	wantNothing(t, dir, "repfuse", "weights", "out")
}

// An interrupt in the middle ends the work at once and leaves nothing.
func TestInterrupt(t *testing.T) {
	for _, by := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(by.String(), func(t *testing.T) { interrupt(t, by) })
	}
}

// A hangup does not end what nohup runs.
func TestNohup(t *testing.T) {
	dir := t.TempDir()
	command(t, dir)
	weights(t, dir, "repvgg-model-tiny")
	sparse(t, filepath.Join(dir, "weights", "large.weight.npy"), 16<<20)
	c := exec.Command("sh", "-c", "trap '' HUP; ./repfuse fuse -q weights out & for k in 1 2 3 4 5 6 7 8; do kill -HUP $!; sleep 0.02; done; wait $!")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func interrupt(t *testing.T, by syscall.Signal) {
	dir := t.TempDir()
	repfuse := command(t, dir)
	weights(t, dir, "repvgg-model-tiny")
	sparse(t, filepath.Join(dir, "weights", "huge.weight.npy"), 2<<30)
	c := exec.Command(repfuse, "fuse", "weights", "out")
	c.Dir = dir
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(150 * time.Millisecond)
	begun := time.Now()
	if err := c.Process.Signal(by); err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(stderr)
	c.Wait()
	// Removing what was written takes the file system some time of its own, and the
	// machine may be busy; three seconds are still below what writing 8 GiB takes.
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("ended %v after the interrupt, want it at once", took)
	}
	want := 128 + int(by)
	if c.ProcessState.ExitCode() != want || string(text) != "repfuse: interrupted, nothing is left behind\n" {
		t.Errorf("%v: %q, want exit status %d and a word about the interrupt", c.ProcessState, text, want)
	}
	wantNothing(t, dir, "repfuse", "weights")
}

// sparse writes a .npy file of float32 zeros that takes no room.
func sparse(t *testing.T, path string, shape ...int) {
	t.Helper()
	b, err := npy.AppendHeader(nil, tensor.F32, shape)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o777)
	}
	if err == nil {
		err = os.WriteFile(path, b, 0o666)
	}
	if err == nil {
		err = os.Truncate(path, int64(len(b)+4*tensor.Elems(shape)))
	}
	if err != nil {
		t.Fatal(err)
	}
}
