//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// job is a command of a table.
type job struct {
	name string
	argv []string
	env  []string // beside the environment
	out  string   // what it writes, wiped behind it; "" if nothing
}

// copyAndFuse is the two commands that every model is measured with.
func (o options) copyAndFuse(in, work string) []job {
	cp, fuse := filepath.Join(work, "cp"), filepath.Join(work, "fuse")
	return []job{
		{name: "`cp -r`", argv: []string{"cp", "-r", in, cp}, out: cp},
		{name: "`repfuse fuse`", argv: []string{o.repfuse, "fuse", "--quiet", in, fuse}, out: fuse},
	}
}

// jobs is the commands of one model. The first is what the others are compared with.
func (o options) jobs(in, work string) []job {
	out := func(name string) string { return filepath.Join(work, name) }
	fused := out("fused")
	jobs := append(o.copyAndFuse(in, work),
		job{name: "bare copy", argv: []string{"/proc/self/exe", copyFlag, in, out("bare")}, out: out("bare")},
		job{name: "`repfuse --help`", argv: []string{o.repfuse, "--help"}})
	// verify needs something to verify; without it, the table says that fuse failed.
	if quiet(o.repfuse, "fuse", "--quiet", in, fused) == nil {
		jobs = append(jobs, job{name: "`repfuse verify`", argv: []string{o.repfuse, "verify", "--quiet", in, fused}})
	}
	jobs = append(jobs, o.fileJobs(in, work)...)
	if !hasRivals(filepath.Base(in)) {
		return jobs
	}
	for _, library := range []string{"numpy", "torch"} {
		if quiet(o.python, "-c", "import "+library) != nil {
			fmt.Fprintf(os.Stderr, "bench: %s has no %s, which is left out\n", o.python, library)
			continue
		}
		to := out(library)
		jobs = append(jobs, job{
			name: library + " script",
			argv: []string{o.python, "bench/rivals/fuse.py", library, in, to},
			env:  []string{"OMP_NUM_THREADS=" + cores()},
			out:  to,
		})
	}
	if isRepVGG(in) && quiet(o.python, "-c", "import torch") == nil {
		to := out("converted.pth")
		jobs = append(jobs, job{
			name: "torch script that verifies",
			argv: []string{o.python, "bench/rivals/verify.py", in, fused},
			env:  []string{"OMP_NUM_THREADS=" + cores()},
		}, job{
			name: "conversion by model classes, of the .pth",
			argv: []string{o.python, "bench/rivals/convert.py", filepath.Clean(in) + ".pth", to},
			env:  []string{"OMP_NUM_THREADS=" + cores()},
			out:  to,
		})
	}
	return jobs
}

func isRepVGG(in string) bool {
	name := filepath.Base(in)
	return strings.HasPrefix(name, "A") || strings.HasPrefix(name, "B")
}

// fileJobs fuses single files of the same tensors, beside `cp` of the file.
func (o options) fileJobs(in, work string) []job {
	var jobs []job
	for _, ext := range []string{".safetensors", ".pth"} {
		file := filepath.Clean(in) + ext
		if _, err := os.Stat(file); err != nil && quiet(o.repfuse, "convert", "--quiet", in, file) != nil {
			continue
		}
		copied, fused := filepath.Join(work, "cp"+ext), filepath.Join(work, "fused-file"+ext)
		jobs = append(jobs,
			job{name: "`cp` of the " + ext, argv: []string{"cp", file, copied}, out: copied},
			job{name: "`repfuse fuse` of the " + ext, argv: []string{o.repfuse, "fuse", "--quiet", "--force", file, fused}, out: fused})
	}
	return jobs
}

// hasRivals says whether the rivals' script knows the mathematics of a model.
func hasRivals(model string) bool {
	return isRepVGG(model) || strings.HasPrefix(model, "mobileone")
}
