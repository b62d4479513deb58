package verify

import (
	"fmt"
	"hash/fnv"

	"repfuse/internal/conv"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// image is some rows of the input of a trial.
type image struct {
	trial, from, to int
	conv.Map
}

// rows makes rows from to to-1 of a trial's input, where it is not what was made last. They hang on
// nothing but the seed, the trial and the block's key, so that one block can be looked at by itself.
func (c *comparison) rows(trial, from, to int) conv.Map {
	if m := &c.image; m.Data == nil || m.trial != trial || m.from != from || m.to != to {
		h := fnv.New64a()
		fmt.Fprint(h, c.Seed, " ", trial, " ", c.out.Weight)
		noise := conv.Noise{Channels: c.out.Form.In, Size: c.size, Limit: c.Range, Seed: h.Sum64()}
		c.pixels = tensor.Sized(c.pixels, 0)
		*m = image{trial, from, to, noise.Rows(from, to, c.pixels)}
		c.pixels = m.Data
	}
	return c.image.Map
}

// strips runs both forms on the strips of a trial's image, from the first row to the last. do is given
// both, and the place of a strip's first output among the image's.
func (c *comparison) strips(trial int, float32 bool, do func(f forms, from int) error) error {
	exprs := []op.Expr{c.out.Expr, c.stored}
	o := conv.Options{Jobs: c.Jobs, Float32: float32, Memory: &c.memory}
	if len(c.size) == 0 {
		return c.strip(exprs, c.rows(trial, 0, 1), o, func(f forms) error { return do(f, 0) })
	}
	lo, hi, err := conv.Reach(exprs, c.out.Form.In, len(c.size))
	if err != nil {
		return err
	}
	n, row := c.size[0], tensor.Elems(c.size[1:])
	for a := 0; a < n; a += c.height {
		b := min(n, a+c.height)
		o.Strip = &conv.Strip{Size: c.size, From: a, To: b}
		part := c.rows(trial, max(a+lo, 0), min(b+hi, n))
		if err := c.strip(exprs, part, o, func(f forms) error { return do(f, a*row) }); err != nil {
			return err
		}
	}
	return nil
}

// strip has do run both forms, which share what they make of a part of the image.
func (c *comparison) strip(exprs []op.Expr, part conv.Map, o conv.Options, do func(f forms) error) error {
	both, err := conv.NewAll(exprs, part, o)
	if err != nil {
		return err
	}
	err = do(forms{both[0], both[1]})
	for _, r := range both {
		if e := r.Close(); err == nil {
			err = e
		}
	}
	return err
}
