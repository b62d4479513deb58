package report

import (
	"fmt"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/health"
	"repfuse/internal/text"
	"repfuse/internal/verify"
)

// fullBar is the ratio, in dB, that fills a bar: float16 has some 73.
const fullBar = 80

// mostOpen is how many kernels are shown before the page is asked for all.
const mostOpen = 8

// fitness is how well kernels do in low precision, the worst first.
func fitness(all []*health.Kernel) g.Node {
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, health.Compare)
	first, most := min(len(all), mostOpen), min(len(all), mostRows)
	return g.Group{
		h.P(g.Text("What is left of each kernel, as signal over noise in decibels, the least fit first. Forty is what a kernel with " +
			"normally spread weights has in int8, and below thirty a layer’s output has three hundredths of noise. " + warned(all))),
		legend(key("int8", "int8, one scale"), key("channel", "int8, a scale for each channel"), key("bf16", "bfloat16"), key("f16", "float16")),
		g.Map(all[:first], fit),
		g.If(len(all) > mostOpen, h.Details(h.Summary(g.Textf("%d of %d", most, len(all))), g.Map(all[first:most], fit))),
	}
}

// healths is the blocks' kernels that were measured.
func healths(blocks []verify.Block) []*health.Kernel {
	var all []*health.Kernel
	for _, b := range blocks {
		if b.Health != nil {
			all = append(all, b.Health)
		}
	}
	return all
}

// warned says how many of them there are warnings of.
func warned(all []*health.Kernel) string {
	n := 0
	for _, b := range all {
		if b.Warning != "" {
			n++
		}
	}
	if n == 0 {
		return "None has a warning."
	}
	return fmt.Sprintf("%d of %d have a warning.", n, len(all))
}

// fit is one kernel's health.
func fit(k *health.Kernel) g.Node {
	s, warning, class := k.SNR, k.Warning, "fit"
	if warning != "" {
		class += " warned"
	}
	return h.Div(h.Class(class),
		h.H3(soft(text.Module(k.Key))),
		h.Div(h.Class("quad"), ratioBar("int8", s.Int8Tensor), ratioBar("channel", s.Int8Channel), ratioBar("bf16", s.BFloat16), ratioBar("f16", s.Float16)),
		h.P(h.Class("facts"),
			h.B(g.Textf("%.0f / %.0f / %.0f / %.0f dB", s.Int8Tensor, s.Int8Channel, s.BFloat16, s.Float16)),
			g.Textf(" · %s … %s · largest %.3g × the median · widest channel %.3g × the middle one · %.0f %% zero in int8",
				figure(k.Min), figure(k.Max), k.Peak, k.Spread, 100*k.Vanish),
		),
		g.If(warning != "", h.P(h.Class("warning"), g.Text(warning))),
	)
}

// ratioBar is a ratio as a bar of its colour.
func ratioBar(colour string, db float64) g.Node {
	return h.I(h.Class("bar "+colour), h.Style(fmt.Sprintf("width:%.1f%%", 100*min(max(db/fullBar, 0), 1))))
}
