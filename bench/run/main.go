//go:build linux

// Command run times repfuse against what does the same job, or less of it, and
// prints a table for each place that output goes to.
//
// Method. All commands of a table run in random order, round after round, the
// output wiped behind each. What is compared is the ratio to `cp -r` of the same
// directory in the same round, and what is printed is the median of the rounds: the
// machine may be noisy as long as it is noisy to all. The input is on disk and in
// the page cache; before each command what earlier ones wrote is flushed, so that
// none pays for another. Peak memory is the operating system's (wait4); it cannot
// be seen below the three megabytes of the process that measures.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == measureFlag {
		measureHere(os.Args[2:])
		return
	}
	if len(os.Args) == 4 && os.Args[1] == copyFlag {
		copyHere(os.Args[2], os.Args[3])
		return
	}
	var o options
	models := flag.String("models", "A0,B1,B3,mobileone-s0", "what to fuse, as bench/gen names it")
	places := flag.String("out", "/dev/shm,bench/out", "where output goes, a table for each")
	flag.StringVar(&o.repfuse, "repfuse", "./repfuse", "the command under test")
	flag.StringVar(&o.python, "python", defaultPython(), "for the rivals; with numpy and torch, or these are left out")
	flag.StringVar(&o.inputs, "in", "bench/out/in", "where the checkpoints are kept")
	flag.IntVar(&o.rounds, "rounds", 9, "counted; one more comes first")
	flag.Parse()
	o.models = list(*models)
	fmt.Println(machine())
	if quiet(o.python, "-c", "import torch") == nil {
		if err := o.kernels(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
	for _, place := range list(*places) {
		if err := o.table(place); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
}

// list is what stands between commas.
func list(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) }

func defaultPython() string {
	if p := os.Getenv("PYTHON"); p != "" {
		return p
	}
	return "python3"
}

type options struct {
	repfuse, python, inputs string
	models                  []string
	rounds                  int
}

// table measures every model with output to one place, and prints a row a command.
func (o options) table(place string) error {
	if err := os.MkdirAll(place, 0o777); err != nil {
		return err
	}
	fmt.Printf("\nOutput to %s (%s), %d rounds.\n\n", place, fileSystem(place), o.rounds)
	fmt.Println("| model | command | wall, ms | × `cp -r` | peak memory, MB |")
	fmt.Println("|---|---|---:|---:|---:|")
	for _, model := range o.models {
		if err := o.rows(model, place); err != nil {
			return err
		}
	}
	return nil
}

// rows measures one model.
func (o options) rows(model, place string) error {
	in, err := o.input(model)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(place, "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for _, row := range rounds(o.jobs(in, work, hasRivals(model)), o.rounds) {
		fmt.Printf("| %s | %s |\n", model, row)
	}
	return nil
}

// input is the checkpoint of a model, made when it is first asked for, and read once
// so that it is in the page cache.
func (o options) input(model string) (string, error) {
	dir := filepath.Join(o.inputs, model)
	if _, err := os.Stat(dir); err != nil {
		if err := os.MkdirAll(o.inputs, 0o777); err != nil {
			return "", err
		}
		made := dir + ".tmp"
		if err := os.RemoveAll(made); err != nil {
			return "", err
		}
		if err := quiet("go", "run", "./bench/gen", "-model", model, made); err != nil {
			return "", err
		}
		if err := os.Rename(made, dir); err != nil {
			return "", err
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, f := range files {
		if _, err := os.ReadFile(filepath.Join(dir, f.Name())); err != nil {
			return "", err
		}
	}
	return dir, nil
}
