// Command repfuse fuses the parallel branches of re-parameterized networks on disk:
// it reads a checkpoint, recognises the blocks, merges each into one kernel and bias,
// writes what the deploy model loads, and proves that nothing changed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"repfuse"
	"repfuse/internal/hint"
	"repfuse/internal/micro"
	"repfuse/internal/parallel"
	"repfuse/internal/text"
)

// What a shell script can trust.
const (
	exitYes   = 0 // done; verify: nothing changed
	exitNo    = 1 // verify found a difference; plan --expect found a key amiss
	exitError = 2 // could not be done: usage, bad input, nothing recognised

	exitSignal = 128 // and the signal's number: 130 after Ctrl-C, as a shell has it
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// errNo is the answer no, which has been printed already.
var errNo = errors.New("no")

// run is the command: its exit code, with nothing of the process but what it is
// given.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	shown := &text.Writer{To: stdout}
	stderr = &text.Writer{To: stderr}
	defer func() {
		if p := recover(); p != nil {
			printError(stderr, parallel.Panicked(p))
			code = exitError
		}
	}()
	if name := os.Getenv("REPFUSE_CPU"); name != "" {
		if err := micro.Use(name); err != nil {
			printError(stderr, fmt.Errorf("REPFUSE_CPU: %w", err))
			return exitError
		}
	}
	ctx, stop := untilSignal()
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	if len(args) > 0 && args[0] == cobra.ShellCompRequestCmd {
		describeFlags(root)
	}
	root.Annotations = map[string]string{asTyped: hint.Command(args...)}
	root.SetIn(stdin)
	root.SetOut(shown)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case shown.Err != nil:
		err = fmt.Errorf("printing the answer: %w", shown.Err)
	case err == nil:
		return exitYes
	case errors.Is(err, errNo):
		return exitNo
	case ctx.Err() != nil:
		printError(stderr, errors.New("interrupted, nothing is left behind"))
		return exitSignal + int(context.Cause(ctx).(signalled))
	}
	if open := (*repfuse.OpenError)(nil); errors.As(err, &open) && len(open.Flags) > 0 {
		err = hint.Add(err, "%s", hint.Command(slices.Insert(slices.Clone(args), 1, open.Flags...)...))
	}
	printError(stderr, suggested(root, err))
	return exitError
}

// signalled is the signal that ended a context.
type signalled syscall.Signal

func (s signalled) Error() string { return syscall.Signal(s).String() }

// untilSignal is a context that an interrupt, and what asks a process to end, ends. The signals come here until stop is
// called. A hangup that nohup had ignored stays ignored. In a browser none comes, and to ask whether it is ignored is a
// fault of Go's runtime there.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, end := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if runtime.GOOS != "wasip1" && !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		if s, ok := <-signals; ok {
			end(signalled(s.(syscall.Signal)))
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
	}
}

// asTyped is the annotation of the root that holds the command line.
const asTyped = "as typed"

// collect sets how much garbage may lie about before it is collected, in percent of what
// is in use, unless GOGC says it. Fusing uses its memory again nearly everywhere, so that most
// checkpoints are done before the first collection; verifying has more, and soon needs it anew.
func collect(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// printError writes each error on a line of its own and, behind it, what to type.
func printError(w io.Writer, err error) {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range all.Unwrap() {
			printError(w, e)
		}
		return
	}
	printf(w, "repfuse: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	if h := hint.Of(err); h != "" {
		printf(w, "hint: %s\n", h)
	}
}
