package checkpoint

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"repfuse/internal/hint"
	"repfuse/internal/tensor"
)

// small is two tensors, the second empty.
var small = []tensor.Spec{
	{Key: "a.weight", Type: tensor.F32, Shape: []int{2, 2}},
	{Key: "b", Type: tensor.I64, Shape: []int{0, 3}},
}

// fill writes all tensors of a small output, the first byte being b.
func fill(t *testing.T, out *Output, b byte) {
	t.Helper()
	p := make([]byte, 16)
	p[0] = b
	must(t, out.WriteAt(0, p[8:], 8))
	must(t, out.WriteAt(0, p[:8], 0))
	must(t, out.Done(0, crc32.ChecksumIEEE(p)))
	must(t, out.Done(1, 0))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// make writes a small checkpoint with a record.
func write(t *testing.T, path string, o CreateOptions, b byte) {
	t.Helper()
	out, err := Create(path, small, o)
	must(t, err)
	defer out.Abort()
	fill(t, out, b)
	must(t, out.AddFile(Record, []byte{'{', b, '}'}))
	must(t, out.Commit())
}

// first is the first byte of the first tensor.
func first(t *testing.T, path string) byte {
	t.Helper()
	c, err := Open(path, Options{})
	must(t, err)
	defer c.Close()
	a, err := c.Lookup("a.weight")
	must(t, err)
	b, err := a.ReadAll()
	must(t, err)
	return b[0]
}

// names lists everything below a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir {
			rel, _ := filepath.Rel(dir, path)
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	}))
	return all
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("in the directory: %q, want %q", got, want)
	}
}

// each destination is written, refused, replaced and read again the same way.
var places = []struct {
	name  string
	after []string // what is there when it is written
}{
	{"out", []string{"out", "out/a.weight.npy", "out/b.npy", "out/repfuse.json"}},
	{"out.safetensors", []string{"out.safetensors", "out.safetensors.repfuse.json"}},
	{"out.npz", []string{"out.npz", "out.npz.repfuse.json"}},
	{"out.v2.pth", []string{"out.v2.pth", "out.v2.pth.repfuse.json"}},
}

func TestWriteAndReplace(t *testing.T) {
	for _, place := range places {
		for _, sync := range []bool{false, true} {
			t.Run(fmt.Sprint(place.name, sync), func(t *testing.T) {
				dir := t.TempDir()
				dst := filepath.Join(dir, place.name)
				write(t, dst, CreateOptions{Sync: sync}, 1)
				wantNames(t, dir, place.after...)
				_, err := Create(dst, small, CreateOptions{})
				if err == nil || hint.Of(err) != "--force replaces it" {
					t.Errorf("a second time: %v, hint %q", err, hint.Of(err))
				}
				if got := first(t, dst); got != 1 {
					t.Errorf("after the refusal byte %d, want 1", got)
				}
				write(t, dst, CreateOptions{Force: true, Sync: sync}, 2)
				wantNames(t, dir, place.after...)
				if got := first(t, dst); got != 2 {
					t.Errorf("after --force byte %d, want 2", got)
				}
			})
		}
	}
}

// An old record must not stay beside a new file that has none.
func TestStaleRecord(t *testing.T) {
	dir := t.TempDir()
	dst := filepath.Join(dir, "out.safetensors")
	write(t, dst, CreateOptions{}, 1)
	out, err := Create(dst, small, CreateOptions{Force: true})
	must(t, err)
	fill(t, out, 2)
	must(t, out.Commit())
	wantNames(t, dir, "out.safetensors")
}

func TestAbort(t *testing.T) {
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			dir := t.TempDir()
			dst := filepath.Join(dir, place.name)
			write(t, dst, CreateOptions{}, 1)
			out, err := Create(dst, small, CreateOptions{Force: true})
			must(t, err)
			must(t, out.WriteAt(0, []byte{9}, 0))
			must(t, out.AddFile(Record, nil))
			for range 2 { // an unfinished checkpoint is not committed, however often it is asked for
				if err := out.Commit(); err == nil {
					t.Error("an unfinished checkpoint was committed")
				}
			}
			out.Abort()
			wantNames(t, dir, place.after...)
			if got := first(t, dst); got != 1 {
				t.Errorf("byte %d, want 1", got)
			}
		})
	}
}

