//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// copyFlag makes this program the bare copy: what reading and writing alone cost, in
// pieces of 256 KiB by one goroutine a processor. No program that reads the input and
// writes as much is much faster; fuse writes a tenth less.
const copyFlag = "-copy"

func copyHere(from, to string) {
	if err := copyAll(from, to); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// copyAll copies the files of a directory.
func copyAll(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o777); err != nil {
		return err
	}
	queue := make(chan fs.DirEntry, len(files))
	for _, f := range files {
		queue <- f
	}
	close(queue)
	jobs := runtime.GOMAXPROCS(0)
	failed := make([]error, jobs)
	var wait sync.WaitGroup
	for k := range jobs {
		wait.Go(func() {
			buffer := make([]byte, 256<<10)
			for f := range queue {
				failed[k] = errors.Join(failed[k], copyFile(filepath.Join(from, f.Name()), filepath.Join(to, f.Name()), buffer))
			}
		})
	}
	wait.Wait()
	return errors.Join(failed...)
}

func copyFile(from, to string, buffer []byte) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	// hidden in structs, or the two would have the kernel copy, which is slower
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, buffer)
	return errors.Join(err, out.Close())
}
