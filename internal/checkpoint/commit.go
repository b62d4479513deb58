package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"repfuse/internal/hint"
)

// Commit puts the checkpoint in its place: what stood there is moved aside, the new
// one is renamed in, the old one is removed. If the renaming fails the old one is
// moved back. After an error Abort is still due.
func (out *Output) Commit() error {
	if err := out.Close(); err != nil {
		return err
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
	if out.o.Sync {
		for _, m := range moves {
			if err := syncTree(m.from); err != nil {
				return err
			}
		}
	}
	if err := commit(moves); err != nil {
		err = fmt.Errorf("%s: %w", out.path, err)
		if errors.Is(err, syscall.EBUSY) {
			err = hint.Add(err, "it may be a mount point, which cannot be replaced: name a directory in it")
		}
		return err
	}
	out.end()
	if out.o.Sync {
		return syncFile(filepath.Dir(out.dst))
	}
	return nil
}

// move is one renaming. Without from, what is at to goes and nothing comes.
type move struct {
	from, to string
	replace  bool // what is at to, which else may be an empty directory alone
}

// commit makes all the moves or none: first everything old goes aside, then
// everything new comes in, then the old is removed.
func commit(moves []move) error {
	var done []move
	rename := func(from, to string) error {
		err := os.Rename(from, to)
		if err == nil {
			done = append(done, move{from: from, to: to})
		}
		return err
	}
	err := func() error {
		for _, m := range moves {
			if err := m.clear(rename); err != nil {
				return err
			}
		}
		for _, m := range moves {
			if m.from == "" {
				continue
			}
			if err := rename(m.from, m.to); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		for _, m := range slices.Backward(done) {
			err = errors.Join(err, os.Rename(m.to, m.from))
		}
		return err
	}
	for _, m := range moves {
		err = errors.Join(err, os.RemoveAll(sibling(m.to, aside)))
	}
	return err
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

// syncFile brings one file, or the names in one directory, to the disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
