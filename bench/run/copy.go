//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"repfuse/internal/parallel"
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
	return parallel.Each(context.Background(), runtime.GOMAXPROCS(0), len(files), func() func(int) error {
		buffer := make([]byte, 256<<10)
		return func(i int) error {
			name := files[i].Name()
			return copyFile(filepath.Join(from, name), filepath.Join(to, name), buffer)
		}
	})
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
