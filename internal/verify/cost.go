package verify

import (
	"fmt"

	"repfuse/internal/hint"
	"repfuse/internal/micro"
	"repfuse/internal/op"
	"repfuse/internal/text"
)

// What running a block may take unless ForceSize is set: bytes of a strip of the image with what its
// kernel sees around it, and multiply-adds of all trials. Of DeepLab's widest layer, 2,048 channels
// dilated 36 times, the 73 rows that a kernel sees take 0.4 GB, and the default size 2·10¹¹.
const (
	mostBytes = 512e6
	mostWork  = 1e12
)

// stripBytes is what a strip may take before it is made lower; a whole image of the default size takes
// less, except where the kernel itself sees more. A variable for tests.
var stripBytes = 26e6

// planes is how many channels of a map a goroutine works in: what it computes of both forms, and on
// the way there.
const planes = 40

// affordable sets how many rows are run at a time, of forms that hold so many channels of maps and take
// so many multiply-adds for an output; or it is an error. All counts are floating: a size may be any
// number.
func (c *comparison) affordable(maps, multiplyAdds int64) error {
	c.height = 1
	around, row, padded := 1.0, 1.0, 1.0
	for a, n := range c.size {
		beside := float64(n) + float64(c.out.Form.Span(a)-1)
		around *= beside
		if a > 0 {
			row, padded = row*float64(n), padded*beside
		}
	}
	// Of each row the image has every channel, and so has its copy with zeros around it.
	in := float64(c.out.Form.In)
	busy := min(c.Jobs, 1+c.out.Form.Out/micro.Rows) // goroutines: each has some channels
	each := 8 * (in*row + (in+float64(maps)+planes*float64(busy))*padded)
	bytes := each
	if len(c.size) > 0 {
		span := c.out.Form.Span(0)
		rows := min(stripBytes/each-float64(span-1), float64(c.size[0]))
		// Lower than a kernel sees, a strip would be made mostly of what its neighbours have too.
		c.height = min((max(int(rows), span, 8)+1)&^1, c.size[0])
		bytes *= float64(c.height) + float64(span-1)
	}
	work := around * float64(multiplyAdds) * float64(c.Trials)
	if c.ForceSize || bytes <= mostBytes && work <= mostWork {
		return nil
	}
	err := fmt.Errorf("images of %s, %d in all, take %.4g GB for %d rows and %.4g multiply-adds, want at most %.4g GB and %.4g",
		text.Extents(c.size), c.Trials, bytes/1e9, c.height, work, mostBytes/1e9, mostWork)
	return hint.Add(err, "--size and --trials make it less, --force-size runs it all the same")
}

// costOf counts the multiply-adds of an expression for one output position, and the
// bytes of the tensors that it reads.
func costOf(e op.Expr, f op.Form) (Cost, demand) {
	var c Cost
	for p := range op.Params(e) {
		c.Bytes += p.Bytes()
	}
	d, _ := op.Fold(demands{}, e, f.In, f.Rank()) // which the plan has checked
	c.MultiplyAdds = d.multiplyAdds
	return c, d
}

// demand is what an expression takes: multiply-adds for one output position, and channels of maps that
// a convolution looks at all of, which are held.
type demand struct{ multiplyAdds, maps int64 }

// demands is one multiply-add for each element of a kernel, and one for each channel that is
// scaled; means count their taps.
type demands struct{}

func (demands) Conv(e op.Conv, f op.Form) (demand, error) {
	d := demand{multiplyAdds: int64(e.Weight.Len())}
	if f.In > f.Groups || e.Transposed {
		d.maps = int64(f.In)
	}
	return d, nil
}
func (demands) BatchNorm(_ op.BatchNorm, f op.Form) (demand, error) {
	return demand{multiplyAdds: int64(f.In)}, nil
}
func (demands) Scale(_ op.Scale, f op.Form) (demand, error) {
	return demand{multiplyAdds: int64(f.In)}, nil
}
func (demands) AvgPool(_ op.AvgPool, f op.Form) (demand, error) {
	return demand{multiplyAdds: int64(f.Taps() * f.In)}, nil
}
func (demands) Shift(op.Shift, op.Form) (demand, error)       { return demand{}, nil }
func (demands) Identity(op.Identity, op.Form) (demand, error) { return demand{}, nil }
func (demands) Select(op.Select, op.Form) (demand, error)     { return demand{}, nil }
func (demands) Seq(parts []demand) (demand, error)            { return total(parts), nil }
func (demands) Sum(parts []demand) (demand, error)            { return total(parts), nil }
func (demands) Concat(parts []demand) (demand, error)         { return total(parts), nil }

func total(parts []demand) (d demand) {
	for _, p := range parts {
		d.multiplyAdds += p.multiplyAdds
		d.maps += p.maps
	}
	return d
}
