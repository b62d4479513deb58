//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// simplifier is the version of npm's onnxsim that repfuse is compared with: WebAssembly, the one form
// of it that installs without a compiler or Python.
const simplifier = "onnxsim@0.7.3"

// networks prints what fusing an .onnx costs, and what it gains in onnxruntime. Rivals that are not there
// are left out, with a line on stderr.
func (o options) networks(place string, models []string) error {
	modules := o.modules()
	fmt.Printf("\n.onnx, output to %s (%s), %d rounds.\n\n", place, fileSystem(place), o.rounds)
	fmt.Println("| model | command | wall, ms | × `cp` | peak memory, MB |")
	fmt.Println("|---|---|---:|---:|---:|")
	for _, model := range models {
		jobs := func(in, work string) []job { return o.networkJobs(in, work, modules) }
		if err := o.printRows("| "+model+" ", model+".onnx", place, jobs); err != nil {
			return err
		}
	}
	return o.inference(place, models)
}

// networkJobs is the commands of one model. The first is what the others are compared with.
func (o options) networkJobs(in, work, modules string) []job {
	out := func(name string) string { return filepath.Join(work, name+".onnx") }
	jobs := []job{
		{name: "`cp`", argv: []string{"cp", in, out("cp")}, out: out("cp")},
		{name: "`repfuse fuse`", argv: []string{o.repfuse, "fuse", "--quiet", "--force", in, out("fused")}, out: out("fused")},
		{name: "`repfuse --help`", argv: []string{o.repfuse, "--help"}},
	}
	if modules != "" {
		jobs = append(jobs, job{name: simplifier, argv: []string{"node", "bench/rivals/simplify.mjs", modules, in, out("simple")}, out: out("simple")})
	}
	return jobs
}

// modules is where npm's onnxsim is, installed when it is first asked for; "" where that fails.
func (o options) modules() string {
	dir, err := filepath.Abs(filepath.Join(filepath.Dir(o.inputs), "npm"))
	modules := filepath.Join(dir, "node_modules")
	if _, none := os.Stat(filepath.Join(modules, "onnxsim")); err == nil && none != nil {
		err = errors.Join(os.MkdirAll(dir, 0o777), quiet("npm", "install", "--prefix", dir, "--ignore-scripts", simplifier))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s is left out: %v\n", simplifier, err)
		return ""
	}
	return modules
}

// inference prints what an image takes in onnxruntime before and after. REPFUSE_ORT_PYTHON is the
// command, of several words perhaps, that is a Python with onnxruntime.
func (o options) inference(place string, models []string) error {
	python := strings.Fields(os.Getenv("REPFUSE_ORT_PYTHON"))
	if len(python) == 0 {
		python = []string{o.python}
	}
	if err := quiet(append(python, "-c", "import onnxruntime")...); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s has no onnxruntime, which is left out; REPFUSE_ORT_PYTHON is one that has\n", python)
		return nil
	}
	script, err := os.ReadFile("bench/rivals/ort.py")
	if err != nil {
		return err
	}
	argv := append(python, "-c", string(script))
	fmt.Printf("\nAn image of 224×224 in onnxruntime, one thread, %d rounds.\n\n", o.rounds)
	fmt.Println("| model | as trained, ms | fused, ms | × as trained | largest difference, of the largest output |")
	fmt.Println("|---|---:|---:|---:|---:|")
	for _, model := range models {
		row, err := o.both(argv, filepath.Join(o.inputs, model+".onnx"), place)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %s |\n", model, row)
	}
	return nil
}

// both fuses a model and runs the script on the two, which it reads from its input, so that it may
// live in a root of its own.
func (o options) both(argv []string, train, place string) (string, error) {
	work, err := os.MkdirTemp(place, "bench-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	fused := filepath.Join(work, "fused.onnx")
	if err := quiet(o.repfuse, "fuse", "--quiet", train, fused); err != nil {
		return "", err
	}
	var in bytes.Buffer
	for _, path := range []string{train, fused} {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&in, len(b))
		in.Write(b)
	}
	c := exec.Command(argv[0], append(argv[1:], strconv.Itoa(o.rounds))...)
	var stderr bytes.Buffer
	c.Stdin, c.Stderr = &in, &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("bench/rivals/ort.py: %w\n%s", err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}
