package verify

import (
	"slices"
	"time"

	"repfuse/internal/micro"
)

// enough is how many times of a few channels a median is taken of, at least; passes
// is how often a block of few channels is run for it, at most.
const (
	enough = 9
	passes = 5
)

// sampled is how many output channels are run in float32, at most: what a runtime will
// show is a matter of the fan-in, which all channels of a block share, and the
// verdict does not hang on it. They are some more groups than a median is taken of; the
// largest of so many differences is a twentieth less than that of three times as many.
const sampled = 96

// timed is how many channels are run in float32 at a time: few, so that a median is of
// many, but what the inner loops take at once.
const timed = micro.Rows

// narrow runs both forms in float32, compares them, and takes their time: after the
// float64 run everything is warm, and the two forms take turns on the same threads.
func (c *comparison) narrow(b *Block) error {
	seen := make([]channel, c.out.Form.Out)
	ran := make([]bool, len(seen))
	samples := 0
	err := c.strips(0, true, func(f forms, from int) error {
		watch := &clock{}
		err := c.pass(f, timed, sampled, func(o int, want, got []float64) {
			ran[o] = true
			seen[o].compare(c.limit[o], 0, from, want, got)
		}, watch)
		for n := 1; err == nil && n < passes && len(watch.took[before]) < enough; n++ {
			err = c.pass(f, timed, sampled, func(int, []float64, []float64) {}, watch)
		}
		if err != nil {
			return err
		}
		samples = len(watch.took[before])
		b.Before.Seconds += f.branches.Ahead().Seconds() + watch.total(before)
		b.After.Seconds += f.fused.Ahead().Seconds() + watch.total(after)
		return nil
	})
	if err != nil {
		return err
	}
	s := summarise(seen, b.Size)
	l := c.limit[s.largest.Channel]
	s.largest.Slack = l.float32
	b.Float32 = Float32{Largest: s.largest, Mean: s.mean, Bound: finite(l.derived() + l.float32), Roundings: c.chain.narrow,
		Compared: count(ran), Samples: samples, Channels: min(timed, c.out.Form.Out)}
	return nil
}

func count(list []bool) int {
	n := 0
	for _, b := range list {
		if b {
			n++
		}
	}
	return n
}

// The two forms, as places in a clock.
const (
	before = iota
	after
)

// clock takes the times of the tasks of one or more passes. A nil clock takes none.
type clock struct {
	tasks, groups int
	took          [2][]time.Duration
}

// begin makes room for a pass of n tasks, each a group of channels, of all groups.
func (c *clock) begin(n, groups int) {
	if c != nil {
		c.tasks, c.groups = n, groups
		for form := range c.took {
			c.took[form] = append(c.took[form], make([]time.Duration, n)...)
		}
	}
}

// time does task k of the pass that was begun last.
func (c *clock) time(form, k int, do func() error) error {
	if c == nil {
		return do()
	}
	begin := time.Now()
	err := do()
	took := c.took[form]
	took[len(took)-c.tasks+k] = time.Since(begin)
	return err
}

// total is the median time of a group of channels, times the groups, in seconds.
func (c *clock) total(form int) float64 {
	sorted := slices.Sorted(slices.Values(c.took[form]))
	return sorted[len(sorted)/2].Seconds() * float64(c.groups)
}
