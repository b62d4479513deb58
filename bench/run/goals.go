//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// findings is what was measured, for the table of goals.
type findings struct {
	dense     []float64 // float32 layers, as ratios to PyTorch's time
	depthwise float64   // the one of 31×31
	of        map[string][]series
}

func (f *findings) add(place, model string, all []series) {
	if f.of == nil {
		f.of = map[string][]series{}
	}
	f.of[place+" "+model] = all
}

// job is a command's measurements; of no rounds where it was not run or failed.
func (f *findings) job(place, model, name string) series {
	for _, s := range f.of[place+" "+model] {
		if s.name == name && s.failed() == "" {
			return s
		}
	}
	return series{}
}

// goal is a line of what is to be reached: by repfuse's command and the rival's where
// output goes to a place, for each of some models.
type goal struct {
	work, place    string
	models         string
	command, rival string
	most           float64
}

const repVGGs = "A0 B1 B3"

// goals are ratios of wall times, at the most.
var goals = []goal{
	{"fuse", "tmpfs", repVGGs, fusing, copying, 0.70},
	{"fuse", "ext4", repVGGs, fusing, copying, 0.45},
	{"fuse a .safetensors", "tmpfs", "B1 B3", fusingFile(".safetensors"), copyingFile(".safetensors"), 1.0},
	{"fuse a .pth", "tmpfs", "B1 B3", fusingFile(".pth"), copyingFile(".pth"), 1.1},
	{"fuse a .safetensors", "ext4", "B1 B3", fusingFile(".safetensors"), copyingFile(".safetensors"), 0.75},
	{"fuse a .pth", "ext4", "B1 B3", fusingFile(".pth"), copyingFile(".pth"), 0.75},
	{"fuse", "tmpfs", repVGGs, fusing, torchScript, 1.0 / 20},
	{"fuse a .pth", "tmpfs", repVGGs, fusingFile(".pth"), torchConvert, 1.0 / 20},
	{"fuse", "tmpfs", repVGGs, fusing, numpyScript, 1.0 / 3},
	{"fuse", "tmpfs", "mobileone-s0 unireplknet-s dbb-r18", fusing, copying, 1.0},
	{"fuse", "ext4", "mobileone-s0 unireplknet-s dbb-r18", fusing, copying, 1.0},
	{"verify at 14×14", "tmpfs", "B3", verifying, torchVerify, 0.35},
}

// print prints what was to be reached and what was.
func (f *findings) print() {
	fmt.Print("\nWhat it comes to.\n\n| work | rival | goal | here |\n|---|---|---:|---:|\n")
	for _, g := range goals {
		fmt.Printf("| %s: %s, %s | %s | %s | %s |\n", strings.ReplaceAll(g.models, " ", ", "), g.work, g.place, g.rival, share(g.most), f.ratios(g))
	}
	if len(f.dense) > 0 {
		logs := 0.0
		for _, r := range f.dense {
			logs += math.Log(r) / float64(len(f.dense))
		}
		fmt.Printf("| dense 3×3 and 1×1 convolutions in float32 | PyTorch, %s threads | 1.0, none above 1.15 | %.2f (geometric mean), %.2f |\n",
			cores(), math.Exp(logs), slices.Max(f.dense))
		fmt.Printf("| depthwise 31×31 | PyTorch | 0.05 | %.2f |\n", f.depthwise)
	}
	fmt.Printf("| peak memory of fuse, all models and formats above | – | 16 MB | %s |\n", f.memory(fusing, fusingFile(".safetensors"), fusingFile(".pth")))
	fmt.Printf("| peak memory of verify | – | 32 MB | %s |\n", f.memory(verifying))
	fmt.Printf("| `repfuse --help` | – | 5 ms | %s |\n", f.help())
}

// ratios is one for each model.
func (f *findings) ratios(g goal) string {
	var all []string
	for model := range strings.FieldsSeq(g.models) {
		ours, rival := f.job(g.place, model, g.command), f.job(g.place, model, g.rival)
		if len(ours.results) == 0 || len(rival.results) == 0 {
			all = append(all, "–")
			continue
		}
		r := ours.ratio(rival)
		if g.most < 0.34 {
			all = append(all, fmt.Sprintf("1/%.1f", 1/r))
		} else {
			all = append(all, fmt.Sprintf("%.2f", r))
		}
	}
	return strings.Join(all, ", ")
}

// share is a ratio as people write it.
func share(r float64) string {
	if r < 0.34 {
		return fmt.Sprintf("1/%.0f", 1/r)
	}
	return fmt.Sprintf("%.2f", r)
}

// memory is the least and the most megabytes of some commands.
func (f *findings) memory(names ...string) string {
	least, most := math.Inf(1), 0.0
	for _, all := range f.of {
		for _, s := range all {
			if slices.Contains(names, s.name) && s.failed() == "" {
				least, most = min(least, s.memory()), max(most, s.memory())
			}
		}
	}
	if most == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f to %.1f MB", least, most)
}

// help is the milliseconds of starting up, at the least and at the most.
func (f *findings) help() string {
	var all []float64
	for _, measured := range f.of {
		for _, s := range measured {
			if s.name == helping && s.failed() == "" {
				all = append(all, s.wall())
			}
		}
	}
	if len(all) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f to %.1f ms", slices.Min(all), slices.Max(all))
}