func TestEmptyDirectoryIsFine(t *testing.T) {
	dir := t.TempDir()
	dst := filepath.Join(dir, "out")
	must(t, os.Mkdir(dst, 0o777))
	must(t, os.Symlink("out", filepath.Join(dir, "link")))
	write(t, filepath.Join(dir, "link"), CreateOptions{}, 3)
	if info, err := os.Lstat(filepath.Join(dir, "link")); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link to the destination is gone")
	}
	if got := first(t, dst); got != 3 {
		t.Errorf("byte %d, want 3", got)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	must(t, os.WriteFile("file", nil, 0o666))
	must(t, os.WriteFile("old.safetensors", nil, 0o666))
	must(t, os.MkdirAll("full/sub", 0o777))
	must(t, os.WriteFile("full/sub/thesis.tex", []byte("x"), 0o666))
	must(t, os.Mkdir("dir.safetensors", 0o777))
	must(t, os.Symlink("nowhere", "dangling"))
	for _, link := range []string{"a.npy", Record} { // whose target nobody has looked at
		must(t, os.Mkdir("to "+link+"s", 0o777))
		must(t, os.Symlink("../full/sub/thesis.tex", filepath.Join("to "+link+"s", link)))
	}
	before := names(t, dir)
	for _, test := range []struct{ dst, format, err, hint string }{
		{"a/b/out", "", "a/b/out: its directory is not there", "mkdir -p a/b"},
		{"file/out", "", "file/out: file is a file, want a directory", ""},
		{"file", "", "file is a file, want a directory or nothing there", ""},
		{"full", "", "full holds " + filepath.FromSlash("sub/thesis.tex") + ", want an empty directory or nothing there", ""},
		{"to a.npys", "", "to a.npys holds a.npy, want an empty directory or nothing there", ""},
		{"to " + Record + "s", "", "to " + Record + "s holds " + Record + ", want an empty directory or nothing there", ""},
		{"dir.safetensors", "", "dir.safetensors is a directory, want a file or nothing there", ""},
		{".", "", ". is the working directory or holds it", "name a directory in it that is not there yet"},
		{"/", "", "/ is the working directory or holds it", "name a directory in it that is not there yet"},
		{"m.onnx", "", "m.onnx: an .onnx is a network, which tensors alone are not", "want an .onnx as SRC, or another ending of DST"},
		{"m.h5", "", "m.h5: repfuse does not write .h5, want " + writable(), ""},
		{"m.npy", "", "m.npy: one .npy file is one tensor, want a directory of them", "name the directory: m/"},
		{"m", "gguf", `format "gguf", want one of ` + writable(), ""},
		{"dangling", "", "dangling: symbolic link to nothing: no such file or directory", ""},
	} {
		for _, force := range []bool{false, true} {
			_, err := Create(test.dst, small, CreateOptions{Format: test.format, Force: force})
			if err == nil || err.Error() != test.err || hint.Of(err) != test.hint {
				t.Errorf("%s, force %t: %v (hint %q), want %s (hint %q)", test.dst, force, err, hint.Of(err), test.err, test.hint)
			}
		}
	}
	if after := names(t, dir); !slices.Equal(after, before) {
		t.Errorf("the directory changed from %q to %q", before, after)
	}
}

// Nor does Force replace what is no checkpoint by its content, or what is not repfuse's beside one.
func TestForcedRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.WriteFile("firmware.bin", []byte("blob"), 0o666))
	must(t, os.WriteFile("empty.npz", nil, 0o666))
	must(t, os.Mkdir("tokenizer", 0o777))
	must(t, os.WriteFile(filepath.Join("tokenizer", "vocab.txt"), []byte("a"), 0o666))
	must(t, os.MkdirAll("m.pth."+Record, 0o777))
	before := names(t, ".")
	for dst, want := range map[string]string{
		"firmware.bin": "firmware.bin is there, and no checkpoint by its content",
		"tokenizer":    "tokenizer holds vocab.txt, want an empty directory or nothing there",
		"m.pth":        "m.pth." + Record + " is a directory, want a file or nothing there",
	} {
		if _, err := Create(dst, small, CreateOptions{Force: true}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	wantNames(t, ".", before...)
	write(t, "empty.npz", CreateOptions{Force: true}, 1)
	must(t, os.WriteFile(filepath.Join("tokenizer", "a.npy"), nil, 0o666))
	write(t, "tokenizer", CreateOptions{Force: true}, 1)
}

// What appears at the destination while the new checkpoint is written is not touched.
func TestRefusedLate(t *testing.T) {
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			dir := t.TempDir()
			dst := filepath.Join(dir, place.name)
			out, err := Create(dst, small, CreateOptions{})
			must(t, err)
			fill(t, out, 1)
			late := dst
			if out.dir() {
				must(t, os.Mkdir(dst, 0o777))
				late = filepath.Join(dst, "b.npy")
			}
			must(t, os.WriteFile(late, []byte("late"), 0o666))
			if err := out.Commit(); err == nil {
				t.Error("committed over it")
			}
			if err := commit([]move{{from: out.tmp, to: dst}}); err == nil {
				t.Error("renamed over it")
			}
			out.Abort()
			if b, err := os.ReadFile(late); err != nil || string(b) != "late" {
				t.Errorf("it holds %q, %v", b, err)
			}
		})
	}
}

