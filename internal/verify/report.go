package verify

import (
	"fmt"

	"repfuse/internal/health"
	"repfuse/internal/op"
)

// Report is what Run found.
type Report struct {
	// Passed reports whether there is no finding and every block passed.
	Passed bool    `json:"passed"`
	Seed   uint64  `json:"seed"`
	Trials int     `json:"trials"`
	Range  float64 `json:"range"`
	// Findings is what is wrong with keys, shapes and what passes through.
	Findings []Finding `json:"findings"`
	// Through counts the tensors that pass through.
	Through Through `json:"through"`
	Blocks  []Block `json:"blocks"`
	// Largest is the block with the largest absolute difference, Nearest the one that
	// comes nearest its tolerance or exceeds it most, as places in Blocks; −1 is none.
	Largest int `json:"largest"`
	Nearest int `json:"nearest"`
	// Before and After are the blocks' costs added up.
	Before Cost `json:"before"`
	After  Cost `json:"after"`
}

// Through is what passes through a fusion, and what does not.
type Through struct {
	Tensors int   `json:"tensors"`
	Bytes   int64 `json:"bytes"`
	// Dropped is how many of the source's tensors the result does not have, besides those that
	// were fused.
	Dropped int `json:"dropped"`
	// Converted is how many of the tensors have another element type than they came with.
	Converted int `json:"converted"`
}

// The kinds of Finding.
const (
	Missing    = "missing"    // the plan has the key, the result has not
	Unexpected = "unexpected" // the other way round
	Shape      = "shape"
	Type       = "type"
	Value      = "value"  // an element of a tensor that passes through
	Node       = "node"   // of the network that holds the tensors
	Record     = "record" // the record says something else of the key than its source shows
)

// Finding is something that is wrong with one key of the result.
type Finding struct {
	Kind string `json:"kind"`
	Key  string `json:"key"`
	// Got and Want are the two shapes, types or values, as text.
	Got  string `json:"got,omitempty"`
	Want string `json:"want,omitempty"`
	// Index is the place of a value, one number an axis.
	Index []int `json:"index,omitempty"`
}

// String is the finding as a sentence.
func (f Finding) String() string {
	switch f.Kind {
	case Missing:
		return fmt.Sprintf("%s is missing, want it of shape %s", f.Key, f.Want)
	case Unexpected:
		return fmt.Sprintf("%s of shape %s is not on the plan", f.Key, f.Got)
	case Shape:
		return fmt.Sprintf("%s has shape %s, want %s", f.Key, f.Got, f.Want)
	case Type:
		return fmt.Sprintf("%s has element type %s, want %s", f.Key, f.Got, f.Want)
	case Node:
		return fmt.Sprintf("%s: %s, want %s", f.Key, f.Got, f.Want)
	case Record:
		return recordSays(f)
	default:
		return fmt.Sprintf("%s%v is %s, want %s", f.Key, f.Index, f.Got, f.Want)
	}
}

// recordSays is what a record says against what its source shows.
func recordSays(f Finding) string {
	switch {
	case f.Want == "" && f.Got != "":
		return fmt.Sprintf("%s: the record has %s, the source itself shows no such thing", f.Key, f.Got)
	case f.Got == "":
		return fmt.Sprintf("%s: the source itself shows %s, the record has nothing of it", f.Key, f.Want)
	}
	return fmt.Sprintf("%s: the record has %s, the source itself shows %s", f.Key, f.Got, f.Want)
}

// Block is the comparison of one fused convolution with its branches.
type Block struct {
	// Path is the block's module, Weight and Bias the keys of the convolution.
	Path   string `json:"path"`
	Family string `json:"family"`
	Weight string `json:"weight"`
	Bias   string `json:"bias,omitempty"`
	// Type is the element type of the stored kernel.
	Type string `json:"type"`
	// Size is the image's extents.
	Size []int `json:"size"`
	// Skipped says why the block was not run; it has not passed then.
	Skipped string `json:"skipped,omitempty"`
	Passed  bool   `json:"passed"`
	// Elements is how many outputs were compared, over all trials.
	Elements int `json:"elements"`
	// Largest is the largest absolute difference of the float64 runs, Nearest the one
	// that is largest against its channel's tolerance.
	Largest Place `json:"largest"`
	Nearest Place `json:"nearest"`
	// Relative is Largest's difference divided by the branches' largest output in magnitude, Mean
	// the mean difference.
	Relative float64 `json:"relative"`
	Mean     float64 `json:"mean"`
	// Tolerance is that of Nearest's channel.
	Tolerance Tolerance `json:"tolerance"`
	Float32   Float32   `json:"float32"`
	Before    Cost      `json:"before"`
	After     Cost      `json:"after"`
	// Health is there where Options asked for it.
	Health *health.Kernel `json:"health,omitempty"`
}

