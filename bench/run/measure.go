//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// result is what one run of a command took.
type result struct {
	Wall   time.Duration
	Memory int64  // bytes, at its peak
	Failed string // why, if it did
}

// measureFlag makes this program the one that measures a single command. The kernel
// counts the memory of the process that starts a command as the command's own until
// it is replaced, and never forgets that peak: so the one that starts it is fresh.
const measureFlag = "-measure"

// measureHere runs a command and prints its result as JSON.
func measureHere(argv []string) {
	var stderr bytes.Buffer
	c := exec.Command(argv[0], argv[1:]...)
	c.Stderr = &stderr
	start := time.Now()
	err := c.Run()
	r := result{Wall: time.Since(start)}
	if err != nil {
		r.Failed = fmt.Sprintf("%v: %v: %s", argv, err, stderr.Bytes())
	}
	if c.ProcessState != nil {
		r.Memory = int64(c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) * 1024
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measure runs a job in a process of its own, after flushing what others wrote, and
// wipes its output: the next finds as much memory as it did.
func (j job) measure() (r result) {
	defer func() {
		if err := os.RemoveAll(j.out); err != nil && r.Failed == "" {
			r.Failed = err.Error()
		}
	}()
	syscall.Sync()
	c := exec.Command("/proc/self/exe", append([]string{measureFlag}, j.argv...)...)
	c.Env = append(os.Environ(), j.env...)
	printed, err := c.Output()
	if err == nil {
		err = json.Unmarshal(printed, &r)
	}
	if err != nil {
		r.Failed = err.Error()
	}
	return r
}

// rounds runs the jobs in random order n times and once before, and gives the cells
// of a row for each.
func rounds(jobs []job, n int) []string {
	results := make([][]result, len(jobs))
	for round := range n + 1 {
		for _, i := range rand.Perm(len(jobs)) {
			if r := jobs[i].measure(); round > 0 || r.Failed != "" {
				results[i] = append(results[i], r)
			}
		}
	}
	var rows []string
	for i, j := range jobs {
		rows = append(rows, fmt.Sprintf("%s | %s", j.name, cells(results[i], results[0])))
	}
	return rows
}

// cells is the medians of wall time, of its ratio to the reference's in the same
// round, and of peak memory; or that the command failed, and how on stderr.
func cells(of, reference []result) string {
	var wall, ratio, memory []float64
	for i, r := range of {
		if r.Failed != "" || reference[i].Failed != "" {
			fmt.Fprintln(os.Stderr, "bench:", r.Failed+reference[i].Failed)
			return "failed | |"
		}
		wall = append(wall, r.Wall.Seconds()*1e3)
		ratio = append(ratio, r.Wall.Seconds()/reference[i].Wall.Seconds())
		memory = append(memory, float64(r.Memory)/1e6)
	}
	return fmt.Sprintf("%.1f | %.2f | %.1f", median(wall), median(ratio), median(memory))
}

func median(v []float64) float64 {
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// quiet runs a command, whose output is only in the error.
func quiet(argv ...string) error {
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", argv, err, out)
	}
	return nil
}