// Nor with Force, where what appears is no part of a checkpoint: only a second look tells,
// as the renaming replaces whatever is there.
func TestForcedLate(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "w")
	write(t, dst, CreateOptions{}, 1)
	out, err := Create(dst, small, CreateOptions{Force: true})
	must(t, err)
	defer out.Abort()
	fill(t, out, 2)
	late := filepath.Join(dst, "thesis.tex")
	must(t, os.WriteFile(late, []byte("late"), 0o666))
	if err, want := out.Commit(), dst+" holds thesis.tex, want an empty directory or nothing there"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if b, err := os.ReadFile(late); err != nil || string(b) != "late" || first(t, dst) != 1 {
		t.Errorf("it holds %q, %v", b, err)
	}
}

// If the new one cannot be renamed in, the old one is put back.
func TestRollBack(t *testing.T) {
	dir := t.TempDir()
	dst, record := filepath.Join(dir, "out.safetensors"), filepath.Join(dir, "out.safetensors.repfuse.json")
	write(t, dst, CreateOptions{}, 1)
	fresh := filepath.Join(dir, "new")
	must(t, os.WriteFile(fresh, nil, 0o666))
	before := names(t, dir)
	err := commit([]move{
		{from: fresh, to: dst, replace: true},
		{from: filepath.Join(dir, "missing"), to: record, replace: true},
	})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one of the missing file", err)
	}
	wantNames(t, dir, before...)
	if got := first(t, dst); got != 1 {
		t.Errorf("byte %d, want 1", got)
	}
}

// ended is the number of a process that is no more.
func ended(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("true")
	must(t, cmd.Run())
	return cmd.Process.Pid
}

func TestLeftovers(t *testing.T) {
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			dir := t.TempDir()
			dst := filepath.Join(dir, place.name)
			left := func(kind string, pid int) string {
				return filepath.Join(dir, fmt.Sprintf(".%s.repfuse-%s-%d", place.name, kind, pid))
			}
			dead := ended(t)
			must(t, os.MkdirAll(filepath.Join(left(temporary, dead), "sub"), 0o777))
			must(t, os.Mkdir(left(temporary, os.Getpid()), 0o777)) // a former run's, of our number
			live := left(temporary, os.Getppid())
			must(t, os.Mkdir(live, 0o777))
			must(t, os.WriteFile(filepath.Join(dir, ".other.repfuse-tmp-1x"), nil, 0o666))
			write(t, dst, CreateOptions{}, 1)
			wantNames(t, dir, append([]string{filepath.Base(live), ".other.repfuse-tmp-1x"}, place.after...)...)

			must(t, os.Rename(dst, left(aside, dead)))
			must(t, os.Mkdir(left(temporary, dead), 0o777))
			if _, err := Create(dst, small, CreateOptions{}); hint.Of(err) != "--force replaces it" {
				t.Errorf("error %v, want that what was moved aside is back", err)
			}
			if got := first(t, dst); got != 1 {
				t.Errorf("byte %d, want 1", got)
			}
			wantNames(t, dir, append([]string{filepath.Base(live), ".other.repfuse-tmp-1x"}, place.after...)...)
		})
	}
}

