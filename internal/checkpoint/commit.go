package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"repfuse/internal/hint"
)

// Commit puts the checkpoint in the place of what stood there, in one step where the system can,
// and removes the old one. If that fails the old one is back. After an error Abort is still due.
func (out *Output) Commit() error {
	if err := out.Close(); err != nil {
		return err
	}
	if out.same != nil {
		return errors.Join(out.nothingElse(), out.sync(append(out.beside, out.dst)...), out.syncNames())
	}
	if err := out.checkPlace(); err != nil { // again: writing took its time
		return err
	}
	moves := []move{{from: out.tmp, to: out.dst, replace: out.o.Force}}
	for _, path := range out.beside {
		moves = append(moves, move{from: sibling(path, temporary), to: path, replace: true})
	}
	if record := out.place(Record); !out.dir() && !slices.Contains(out.beside, record) {
		moves = append(moves, move{to: record, replace: true}) // the old file's would lie about the new one
	}
	for _, m := range moves {
		if err := out.sync(m.from); err != nil {
			return err
		}
	}
	if err := commit(moves); err != nil {
		err = out.named(err)
		if errors.Is(err, syscall.EBUSY) {
			err = hint.Add(err, "it may be a mount point, which cannot be replaced: name a directory in it")
		}
		return err
	}
	out.end()
	return out.syncNames()
}

// sync brings files, or all there is in directories, to the disk where that is asked for.
func (out *Output) sync(paths ...string) (err error) {
	for _, path := range paths {
		if out.o.Sync && err == nil {
			err = syncTree(path)
		}
	}
	return err
}

// syncNames does so with the names beside the destination.
func (out *Output) syncNames() error {
	if !out.o.Sync {
		return nil
	}
	return syncFile(filepath.Dir(out.dst))
}

// move is one renaming. Without from, what is at to goes and nothing comes.
type move struct {
	from, to string
	replace  bool // what is at to, which else may be an empty directory alone
}

// commit makes all the moves or none: everything old but the checkpoint goes aside, the new
// checkpoint takes the place of the old one, the rest comes in. Then what is old is
// removed; what cannot be is left to the next run, as the new is in its place.
func commit(moves []move) error {
	var undo []func() error
	rename := func(from, to string) error {
		err := os.Rename(from, to)
		if err == nil {
			undo = append(undo, func() error { return os.Rename(to, from) })
		}
		return err
	}
	for _, m := range moves { // what is old is in use while it is aside
		unlock, _ := tryLock(m.to)
		defer unlock()
	}
	swapped := false
	err := func() error {
		for _, m := range moves[1:] {
			if err := m.clear(rename); err != nil {
				return err
			}
		}
		var back func() error
		if back, swapped = moves[0].swap(); swapped {
			undo = append(undo, back)
		} else if err := moves[0].clear(rename); err != nil {
			return err
		}
		for k, m := range moves {
			if m.from == "" || k == 0 && swapped {
				continue
			}
			if err := rename(m.from, m.to); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		for _, back := range slices.Backward(undo) {
			err = errors.Join(err, back())
		}
		return err
	}
	for _, m := range moves {
		os.RemoveAll(sibling(m.to, aside))
	}
	if swapped { // a directory's old one is here
		os.RemoveAll(moves[0].from)
	}
	return nil
}

// swap puts the new in the place of the old, so that a run which is killed leaves the one or the
// other there: directories by one exchange, a file by renaming onto it, with a
// second name for the old one. It reports whether the system can.
func (m move) swap() (back func() error, ok bool) {
	info, err := os.Lstat(m.to)
	switch {
	case err != nil || !m.replace:
		return nil, false
	case info.IsDir():
		return func() error { return exchange(m.from, m.to) }, exchange(m.from, m.to) == nil
	}
	old := sibling(m.to, aside)
	if os.Link(m.to, old) != nil {
		return nil, false
	}
	if os.Rename(m.from, m.to) != nil {
		os.Remove(old)
		return nil, false
	}
	return func() error { return errors.Join(os.Rename(m.to, m.from), os.Rename(old, m.to)) }, true
}

// clear makes room at m.to.
func (m move) clear(rename func(from, to string) error) error {
	info, err := os.Lstat(m.to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !m.replace && !info.IsDir():
		return fs.ErrExist
	}
	old := sibling(m.to, aside)
	if err := rename(m.to, old); err != nil || m.replace {
		return err
	}
	if entries, err := os.ReadDir(old); err != nil || len(entries) > 0 {
		return errors.Join(fs.ErrExist, err)
	}
	return nil
}

// syncTree brings a file, or all there is in a directory, to the disk.
func syncTree(path string) error {
	if path == "" {
		return nil
	}
	return filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncFile(path)
	})
}

// syncFile brings one file, or the names in one directory, to the disk. Windows does so with
// files that are open for writing, and with no directory.
func syncFile(path string) error {
	flags := os.O_RDONLY
	if runtime.GOOS == "windows" {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			return err
		}
		flags = os.O_RDWR
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
