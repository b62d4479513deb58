//go:build linux

// Command run times repfuse against what does the same job, or less of it. It prints a
// table for each place that output goes to, one of how the cost grows, one of an
// adapter, two of .onnx, and one of a trace.
//
// Method. All commands of a table run in random order, round after round, the
// output wiped behind each. What is compared is the ratio to `cp -r` of the same
// directory in the same round, and what is printed is the median of the rounds: the
// machine may be noisy as long as it is noisy to all. The input is on disk and in
// the page cache; before each command what earlier ones wrote is flushed, so that
// none pays for another. Peak memory is the operating system's (wait4); it cannot
// be seen below the three megabytes of the process that measures. The scripts are whole
// processes, too: a user who calls one waits for Python and PyTorch to start.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
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
	models := flag.String("models", "A0,B1,B3,mobileone-s0,dbb-r18,unireplknet-s,hifigan", "what to fuse, as bench/gen names it")
	places := flag.String("out", "/dev/shm,bench/out", "where output goes, a table for each")
	flag.StringVar(&o.repfuse, "repfuse", "./repfuse", "the command under test")
	flag.StringVar(&o.python, "python", defaultPython(), "for the rivals; with numpy and torch, or these are left out")
	flag.StringVar(&o.inputs, "in", "bench/out/in", "where the checkpoints are kept")
	growth := flag.String("growth", "A0,A0*2,A0*4,A0*8,A0*16,A0*32,A0*56,huge", "what the growth of the cost is measured with")
	onnx := flag.String("onnx", "mobileone-s0,B1", "what to fuse as .onnx, as bench/gen names it")
	base := flag.String("merge", "tinyllama", "what an adapter is merged into, as bench/gen names it")
	flag.IntVar(&o.rounds, "rounds", 9, "counted; one more comes first")
	flag.Parse()
	o.models = list(*models)
	if err := o.all(list(*places), list(*growth), list(*onnx), *base); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// all measures everything.
func (o options) all(places, growth, onnx []string, base string) error {
	fmt.Println(machine())
	if quiet(o.python, "-c", "import torch") == nil {
		if err := errors.Join(o.kernels(), o.trace()); err != nil {
			return err
		}
	}
	for _, place := range places {
		if err := o.table(place); err != nil {
			return err
		}
	}
	if len(places) == 0 {
		return nil
	}
	if len(growth) > 0 {
		if err := o.growth(places[0], growth); err != nil {
			return err
		}
	}
	if base != "" {
		if err := o.merge(places[0], base); err != nil {
			return err
		}
	}
	if len(onnx) == 0 {
		return nil
	}
	return o.networks(places[0], onnx)
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
		if err := o.printRows("| "+model+" ", model, place, o.jobs); err != nil {
			return err
		}
	}
	return nil
}

// printRows measures one model, and prints a row a command behind its first cells.
func (o options) printRows(first, model, place string, jobs func(in, work string) []job) error {
	all, err := o.rows(model, place, jobs)
	for _, s := range all {
		fmt.Printf("%s| %s | %s |\n", first, s.name, s.cells(all[0]))
	}
	return err
}

// rows measures one model.
func (o options) rows(model, place string, jobs func(in, work string) []job) ([]series, error) {
	in, err := o.input(model)
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(place, "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	return rounds(jobs(in, work), o.rounds), nil
}

// growth measures models of more and more bytes.
func (o options) growth(place string, models []string) error {
	fmt.Printf("\nHow the cost grows, output to %s (%s), %d rounds.\n\n", place, fileSystem(place), o.rounds)
	fmt.Println("| model | MB | `cp -r`, ms | `repfuse fuse`, ms | × `cp -r` | ms a MB | peak memory, MB |")
	fmt.Println("|---|---:|---:|---:|---:|---:|---:|")
	for _, model := range models {
		all, err := o.rows(model, place, func(in, work string) []job { return o.copyAndFuse(in, work) })
		if err != nil {
			return err
		}
		size, err := bytesIn(filepath.Join(o.inputs, model))
		if err != nil {
			return err
		}
		cp, fuse := all[0], all[1]
		if why := cp.failed() + fuse.failed(); why != "" {
			fmt.Fprintln(os.Stderr, "bench:", why)
			fmt.Printf("| %s | %.0f | failed | | | | |\n", model, size/1e6)
			continue
		}
		fmt.Printf("| %s | %.0f | %.1f | %.1f | %.2f | %.2f | %.1f |\n",
			model, size/1e6, cp.wall(), fuse.wall(), fuse.ratio(cp), fuse.wall()/(size/1e6), fuse.memory())
	}
	return nil
}

// bytesIn is the size of the files of a directory.
func bytesIn(dir string) (float64, error) {
	files, err := os.ReadDir(dir)
	n := 0.0
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return 0, err
		}
		n += float64(info.Size())
	}
	return n, err
}

// input is the checkpoint of a model, or its .onnx, made when it is first asked for, and read once
// so that it is in the page cache.
func (o options) input(name string) (string, error) {
	path := filepath.Join(o.inputs, name)
	if _, err := os.Stat(path); err != nil {
		if err := os.MkdirAll(o.inputs, 0o777); err != nil {
			return "", err
		}
		model, network := strings.CutSuffix(name, ".onnx")
		made := path + ".tmp"
		if network {
			made += ".onnx"
		}
		if err := os.RemoveAll(made); err != nil {
			return "", err
		}
		if err := quiet("go", "run", "./bench/gen", "-model", model, made); err != nil {
			return "", err
		}
		if err := os.Rename(made, path); err != nil {
			return "", err
		}
	}
	return path, filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			_, err = os.ReadFile(path)
		}
		return err
	})
}