// A leftover is known by its lock, whatever process has its number now; only one so young that its
// maker may still be about to take the lock is left to that process.
func TestLeftoversByLock(t *testing.T) {
	if _, is := tryLock(t.TempDir()); is == unknown {
		t.Skip("no locks here")
	}
	running, dead := os.Getppid(), ended(t)
	hourAgo := time.Now().Add(-time.Hour)
	for _, test := range []struct {
		what        string
		kind        string
		pid         int
		held, young bool
		want        string // what is there afterwards, with the destination or without
	}{
		{"of a number in use again", temporary, running, false, false, ""},
		{"of a number in use, and young", temporary, running, false, true, "stays"},
		{"held, of a dead number", temporary, dead, true, false, "stays"},
		{"held, of our own number", temporary, os.Getpid(), true, false, "stays"},
		{"put aside, of a number in use again", aside, running, false, false, "restored"},
		{"put aside, and held", aside, dead, true, false, "stays"},
	} {
		for _, place := range places {
			dir := t.TempDir()
			dst := filepath.Join(dir, place.name)
			left := filepath.Join(dir, fmt.Sprintf(".%s.repfuse-%s-%d", place.name, test.kind, test.pid))
			write(t, dst, CreateOptions{}, 1)
			must(t, os.Rename(dst, left))
			os.Remove(dst + "." + Record)
			if !test.young {
				must(t, os.Chtimes(left, hourAgo, hourAgo))
			}
			if test.held {
				defer lock(left)()
			}
			must(t, sweep(dst, dst+"."+Record))
			got := ""
			switch {
			case !isMissing(left):
				got = "stays"
			case !isMissing(dst):
				got = "restored"
			}
			if got != test.want {
				t.Errorf("%s, %s: %q, want %q", place.name, test.what, got, test.want)
			}
		}
	}
}

// All that an output has written so far is held, its record too.
func TestHeld(t *testing.T) {
	for _, place := range places {
		dir := t.TempDir()
		dst := filepath.Join(dir, place.name)
		out, err := Create(dst, small, CreateOptions{})
		must(t, err)
		defer out.Abort()
		fill(t, out, 1)
		must(t, out.AddFile(Record, nil))
		must(t, sweep(dst, dst+"."+Record)) // which takes what is of our own number and is not held
		must(t, out.Commit())
		wantNames(t, dir, place.after...)
		if _, is := tryLock(dst); is == taken {
			t.Errorf("%s is held after all is done", place.name)
		}
	}
}

// What is old and cannot be removed is left to later runs: the new is in its place.
func TestOldStays(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("needs a file that cannot be removed, which is a mount here")
	}
	dir := t.TempDir()
	dst, fresh := filepath.Join(dir, "out"), filepath.Join(dir, "fresh")
	must(t, os.MkdirAll(filepath.Join(dst, "mounted"), 0o777))
	must(t, os.Mkdir(fresh, 0o777))
	must(t, os.WriteFile(filepath.Join(fresh, "new"), nil, 0o666))
	if err := exec.Command("mount", "-t", "tmpfs", "none", filepath.Join(dst, "mounted")).Run(); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() { exec.Command("umount", filepath.Join(fresh, "mounted")).Run() })
	must(t, commit([]move{{from: fresh, to: dst, replace: true}}))
	if isMissing(filepath.Join(dst, "new")) || isMissing(filepath.Join(fresh, "mounted")) {
		t.Errorf("in the directory: %q, want the new in its place", names(t, dir))
	}
}

// The record that was put aside with a file comes back with it, and only with it.
func TestLeftoverRecord(t *testing.T) {
	dir := t.TempDir()
	dst := filepath.Join(dir, "out.safetensors")
	record := dst + "." + Record
	put := func(path string) { must(t, os.WriteFile(path, []byte(filepath.Base(path)), 0o666)) }
	old := func(path string) string {
		return strings.TrimSuffix(sibling(path, aside), fmt.Sprint(os.Getpid())) + fmt.Sprint(ended(t))
	}
	put(old(dst))
	put(old(record))
	must(t, sweep(dst, record))
	wantNames(t, dir, "out.safetensors", "out.safetensors.repfuse.json")

	must(t, os.Remove(record))
	put(old(record)) // the run ended after the new file was in its place
	must(t, sweep(dst, record))
	wantNames(t, dir, "out.safetensors")

	must(t, os.Remove(dst))
	put(old(dst))
	put(old(dst + ".data"))
	must(t, sweep(dst, record, dst+".data"))
	wantNames(t, dir, "out.safetensors", "out.safetensors.data")
}

// A run that is at work is not disturbed by another to the same place.
func TestTwoAtOnce(t *testing.T) {
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), place.name)
			out, err := Create(dst, small, CreateOptions{})
			must(t, err)
			defer out.Abort()
			if _, err := Create(dst, small, CreateOptions{}); !errors.Is(err, fs.ErrExist) {
				t.Errorf("second: %v, want that the temporary exists", err)
			}
			fill(t, out, 1)
			must(t, out.Commit())
			if got := first(t, dst); got != 1 {
				t.Errorf("byte %d, want 1", got)
			}
		})
	}
}

