// Package adapter merges low-rank additions to layers, which lie in checkpoints of their own:
// LoRA and LoCon as PEFT and kohya's scripts write them. A layer W of the base becomes
//
//	W + weight·α/r · up·mid·down
//
// r being the rank, which is the channels that down gives; of use_rslora it is α/√r. It is
// one more maker of blocks: what they come to is an expression as that of any other.
package adapter

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Names of the files that PEFT writes into a directory; the weights of older versions are
// the second.
const (
	ConfigFile = "adapter_config.json"
	Weights    = "adapter_model.safetensors"
	OldWeights = "adapter_model.bin"
)

// Source is where an adapter is read from.
type Source struct {
	// Path is as it was given, Config where its adapter_config.json lies or would lie.
	Path, Config string
	// Weight is what the addition is multiplied by.
	Weight float64
}

// Adapter is one that is to be merged.
type Adapter struct {
	Source
	// Tensors are under plan.AdapterKey of their keys.
	Tensors []tensor.Named
	prefix  string
	config  *config
}

// config is what PEFT's adapter_config.json says.
type config struct {
	Type    string             `json:"peft_type"`
	Alpha   *float64           `json:"lora_alpha"`
	Rank    int                `json:"r"`
	Alphas  map[string]float64 `json:"alpha_pattern"`
	Ranks   map[string]int     `json:"rank_pattern"`
	RSLoRA  bool               `json:"use_rslora"`
	DoRA    bool               `json:"use_dora"`
	Swapped bool               `json:"fan_in_fan_out"` // weights of the base are [in, out]
}

// Parse takes PATH[=WEIGHT] apart.
func Parse(text string) (path string, weight float64, err error) {
	at := strings.LastIndexByte(text, '=')
	if at < 0 {
		return text, 1, nil
	}
	weight, err = strconv.ParseFloat(text[at+1:], 64)
	if err != nil || weight == 0 || math.IsInf(weight, 0) || math.IsNaN(weight) || at == 0 {
		return "", 0, fmt.Errorf("--with %s: the weight is %q, want a number other than 0", text, text[at+1:])
	}
	return text[:at], weight, nil
}

// New is adapter number n, from 1 on, with the text of its adapter_config.json, nil where there is none.
func New(n int, from Source, tensors []tensor.Named, configText []byte) (*Adapter, error) {
	a := &Adapter{Source: from, prefix: plan.AdapterKey(n, "")}
	for _, t := range tensors {
		t.Key = a.prefix + t.Key
		a.Tensors = append(a.Tensors, t)
	}
	if configText == nil {
		return a, nil
	}
	a.config = &config{}
	if err := disk.JSON(configText, a.config); err != nil {
		return nil, fmt.Errorf("%s: %w", from.Config, err)
	}
	switch c := a.config; {
	case c.Type != "" && c.Type != "LORA":
		return nil, unknown(from.Path, c.Type)
	case c.DoRA:
		return nil, unknown(from.Path, "DoRA")
	}
	return a, nil
}

// others is what tells the keys of adapters that are no sum of a base and a product.
var others = []struct{ part, name string }{
	{"lora_magnitude_vector", "DoRA"}, {"dora_scale", "DoRA"}, {"hada_", "LoHa"}, {"lokr_", "LoKr"},
	{"boft_", "BOFT"}, {"oft_", "OFT"}, {"ia3_", "IA3"}, {"vera_lambda", "VeRA"},
}

// unknown is the error of an adapter of another kind.
func unknown(path, kind string) error {
	return hint.Add(fmt.Errorf("%s: is of the kind %s, want LoRA or LoCon", path, kind), "PEFT's merge_and_unload, or the project that wrote it, merges it")
}

// scaling is the α of a module, by PEFT's file, with its rank; ok reports whether there is one.
func (a *Adapter) scaling(module string, rank int) (factor float64, ok bool, err error) {
	c := a.config
	if c == nil || c.Alpha == nil {
		return 0, false, nil
	}
	alpha, want := *c.Alpha, c.Rank
	if key, ok := patternOf(c.Alphas, module); ok {
		alpha = c.Alphas[key]
	}
	if key, ok := patternOf(c.Ranks, module); ok {
		want = c.Ranks[key]
	}
	if want != 0 && want != rank {
		return 0, false, fmt.Errorf("%s: %s: rank %d, want %d as %s says", a.Path, module, rank, want, ConfigFile)
	}
	if c.RSLoRA {
		return alpha / math.Sqrt(float64(rank)), true, nil
	}
	return alpha / float64(rank), true, nil
}

// patternOf is the key of a pattern that holds for a module, as PEFT looks it up: a regular
// expression for the end of its name. Of several the first by bytes.
func patternOf[T any](patterns map[string]T, module string) (string, bool) {
	var keys []string
	for key := range patterns {
		if r, err := regexp.Compile(`^(.*\.)?(` + key + `)$`); err == nil && r.MatchString(module) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return append(keys, "")[0], len(keys) > 0
}
