//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"repfuse/internal/conv"
	"repfuse/internal/op"
	"repfuse/internal/parallel"
	"repfuse/internal/tensor"
)

// layer is a convolution of square kernels on square images, which lie beside each
// other as one tall one. A width of 1 is a depthwise layer.
type layer struct{ out, width, kernel, size, images int }

// layers are those that blocks are made of.
var layers = []layer{
	{64, 64, 3, 56, 1}, {128, 128, 3, 28, 1}, {256, 256, 3, 14, 1}, {256, 256, 3, 14, 4}, {512, 512, 3, 7, 1}, {2560, 2560, 3, 7, 1},
	{128, 128, 1, 28, 1}, {512, 512, 1, 14, 1}, {1024, 1024, 1, 14, 1},
	{512, 1, 3, 14, 1}, {256, 1, 5, 28, 1}, {256, 1, 31, 28, 1},
}

// kernels prints a row for every layer: PyTorch's time, and repfuse's beside it. They
// take turns, a tenth of a second each; the ratio is the median over the rounds.
func (o options) kernels() error {
	rival := exec.Command(o.python, "bench/rivals/conv.py")
	rival.Env = append(os.Environ(), "OMP_NUM_THREADS="+cores())
	rival.Stderr = os.Stderr
	ask, err := rival.StdinPipe()
	if err != nil {
		return err
	}
	answers, err := rival.StdoutPipe()
	if err != nil {
		return err
	}
	if err := rival.Start(); err != nil {
		return err
	}
	fmt.Printf("\nConvolutions, %s threads, %d rounds.\n\n", cores(), o.rounds)
	fmt.Println("| layer | PyTorch float32, ms | repfuse float32, × that | repfuse float64, × that |")
	fmt.Println("|---|---:|---:|---:|")
	lines := bufio.NewReader(answers)
	for _, l := range layers {
		torch, single, double, err := l.compare(ask, lines, o.rounds)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.3f | %.2f | %.2f |\n", l, torch, single, double)
	}
	ask.Close()
	return rival.Wait()
}

func (l layer) String() string {
	s := fmt.Sprintf("%d×%d, %d→%d, %d×%d", l.kernel, l.kernel, l.width, l.out, l.size, l.size)
	if l.width == 1 {
		s = fmt.Sprintf("%d×%d depthwise, %d, %d×%d", l.kernel, l.kernel, l.out, l.size, l.size)
	}
	if l.images > 1 {
		s += fmt.Sprintf(", %d images", l.images)
	}
	return s
}

// compare gives PyTorch's milliseconds and the ratios of repfuse's to them.
func (l layer) compare(ask io.Writer, answers *bufio.Reader, rounds int) (torch, single, double float64, err error) {
	var times [3][]float64
	for round := range rounds + 1 {
		if _, err := fmt.Fprintln(ask, l.out, l.width, l.kernel, l.size, l.images); err != nil {
			return 0, 0, 0, err
		}
		var rival float64
		if _, err := fmt.Fscanln(answers, &rival); err != nil {
			return 0, 0, 0, fmt.Errorf("bench/rivals/conv.py: %w", err)
		}
		ours := [2]float64{}
		for k, float32 := range []bool{true, false} {
			if ours[k], err = l.time(conv.Options{Float32: float32}); err != nil {
				return 0, 0, 0, err
			}
		}
		if round > 0 {
			times = [3][]float64{append(times[0], rival), append(times[1], ours[0]/rival), append(times[2], ours[1]/rival)}
		}
	}
	return median(times[0]), median(times[1]), median(times[2]), nil
}

// time is the median of the milliseconds that the layer takes.
func (l layer) time(o conv.Options) (float64, error) {
	shape := []int{l.out, l.width, l.kernel, l.kernel}
	kernel := tensor.FromBytes(tensor.F32, shape, []byte(strings.Repeat("\x00\x00\x80\x3d", tensor.Elems(shape)))) // 1/16
	channels := l.width
	if l.width == 1 {
		channels = l.out
	}
	// several images: one below the other, as verify runs them
	image := conv.Random(channels, []int{l.images * l.size, l.size}, 1, 1)
	all := make([]float64, l.out*tensor.Elems(image.Size))
	e := op.Conv{Weight: op.Param{Key: "weight", Tensor: kernel}}
	o.Memory = &conv.Memory{}
	var crew parallel.Crew[conv.Workspace]
	run := func() error {
		runners, err := conv.NewAll([]op.Expr{e}, image, o)
		if err != nil {
			return err
		}
		r := runners[0]
		return errors.Join(pass(&crew, r, all), r.Close())
	}
	var times []float64
	for end := time.Now().Add(100 * time.Millisecond); len(times) < 3 || time.Now().Before(end); {
		start := time.Now()
		if err := run(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start).Seconds()*1e3)
	}
	return median(times), nil
}

// pass computes all channels of r once, by all processors.
func pass(crew *parallel.Crew[conv.Workspace], r *conv.Runner, all []float64) error {
	jobs := runtime.GOMAXPROCS(0)
	size := r.Share(jobs)
	return crew.Each(context.Background(), jobs, (r.Channels()+size-1)/size, func(space *conv.Workspace, i int) error {
		return r.Rows(space, i*size, min((i+1)*size, r.Channels()), all[i*size*r.Elems():])
	})
}

// trace prints what the exporter's trace costs beside the import of PyTorch.
func (o options) trace() error {
	out, err := exec.Command(o.python, "bench/rivals/trace.py", strconv.Itoa(o.rounds)).Output()
	if err != nil {
		return fmt.Errorf("bench/rivals/trace.py: %w", err)
	}
	fmt.Printf("\nThe trace of a network of ResNet-50's size, %d rounds; goal below 1 × the import.\n\n", o.rounds)
	fmt.Printf("| import torch, s | export.graph, s | × the import |\n|---:|---:|---:|\n| %s |\n", strings.TrimSpace(string(out)))
	return nil
}