// Somebody who looks while a checkpoint is replaced, again and again, finds one there each time.
func TestAlwaysThere(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("where paths cannot be exchanged there is a moment without")
	}
	for _, place := range places {
		t.Run(place.name, func(t *testing.T) {
			dir := t.TempDir()
			dst := filepath.Join(dir, place.name)
			write(t, dst, CreateOptions{}, 0)
			var stop atomic.Bool
			looked, missing := make(chan int), 0
			go func() {
				n := 0
				for ; !stop.Load(); n++ {
					if isMissing(dst) {
						missing++
					}
				}
				looked <- n
			}()
			for k := range 200 {
				write(t, dst, CreateOptions{Force: true}, byte(k))
			}
			stop.Store(true)
			if n := <-looked; missing > 0 {
				t.Errorf("nothing was there %d of %d times", missing, n)
			}
			if got := first(t, dst); got != 199 {
				t.Errorf("byte %d, want that of the last", got)
			}
			wantNames(t, dir, place.after...)
		})
	}
}

// What a run leaves that is killed between two steps of replacing is one checkpoint or the
// other, and the next run removes the rest.
func TestKilledWhileReplacing(t *testing.T) {
	dead := ended(t)
	for _, place := range places {
		for _, done := range []bool{false, true} { // whether the new was in its place
			dir := t.TempDir()
			dst := filepath.Join(dir, place.name)
			left := func(kind string) string {
				return filepath.Join(dir, fmt.Sprintf(".%s.repfuse-%s-%d", place.name, kind, dead))
			}
			write(t, dst, CreateOptions{}, 1)
			write(t, filepath.Join(dir, "new"+place.name), CreateOptions{}, 2)
			must(t, os.Rename(filepath.Join(dir, "new"+place.name), left(temporary)))
			info, err := os.Stat(dst)
			must(t, err)
			want := byte(1)
			switch {
			case info.IsDir() && done:
				must(t, exchange(left(temporary), dst))
				want = 2
			case !info.IsDir():
				must(t, os.Link(dst, left(aside)))
				if done {
					must(t, os.Rename(left(temporary), dst))
					want = 2
				}
			}
			must(t, sweep(dst, dst+"."+Record))
			if got := first(t, dst); got != want {
				t.Errorf("%s, %t: byte %d, want %d", place.name, done, got, want)
			}
			if entries, _ := filepath.Glob(filepath.Join(dir, ".*")); len(entries) > 0 {
				t.Errorf("%s, %t: %v was left", place.name, done, entries)
			}
		}
	}
}

// An error names the destination and not what is written in its place until it is whole, be it of a
// checkpoint or of what lies beside it.
func TestErrorsNameDestination(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "out.safetensors")
	_, err := Create(dst, []tensor.Spec{{Key: "a", Type: tensor.F32, Shape: []int{-1}}}, CreateOptions{})
	wantNamed(t, err, dst)
	out, err := Create(dst, []tensor.Spec{{Key: "a", Type: tensor.F32, Shape: []int{1}}}, CreateOptions{})
	must(t, err)
	defer out.Abort()
	wantNamed(t, out.WriteAt(0, make([]byte, 5), 0), dst)
	must(t, os.WriteFile(sibling(dst+"."+Record, temporary), nil, 0o666))
	wantNamed(t, out.AddFile(Record, nil), dst)
	wantNamed(t, out.Commit(), dst)
}

func wantNamed(t *testing.T, err error, dst string) {
	t.Helper()
	if err == nil || strings.Contains(err.Error(), "repfuse-tmp") || !strings.HasPrefix(err.Error(), dst+": ") {
		t.Errorf("%v, want an error of %s", err, dst)
	}
}

// What is old is held until it is gone, so that no other run takes it for a leftover.
func TestOldIsHeld(t *testing.T) {
	dir := t.TempDir()
	dst, fresh := filepath.Join(dir, "out"), filepath.Join(dir, "fresh")
	must(t, os.Mkdir(dst, 0o777))
	for k := range 1500 { // which takes a while to remove
		must(t, os.WriteFile(filepath.Join(dst, fmt.Sprint(k)), nil, 0o666))
	}
	must(t, os.Mkdir(fresh, 0o777))
	defer lock(fresh)() // as Create does
	done, looks := make(chan error), 0
	go func() { done <- commit([]move{{from: fresh, to: dst, replace: true}}) }()
	for {
		select {
		case err := <-done:
			if must(t, err); looks == 0 {
				t.Error("nobody looked")
			}
			return
		default:
		}
		for _, path := range []string{fresh, sibling(dst, aside)} { // with an exchange, and without
			unlock, is := tryLock(path)
			if is == free && !isMissing(path) { // and not the lock of what is gone
				t.Errorf("%s is not held", path)
			}
			unlock()
			looks++
		}
	}
}
