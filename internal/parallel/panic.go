package parallel

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// safely is do(k), of which a panic is an error: in a goroutine it would end the program.
func safely(do func(k int) error, k int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Panicked(p)
		}
	}()
	return do(k)
}

// Panicked is the error of a panic that was just recovered: what, and at which line.
func Panicked(p any) error {
	var callers [32]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers[:])])
	panicking := false
	for {
		f, more := frames.Next()
		ours := !strings.HasPrefix(f.Function, "runtime.")
		if panicking && ours || !more {
			return fmt.Errorf("this is a fault of repfuse itself: %v at %s:%d", p, filepath.Base(f.File), f.Line)
		}
		panicking = panicking || !ours
	}
}
