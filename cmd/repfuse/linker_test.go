package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMethodsByName: nothing that the command reaches looks up a method by a name that
// only the running program knows, as templates do. The linker cannot tell then which
// methods are called, and keeps the exported ones of every type, with all of gonum
// (linked through npyio) behind them: the binary has 14.7 MB in place of 10.2, and
// every run takes 1.4 to 2 MB more of memory.
func TestMethodsByName(t *testing.T) {
	if testing.Short() {
		t.Skip("links the command")
	}
	d := linked(t)
	if len(d.byName) > 0 { // what follows the first is often reached because of it
		t.Errorf("the linker must keep every exported method because of %s, which is reached by\n\t%s",
			d.byName[0], strings.Join(d.way(d.byName[0]), "\n\t"))
	}
}

// reached is what the linker reaches from a program's start, as its -dumpdep tells.
type reached struct {
	from   map[string]string // by what a symbol was reached first
	byName []string          // the functions that look up methods by name, in order
}

// linked links the command to see what is reached.
func linked(t *testing.T) reached {
	t.Helper()
	c := exec.Command("go", "build", "-ldflags=-dumpdep", "-o", filepath.Join(t.TempDir(), "repfuse"), ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	dump, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, dump)
	}
	d := reached{from: map[string]string{}}
	for line := range strings.Lines(string(dump)) {
		from, to, _ := strings.Cut(strings.TrimSpace(line), " -> ")
		name, marks, _ := strings.Cut(to, " <")
		if _, again := d.from[name]; !again { // two symbols may have one name
			d.from[name], _, _ = strings.Cut(from, " <")
		}
		if strings.Contains(marks, "ReflectMethod>") {
			d.byName = append(d.byName, name)
		}
	}
	if _, complete := d.from["main.main"]; !complete {
		t.Fatalf("the linker does not say that it reaches main.main:\n%.1000s", dump)
	}
	return d
}

// way is the symbols from the program's first to one that is reached.
func (d reached) way(to string) []string {
	var all []string
	for name := to; name != "" && name != "main.main"; name = d.from[name] {
		all = append(all, name)
	}
	slices.Reverse(all)
	return all
}
