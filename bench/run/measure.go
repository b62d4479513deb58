//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
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

// series is what the rounds of one job gave.
type series struct {
	job
	results []result
}

// rounds runs the jobs in random order n times and once before.
func rounds(jobs []job, n int) []series {
	all := make([]series, len(jobs))
	for i, j := range jobs {
		all[i].job = j
	}
	for round := range n + 1 {
		for _, i := range rand.Perm(len(jobs)) {
			if r := all[i].measure(); round > 0 || r.Failed != "" {
				all[i].results = append(all[i].results, r)
			}
		}
	}
	return all
}

// failed is why a run failed, if one did.
func (s series) failed() string {
	for _, r := range s.results {
		if r.Failed != "" {
			return r.Failed
		}
	}
	return ""
}

// wall is the median of the milliseconds.
func (s series) wall() float64 {
	var all []float64
	for _, r := range s.results {
		all = append(all, r.Wall.Seconds()*1e3)
	}
	return median(all)
}

// ratio is the median of the ratios to a rival's wall time in the same round.
func (s series) ratio(rival series) float64 {
	var all []float64
	for k, r := range s.results {
		all = append(all, r.Wall.Seconds()/rival.results[k].Wall.Seconds())
	}
	return median(all)
}

// memory is the median of the peaks, in megabytes.
func (s series) memory() float64 {
	var all []float64
	for _, r := range s.results {
		all = append(all, float64(r.Memory)/1e6)
	}
	return median(all)
}

// cells is the medians of wall time, of its ratio to the reference's, and of peak
// memory; or that the command failed, and how on stderr.
func (s series) cells(reference series) string {
	for _, why := range []string{s.failed(), reference.failed()} {
		if why != "" {
			fmt.Fprintln(os.Stderr, "bench:", why)
			return "failed | |"
		}
	}
	return fmt.Sprintf("%.1f | %.2f | %.1f", s.wall(), s.ratio(reference), s.memory())
}

// median is NaN of nothing.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
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
