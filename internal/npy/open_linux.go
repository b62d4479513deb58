package npy

import (
	"os"

	"golang.org/x/sys/unix"
)

// openFile is os.OpenFile for a regular file, in two system calls in place of six:
// package os asks the kernel whether it can wait for the file, which it cannot. For
// a tensor of some hundred bytes that is most of the work.
func openFile(path string, flag int, mode os.FileMode) (*os.File, error) {
	fd, err := unix.Open(path, flag|unix.O_CLOEXEC, uint32(mode.Perm()))
	if err != nil {
		return os.OpenFile(path, flag, mode) // which retries, and says what is the matter
	}
	return os.NewFile(uintptr(fd), path), nil
}

// openIn is the same for a file that lies right in the directory dir, and is no link:
// ok reports whether it is one.
func openIn(dir *os.File, name string) (f *os.File, ok bool) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	return os.NewFile(uintptr(fd), name), true
}
