package parallel

import "context"

// Crew is what goroutines work with, kept from one list of tasks to the next. Hands are
// made as zero values.
type Crew[Hand any] struct{ hands []*Hand }

// Each is the function Each with a hand for each goroutine. A Crew does one list of tasks
// at a time.
func (c *Crew[Hand]) Each(ctx context.Context, jobs, n int, do func(h *Hand, k int) error) error {
	called := 0
	return Each(ctx, jobs, n, func() func(k int) error {
		if called == len(c.hands) {
			c.hands = append(c.hands, new(Hand))
		}
		h := c.hands[called]
		called++
		return func(k int) error { return do(h, k) }
	})
}

// Hands is all hands that were made so far.
func (c *Crew[Hand]) Hands() []*Hand { return c.hands }