// Place is an output at which the two forms differ.
type Place struct {
	Difference float64 `json:"difference"`
	Trial      int     `json:"trial"`
	Channel    int     `json:"channel"`
	// Position is in the image, one number an axis.
	Position []int `json:"position"`
	// Branches and Fused are the two forms' outputs.
	Branches float64 `json:"branches"`
	Fused    float64 `json:"fused"`
	// Slack is what the two runs themselves may err by: the difference never exceeds
	// the certified one by more.
	Slack float64 `json:"slack"`
}

// The rules that a Tolerance may follow.
const (
	Derived   = "derived"   // Rounding + Arithmetic + Slack
	Requested = "requested" // Atol + Rtol·|b|
)

// Tolerance is the largest difference that is accepted, and what it is made of.
type Tolerance struct {
	Rule  string  `json:"rule"`
	Value float64 `json:"value"`
	// Rounding is what storing each element once, rounded, explains:
	// u·(R·Σ|w| + |b|) over the stored elements of the channel.
	Rounding float64 `json:"rounding"`
	// Arithmetic is what fusing in the element type explains: γₙ·Σ|terms|, with n as
	// Roundings counts it and the magnitude of all terms together in Terms.
	Arithmetic float64      `json:"arithmetic"`
	Roundings  op.Roundings `json:"roundings"`
	Terms      float64      `json:"terms"`
	// Slack is what the two float64 runs themselves may err by.
	Slack float64 `json:"slack"`
	Atol  float64 `json:"atol,omitempty"`
	Rtol  float64 `json:"rtol,omitempty"`
}

// Float32 is what a runtime will show: the same comparison with every operation
// rounded to float32, on the first image.
type Float32 struct {
	Largest Place   `json:"largest"`
	Mean    float64 `json:"mean"`
	// Bound is what the roundings of the two runs can come to in Largest's channel,
	// with the tolerance on top: γₙ for Roundings, the length of the longest chain.
	Bound     float64 `json:"bound"`
	Roundings int     `json:"roundings"`
	// Compared is how many output channels were run, spread evenly over all.
	Compared int `json:"compared"`
	// Samples is how many runs of Channels channels the times are medians of.
	Samples  int `json:"samples"`
	Channels int `json:"channels"`
}

// Cost is what one form takes.
type Cost struct {
	// MultiplyAdds is for one output position at stride 1.
	MultiplyAdds int64 `json:"multiply_adds"`
	// Bytes is the stored size of the tensors read.
	Bytes int64 `json:"bytes"`
	// Seconds is the time of one float32 run on one thread: what must be computed of
	// all channels first, and the median time of a few channels times their number.
	Seconds float64 `json:"seconds"`
}

func (c *Cost) add(d Cost) {
	c.MultiplyAdds += d.MultiplyAdds
	c.Bytes += d.Bytes
	c.Seconds += d.Seconds
}

// sum fills what the report says of all blocks together.
func (r *Report) sum() {
	r.Passed = len(r.Findings) == 0
	r.Largest, r.Nearest = -1, -1
	for k, b := range r.Blocks {
		r.Passed = r.Passed && b.Passed
		r.Before.add(b.Before)
		r.After.add(b.After)
		if b.Skipped != "" {
			continue
		}
		if r.Largest < 0 || b.Largest.Difference > r.Blocks[r.Largest].Largest.Difference {
			r.Largest = k
		}
		if r.Nearest < 0 || b.Excess() > r.Blocks[r.Nearest].Excess() {
			r.Nearest = k
		}
	}
}

// Excess is how much of its tolerance the nearest difference takes: above 1 the
// block has not passed.
func (b Block) Excess() float64 { return excess(b.Nearest.Difference, b.Tolerance.Value) }
