package npy

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// handle is an open file: a descriptor and no more. Package os asks the kernel whether it
// can wait for the file, which it cannot, and guards each call against a Close at the
// same time, which nobody makes; for a tensor of some hundred bytes that is most of the work.
type handle struct {
	fd        int
	dir, name string // for messages
}

func (f *handle) path() string { return filepath.Join(f.dir, filepath.FromSlash(f.name)) }

// openFile is os.OpenFile for a regular file. One that has become a pipe since it was
// found is not waited for.
func openFile(path string, flag int, mode os.FileMode) (*handle, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, flag|unix.O_CLOEXEC|unix.O_NONBLOCK, uint32(mode.Perm()))
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &handle{fd, "", path}, nil
}

// openIn opens what lies below the directory dir and is reached through no link; ok
// reports whether that could be done.
func openIn(dir *os.File, name string) (f *handle, ok bool) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(int(dir.Fd()), name, &how)
	if err != nil {
		return nil, false
	}
	return &handle{fd, "", name}, true
}

// openBelow opens what lies below top, which is the directory dir, for reading, by way of no
// directory above. One that has become a pipe is not waited for.
func openBelow(top *os.File, dir, name string) (*handle, error) {
	f := &handle{-1, dir, name}
	fd, err := retry(func() (int, error) {
		return unix.Openat(int(top.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: f.path(), Err: err}
	}
	f.fd = fd
	return f, nil
}

// take is a file that package os opened, which is closed.
func take(f *os.File) (*handle, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &handle{fd, "", f.Name()}, nil
}

// ReadAt fills p from byte off of the file on.
func (f *handle) ReadAt(p []byte, off int64) (int, error) {
	for done := 0; ; {
		n, err := retry(func() (int, error) { return unix.Pread(f.fd, p[done:], off+int64(done)) })
		if err != nil {
			return done, &fs.PathError{Op: "read", Path: f.path(), Err: err}
		}
		done += n
		switch {
		case done == len(p):
			return done, nil
		case n == 0:
			return done, io.EOF
		}
	}
}

// WriteAt writes p at byte off of the file.
func (f *handle) WriteAt(p []byte, off int64) (int, error) {
	for done := 0; ; {
		n, err := retry(func() (int, error) { return unix.Pwrite(f.fd, p[done:], off+int64(done)) })
		if err == nil && n == 0 && len(p) > 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return done, &fs.PathError{Op: "write", Path: f.path(), Err: err}
		}
		if done += n; done == len(p) {
			return done, nil
		}
	}
}

// Close closes the file. A second time it is an error, and not another file that is
// closed, which may have the number by then.
func (f *handle) Close() error {
	fd := f.fd
	f.fd = -1
	if err := unix.Close(fd); err != nil && err != unix.EINTR { // then it is closed all the same
		return &fs.PathError{Op: "close", Path: f.path(), Err: err}
	}
	return nil
}

// retry calls again what a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// identity is by what a file is known again.
type identity struct {
	size     int64
	dev, ino uint64
	modified unix.Timespec
	mode     uint32
}

func (f *handle) identity() (identity, error) {
	var s unix.Stat_t
	if err := unix.Fstat(f.fd, &s); err != nil {
		return identity{}, &fs.PathError{Op: "stat", Path: f.path(), Err: err}
	}
	return identity{s.Size, uint64(s.Dev), s.Ino, s.Mtim, s.Mode & unix.S_IFMT}, nil
}

func (i identity) bytes() int64             { return i.size }
func (i identity) regular() bool            { return i.mode == unix.S_IFREG }
func (i identity) same(other identity) bool { return i == other }
