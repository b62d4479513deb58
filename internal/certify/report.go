package certify

import (
	"fmt"

	"repfuse/internal/op"
)

// Verdict is how a stored tensor compares with the real fused value.
type Verdict string

// The verdicts, from best to worst.
const (
	// Exact: every element is within 0.501 ulp of the real value.
	Exact Verdict = "exact"
	// Equivalent: every element is within what an ordinary computation in the element
	// type explains.
	Equivalent Verdict = "equivalent"
	// Different: anything else, however small.
	Different Verdict = "different"
)

var severity = map[Verdict]int{Exact: 0, Equivalent: 1, Different: 2}

// Worse is the worse of two verdicts.
func (v Verdict) Worse(w Verdict) Verdict {
	if severity[w] > severity[v] {
		return w
	}
	return v
}

// Report is what Run found.
type Report struct {
	// Verdict is the worst of the blocks'.
	Verdict Verdict `json:"verdict"`
	Range   float64 `json:"range"`
	Blocks  []Block `json:"blocks"`
	// Largest is the block with the largest certified difference, Worst the one whose
	// worst element is the worst of all, as places in Blocks; −1 is none.
	Largest int `json:"largest"`
	Worst   int `json:"worst"`
}

func (r *Report) add(b Block) {
	r.Verdict = r.Verdict.Worse(b.Verdict)
	r.Blocks = append(r.Blocks, b)
	k := len(r.Blocks) - 1
	if r.Largest < 0 || b.Bound.Value > r.Blocks[r.Largest].Bound.Value {
		r.Largest = k
	}
	if r.Worst < 0 || b.worseThan(r.Blocks[r.Worst]) {
		r.Worst = k
	}
}

// worseThan compares verdicts, then worst elements.
func (b Block) worseThan(c Block) bool {
	if b.Verdict != c.Verdict {
		return severity[b.Verdict] > severity[c.Verdict]
	}
	return b.Worst.worseThan(c.Worst)
}

// Block is the certificate of one fused convolution.
type Block struct {
	// Path is the block's module, Weight and Bias the keys of the convolution.
	Path   string `json:"path"`
	Family string `json:"family"`
	Weight string `json:"weight"`
	Bias   string `json:"bias,omitempty"`
	// Type is the element type of the stored kernel.
	Type    string  `json:"type"`
	Verdict Verdict `json:"verdict"`
	// Skipped says why nothing could be certified; the verdict is different then.
	Skipped string `json:"skipped,omitempty"`
	// Bound is the largest difference of all output channels.
	Bound Bound `json:"bound"`
	// Channels is the bound of every output channel.
	Channels []float64 `json:"channels,omitempty"`
	// Exact, Equivalent and Different count the elements of kernel and bias.
	Exact      int `json:"exact"`
	Equivalent int `json:"equivalent"`
	Different  int `json:"different"`
	// Worst is the element that decides the verdict.
	Worst Element `json:"worst"`
	// Kernel and BiasRoundings is the n of γₙ, see Element.
	KernelRoundings op.Roundings `json:"kernel_roundings"`
	BiasRoundings   op.Roundings `json:"bias_roundings"`
	// Epsilons and Identities is what a wrong guess would cost.
	Epsilons   []Epsilon  `json:"epsilons,omitempty"`
	Identities []Identity `json:"identities,omitempty"`
}

// Bound is the largest possible difference between the two forms in one output
// channel.
type Bound struct {
	Value   float64 `json:"value"`
	Channel int     `json:"channel"`
	// Kernel is R·Σ|ΔW|, Bias |Δb|; Own, which is part of both, is the bound of the
	// certificate's own error.
	Kernel float64 `json:"kernel"`
	Bias   float64 `json:"bias"`
	Own    float64 `json:"own"`
}

// Element is one stored element beside the real value.
type Element struct {
	Key string `json:"key"`
	// Index is the element's place, one number an axis.
	Index   []int   `json:"index"`
	Verdict Verdict `json:"verdict"`
	Stored  float64 `json:"stored"`
	Real    float64 `json:"real"`
	// Difference is |Stored − Real|, known to within Own; Ulps is the same in units in
	// the last place of the element type at Real.
	Difference float64 `json:"difference"`
	Own        float64 `json:"own"`
	Ulps       float64 `json:"ulps"`
	// Allowed is the most that an ordinary computation explains: Rounding, half an ulp
	// of the result, and Arithmetic, γₙ·Terms. Terms is Σ|terms| of the element.
	// They are zero where the element is exact, as nothing had to be explained.
	Allowed    float64 `json:"allowed"`
	Rounding   float64 `json:"rounding"`
	Arithmetic float64 `json:"arithmetic"`
	Terms      float64 `json:"terms"`
}

// worseThan orders elements by their verdicts; those that are not exact by how much
// of what is allowed they take, exact ones by their ulps.
func (e Element) worseThan(f Element) bool {
	switch {
	case e.Verdict != f.Verdict:
		return severity[e.Verdict] > severity[f.Verdict]
	case e.Verdict == Exact:
		return e.Ulps > f.Ulps
	case e.Difference*f.Allowed != f.Difference*e.Allowed:
		return e.Difference*f.Allowed > f.Difference*e.Allowed
	default:
		return e.Difference > f.Difference
	}
}

// String is the element as a sentence.
func (e Element) String() string {
	return fmt.Sprintf("%s%v is %g, want %g (%.3g ulp off)", e.Key, e.Index, e.Stored, e.Real, e.Ulps)
}

// Epsilon is what another ε would change in one block.
type Epsilon struct {
	// Used is the ε that was taken, Other the one that it might be.
	Used  float64 `json:"used"`
	Other float64 `json:"other"`
	// Change is the worst relative change of a channel's scale γ/√(σ²+ε), and where it
	// is: the variance's key and the channel.
	Change  float64 `json:"change"`
	Key     string  `json:"key"`
	Channel int     `json:"channel"`
}

// Identity is what the other answer to a question about a branch without keys would
// change.
type Identity struct {
	// Name, Value and By are the question, its answer and who gave it.
	Name  string `json:"name"`
	Value string `json:"value"`
	By    string `json:"by"`
	// Change is the largest change of an output, over |x| ≤ R, and its channel; Output
	// is the largest that output could be.
	Change  float64 `json:"change"`
	Channel int     `json:"channel"`
	Output  float64 `json:"output"`
}
