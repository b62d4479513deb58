package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The two kinds of siblings: what is being written, and what stood there before.
const (
	temporary = "tmp"
	aside     = "old"
)

// sibling is the path of one of the two, hidden and with this process's number.
func sibling(path, kind string) string {
	name := fmt.Sprintf(".%s.repfuse-%s-%d", filepath.Base(path), kind, os.Getpid())
	return filepath.Join(filepath.Dir(path), name)
}

// sweep removes what killed runs left beside a destination and beside its record and external data.
// What such a run had moved aside is moved back if it had not replaced it yet.
// Siblings of a run that lives stay.
func sweep(dst string, beside ...string) error {
	undone, err := sweepOne(dst, isMissing(dst))
	for _, path := range beside {
		if err == nil {
			_, err = sweepOne(path, undone && isMissing(path))
		}
	}
	return err
}

func isMissing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// sweepOne removes the siblings of one path, or with back moves one that was put
// aside back. It reports whether it met a run that had not come to its end.
func sweepOne(path string, back bool) (undone bool, err error) {
	dir, prefix := filepath.Dir(path), "."+filepath.Base(path)+".repfuse-"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries { // by name: old before tmp
		rest, ok := strings.CutPrefix(e.Name(), prefix)
		kind, number, _ := strings.Cut(rest, "-")
		pid, err := strconv.ParseUint(number, 10, 31)
		if !ok || err != nil || kind != temporary && kind != aside {
			continue
		}
		left := filepath.Join(dir, e.Name())
		unlock, is := tryLock(left)
		if alive(e, is, int(pid)) {
			unlock()
			continue
		}
		restore := kind == aside && back
		if !restore {
			os.RemoveAll(left) // of another owner it stays, and is in nobody's way
		} else {
			err, back = os.Rename(left, path), false
		}
		if unlock(); err != nil {
			return undone, err
		}
		undone = undone || restore || kind == temporary
	}
	return undone, nil
}

// lockState is what is known of a lock; unknown where there are none.
type lockState int

const (
	unknown lockState = iota
	free
	taken
)

// alive reports whether the run that made a sibling may still be at work: it holds its lock. Only
// where there are no locks, or where it may have had no time to take it yet, does it matter whether
// a process of its number runs, as others get that number later, and in other containers at once;
// our own number without the lock is a former run's.
func alive(e fs.DirEntry, is lockState, pid int) bool {
	if is == free {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) > time.Minute {
			return false
		}
	}
	return is == taken || pid != os.Getpid() && running(pid)
}

func running(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil || runtime.GOOS == "windows" { // there, finding it is the answer
		return err == nil
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, fs.ErrPermission)
}
