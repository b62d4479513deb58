// Package health says how fit a kernel is for low precision, from its elements alone.
//
// Fusing makes kernels wide: a batch norm behind a branch scales each channel on its
// own, and the centre taps of an identity whose variance is small stand far above the
// rest. In floating point nothing is lost by that. A quantizer that spreads 255 levels
// over the largest element leaves few for the others: its noise is 52.9 dB −
// 20·lg(largest/σ) below the signal, and small elements vanish. Post-training
// quantization of RepVGG loses 20 points of accuracy by it (Chu et al., "Make RepVGG
// Greater Again", 2022).
package health

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"repfuse/internal/parallel"
	"repfuse/internal/tensor"
)

// Kernel is what is known of one kernel's elements. Channels are the rows of the first
// axis: output channels, or the input channels of a transposed convolution.
type Kernel struct {
	Key      string `json:"key"`
	Shape    []int  `json:"shape"`
	Elements int    `json:"elements"`
	// Min and Max are the range, Sigma the root of the mean square.
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Sigma float64 `json:"sigma"`
	// Median is that of the magnitudes, to within half a percent; Peak is the largest
	// magnitude over it, 0 where it is zero.
	Median float64 `json:"median"`
	Peak   float64 `json:"peak"`
	// Spread is the largest magnitude of all channels over that of the channel in the
	// middle, 0 where that is zero; Channel is the one with the largest.
	Spread  float64 `json:"spread"`
	Channel int     `json:"channel"`
	// Overflow counts the elements that float16 cannot hold.
	Overflow int `json:"overflow"`
	// Vanish is the share of the elements that 255 levels round to zero, with one scale
	// for the kernel and with one for each channel. Where a few elements dominate a
	// kernel they dominate its SNR as well, and only this shows what is lost.
	Vanish        float64 `json:"vanish"`
	VanishChannel float64 `json:"vanish_channel"`
	SNR           SNR     `json:"snr"`
	// Warning says what fewer bits spoil and what to do about it, where they do.
	Warning string `json:"warning,omitempty"`
}

// SNR is the signal-to-noise ratios 10·lg(Σw²/Σ(w−q)²) in decibels, q being w as the
// format holds it. In eight bits q = s·round(w/s) with s = max|w|/127, over the whole
// kernel or over each channel.
type SNR struct {
	Float16     float64 `json:"float16"`
	BFloat16    float64 `json:"bfloat16"`
	Int8Tensor  float64 `json:"int8_tensor"`
	Int8Channel float64 `json:"int8_channel"`
}

// Clean is the ratio where nothing is lost, and the largest that is given.
const Clean = 999.0

// poor is the ratio below which int8 is warned of: the largest element is then above
// 14 σ (a normal distribution's is at 4 or 5, and gives some 40 dB), and a layer's
// output has 3 % of noise. many is the share of vanishing elements that is warned of
// (there: some hundredth).
const (
	poor = 30.0
	many = 0.5
)

// warning says what is wrong with the kernel and what to do about it, or "".
func (k *Kernel) warning() string {
	lost := func(snr, vanish float64) bool { return snr < poor || vanish > many }
	what := func(snr, vanish float64) string {
		return fmt.Sprintf("leaves %.0f dB and makes %.0f %% of the elements zero", snr, 100*vanish)
	}
	switch s := k.SNR; {
	case k.Overflow > 0:
		return fmt.Sprintf("float16 cannot hold %d of its elements: take bfloat16 or float32", k.Overflow)
	case s.Float16 < s.BFloat16:
		return fmt.Sprintf("float16 leaves %.0f dB, as its elements are that small: take bfloat16, which leaves %.0f dB", s.Float16, s.BFloat16)
	case lost(s.Int8Channel, k.VanishChannel):
		return fmt.Sprintf("int8 %s even with a scale for each channel: train with quantization, or leave this layer in float16", what(s.Int8Channel, k.VanishChannel))
	case lost(s.Int8Tensor, k.Vanish):
		return fmt.Sprintf("int8 with one scale %s: quantize per channel, which leaves %.0f dB", what(s.Int8Tensor, k.Vanish), s.Int8Channel)
	}
	return ""
}

// Compare orders kernels for slices.SortFunc, the least fit first: that of which more
// vanishes in int8 with one scale, or as much and its noise is larger.
func Compare(a, b *Kernel) int {
	return cmp.Or(cmp.Compare(b.Vanish, a.Vanish), cmp.Compare(a.SNR.Int8Tensor, b.SNR.Int8Tensor))
}

// Measure measures kernels by at most jobs goroutines, 0 being one for each processor,
// row by row in little memory. One that is not of a floating type, has no axis or no element, or holds what is no
// finite number is an error that names its key.
func Measure(ctx context.Context, kernels []tensor.Named, jobs int) ([]*Kernel, error) {
	all := make([]*Kernel, len(kernels))
	err := parallel.Each(ctx, jobs, len(kernels), func() func(int) error {
		r := &reader{}
		return func(k int) (err error) {
			if all[k], err = r.measure(kernels[k]); err != nil {
				err = fmt.Errorf("%s: %w", kernels[k].Key, err)
			}
			return err
		}
	})
	return all, err
}

// decibels is signal over noise, both sums of squares.
func decibels(signal, noise float64) float64 {
	if noise == 0 {
		return Clean
	}
	return min(Clean, max(-Clean, 10*math.Log10(signal/noise)))
}
