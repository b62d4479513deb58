package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"repfuse/internal/text"
)

// progress is a line on a terminal for work that takes over a second; elsewhere it
// is nothing, or lines for a program, where --progress asks for them.
type progress struct {
	w          io.Writer
	verb       string // "" for a program
	done, all  atomic.Int64
	stop, over chan struct{}
}

// addProgress adds the flag; what it returns begins to show the work of a verb.
func addProgress(c *cobra.Command) func(quiet bool, verb string) *progress {
	lines := c.Flags().Bool("progress", false, "print lines on stderr as it works, for programs: progress, the bytes done, and all bytes")
	return func(quiet bool, verb string) *progress {
		if *lines {
			p := &progress{w: c.ErrOrStderr(), stop: make(chan struct{}), over: make(chan struct{})}
			go p.report()
			return p
		}
		return newProgress(c.ErrOrStderr(), quiet, verb)
	}
}

func newProgress(w io.Writer, quiet bool, verb string) *progress {
	p := &progress{w: w, verb: verb}
	if shown, ok := w.(*text.Writer); ok {
		p.w = shown.To // which is told to go back to the beginning of the line
	}
	f, ok := p.w.(*os.File)
	if quiet || !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return p
	}
	p.stop, p.over = make(chan struct{}), make(chan struct{})
	go p.show()
	return p
}

// tell sets how much is done of all; it costs two stores.
func (p *progress) tell(done, all int64) {
	p.done.Store(done)
	p.all.Store(all)
}

func (p *progress) show() {
	defer close(p.over)
	select {
	case <-p.stop:
		return
	case <-time.After(time.Second):
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		all := p.all.Load()
		fmt.Fprintf(p.w, "\r%s %3d%% of %s ", p.verb, 100*p.done.Load()/max(all, 1), size(all))
		select {
		case <-p.stop:
			fmt.Fprint(p.w, "\r\x1b[K")
			return
		case <-tick.C:
		}
	}
}

// report prints a line five times a second where more is done than before, and at the end.
func (p *progress) report() {
	defer close(p.over)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	last := int64(0)
	for ended := false; !ended; {
		select {
		case <-p.stop:
			ended = true
		case <-tick.C:
		}
		if done := p.done.Load(); done > last {
			fmt.Fprintf(p.w, "progress %d %d\n", done, p.all.Load())
			last = done
		}
	}
}

// end takes the line away.
func (p *progress) end() {
	if p.stop != nil {
		close(p.stop)
		<-p.over
	}
}
