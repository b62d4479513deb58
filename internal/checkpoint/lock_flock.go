//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package checkpoint

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lock marks a file or directory as in use until the function it gives is called or the
// process ends. Where the file system has no locks it does nothing. It waits for whoever looks at
// the lock.
func lock(path string) (unlock func()) {
	unlock, _ = flock(path, syscall.LOCK_EX)
	return unlock
}

// tryLock is lock that does not wait, and tells who had it.
func tryLock(path string) (unlock func(), before lockState) {
	return flock(path, syscall.LOCK_EX|syscall.LOCK_NB)
}

func flock(path string, how int) (unlock func(), before lockState) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0) // a pipe would wait
	if err != nil {
		return func() {}, unknown
	}
	switch err := syscall.Flock(int(f.Fd()), how); {
	case err == nil:
		return func() { f.Close() }, free
	case errors.Is(err, syscall.EWOULDBLOCK):
		before = taken
	}
	f.Close()
	return func() {}, before
}

// removable is an error where what is in a directory may not be removed.
func removable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }
