package disk

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// File is an open regular file: a descriptor and little more. Package os asks the kernel
// whether it can wait for the file, which it cannot, and guards each call against a
// Close at the same time, which nobody makes; for a tensor of some hundred bytes that is
// most of the work.
type File struct {
	fd        int
	dir, name string // for messages
	given     *given // of a file of Compare; else nil
}

// Path is what the file was opened by.
func (f *File) Path() string { return filepath.Join(f.dir, filepath.FromSlash(f.name)) }

// Open opens a file for reading. One that has become a pipe is not waited for.
func Open(path string) (*File, error) { return open(path, unix.O_RDONLY) }

// Create makes a file, which must not be there, for writing.
func Create(path string) (*File, error) {
	return open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
}

func open(path string, flag int) (*File, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, flag|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o666)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &File{fd: fd, name: path}, nil
}

// OpenIn opens what lies below the directory dir and is reached through no link; ok
// reports whether that could be done.
func OpenIn(dir *os.File, name string) (f *File, ok bool) {
	defer runtime.KeepAlive(dir)
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(int(dir.Fd()), name, &how)
	if err != nil {
		return nil, false
	}
	return &File{fd: fd, name: name}, true
}

// OpenBelow opens what lies below top, which is the directory dir, for reading, by way of no
// directory above. Links are followed. A file that has become a pipe is not waited for.
func OpenBelow(top *os.File, dir, name string) (*File, error) {
	defer runtime.KeepAlive(top)
	f := &File{fd: -1, dir: dir, name: name}
	fd, err := retry(func() (int, error) {
		return unix.Openat(int(top.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: f.Path(), Err: err}
	}
	f.fd = fd
	return f, nil
}

// Take is a file that package os opened for reading, which is closed.
func Take(f *os.File) (*File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &File{fd: fd, name: f.Name()}, nil
}

// ReadAt fills p from byte off of the file on.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	for done := 0; ; {
		n, err := retry(func() (int, error) { return unix.Pread(f.fd, p[done:], off+int64(done)) })
		if err != nil {
			return done, &fs.PathError{Op: "read", Path: f.Path(), Err: err}
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
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if f.given != nil {
		return f.compare(p, off)
	}
	for done := 0; ; {
		n, err := retry(func() (int, error) { return unix.Pwrite(f.fd, p[done:], off+int64(done)) })
		if err == nil && n == 0 && len(p) > 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return done, &fs.PathError{Op: "write", Path: f.Path(), Err: err}
		}
		if done += n; done == len(p) {
			return done, nil
		}
	}
}

// Close closes the file. A second time it is an error, and not another file that is
// closed, which may have the number by then.
func (f *File) Close() error {
	other := f.whole()
	fd := f.fd
	f.fd = -1
	if err := unix.Close(fd); err != nil && err != unix.EINTR { // then it is closed all the same
		return &fs.PathError{Op: "close", Path: f.Path(), Err: err}
	}
	return other
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

// Identity is by what a file is known again.
type Identity struct {
	size     int64
	dev, ino uint64
	modified unix.Timespec
	mode     uint32
}

// Identity asks the file system.
func (f *File) Identity() (Identity, error) {
	var s unix.Stat_t
	if err := unix.Fstat(f.fd, &s); err != nil {
		return Identity{}, &fs.PathError{Op: "stat", Path: f.Path(), Err: err}
	}
	return Identity{s.Size, uint64(s.Dev), s.Ino, s.Mtim, s.Mode & unix.S_IFMT}, nil
}

// Bytes is the file's size.
func (i Identity) Bytes() int64 { return i.size }

// Regular reports whether it is a regular file.
func (i Identity) Regular() bool { return i.mode == unix.S_IFREG }

// Same reports whether it is the same file, and nobody has written to it between.
func (i Identity) Same(other Identity) bool { return i == other }
