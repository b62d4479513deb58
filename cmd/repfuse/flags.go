package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"repfuse"
)

// addTypes declares --dtype.
func addTypes(c *cobra.Command, to *[]string) {
	c.Flags().StringArrayVar(to, "dtype", nil, "`[GLOB=]TYPE`: element type of the floating tensors of DST, all or those whose keys fit: float16, bfloat16, float32, float64")
	words(c, "dtype", "float16", "bfloat16", "float32", "float64")
}

// addSelection declares the flags for a part of a checkpoint.
func addSelection(c *cobra.Command, only, drop *[]string, rest string) {
	c.Flags().StringArrayVar(only, "only", nil, "`GLOB`: keys to look at, such as 'Student.**'; the rest is left out"+rest)
	c.Flags().StringArrayVar(drop, "drop", nil, "`GLOB`: keys that are left out")
}

// reportUsage is what --report of verify, plan and inspect is.
const reportUsage = "`FILE.html`: write all of it as a page, with pictures"

func addReading(c *cobra.Command, r *repfuse.Reading) {
	c.Flags().BoolVar(&r.BFloat16, "bfloat16", false, "take two-byte .npy elements without a type for bfloat16")
	c.Flags().StringVar(&r.State, "state", "", "`NAME`: the dict to read of a file that holds several")
	complete(c, "state", states)
}

func addRecognition(c *cobra.Command, r *repfuse.Recognition) {
	f := c.Flags()
	f.StringArrayVar(&r.Eps, "eps", nil, "`[GLOB=]E`: what batch norms add to the variance, where no fact says it")
	f.StringArrayVar(&r.Identity, "identity", nil, "`[GLOB=]yes|no`: whether blocks add their input, where no key says it")
	f.StringArrayVar(&r.Set, "set", nil, "`[GLOB=]NAME=VALUE`: answer another question that no key answers")
	f.StringArrayVar(&r.Family, "family", nil, "`[GLOB=]NAME[/DIALECT]`: what family blocks are of; none leaves modules as they are, with all below them")
	addFamilies(c, &r.Families)
	f.BoolVar(&r.FoldNorms, "fold-bn", false, "fold every batch norm that stands behind a layer, of any network: nothing stands between, by your word")
	addNetwork(c, &r.Graph, &r.Prefix)
	addSelection(c, &r.Only, &r.Drop, ", or see --rest")
	f.Var(choice{&r.AnyCost, "same", "any"}, "cost", "`same|any`: whether a layer that a graph shows may cost more products than its parts (default same)")
	f.BoolVar(&r.FreezeInputs, "freeze-inputs", false, "take initializers of an .onnx that are inputs too for constants")
	f.StringVar(&r.Plan, "plan", "", "`FILE`: a file that names the blocks by hand (repfuse plan --yaml prints one)")
	f.StringArrayVar(&r.With, "with", nil, "`FILE[=WEIGHT]`: an adapter (LoRA, LoCon; PEFT's directory too) that is merged into the layers; several add up")
	f.Var(choice{&r.KeepRest, "drop", "keep"}, "rest", "`drop|keep`: what becomes of keys that no --only fits (default drop)")
	f.BoolVar(&r.Strict, "strict", false, "assume nothing: what no key, fact or flag says is an error that says what to type")
	addReading(c, &r.Reading)
	yaml(c, "plan")
	words(c, "identity", "yes", "no")
	words(c, "cost", "same", "any")
	words(c, "rest", "drop", "keep")
	complete(c, "family", familyNames)
	complete(c, "set", answers)
}

// addNetwork declares the flags for the graph of a checkpoint's network and for what its keys begin with.
func addNetwork(c *cobra.Command, graph, prefix *string) {
	c.Flags().StringVar(graph, "graph", "", "`FILE`: the network's graph (export.graph of repfuse exporter, a .pt2 or an .onnx): nothing is assumed")
	c.Flags().StringVar(prefix, "prefix", "", "`PREFIX`: what is taken off every key (module. and _orig_mod. go by themselves)")
}

func addFamilies(c *cobra.Command, files *[]string) {
	c.Flags().StringArrayVar(files, "families", nil, "`FILE`: declarations beside the built-in ones")
	yaml(c, "families")
}

// addDestination gives a function that sets what needs reading first.
func addDestination(c *cobra.Command, d *repfuse.Destination, otherwise string) func() error {
	var shardSize string
	f := c.Flags()
	f.StringVar(&d.Format, "format", "", "`npy|safetensors`: what DST holds if it is a directory (default "+otherwise+")")
	f.StringVar(&shardSize, "shard-size", "", "`SIZE`: what a .safetensors shard holds at most, such as 500MB or 2GiB (default 5GB); needs a directory DST")
	f.StringVar(&d.Wrap, "wrap", "", "`KEY`: what a .pth has the state dict under, such as state_dict or params (default none)")
	f.BoolVarP(&d.Force, "force", "f", false, "replace a checkpoint that is at DST")
	f.BoolVar(&d.IfChanged, "if-changed", false, "write nothing if DST is what would be written, byte for byte, record and all; else replace it, as -f does")
	f.BoolVar(&d.Sync, "sync", false, "have everything on the disk before returning")
	words(c, "format", "npy", "safetensors")
	return func() (err error) {
		d.ShardSize, err = parseSize(shardSize)
		return err
	}
}

// units are what a size may end in. As with the transformers library, whose flag
// this is, a GB is 10⁹ bytes.
var units = map[string]float64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// parseSize reads a size such as 5GB as bytes; none is 0.
func parseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	digits := strings.TrimRight(text, "bBkKmMgGtTiI ")
	unit, ok := units[strings.ToLower(strings.TrimSpace(text[len(digits):]))]
	n, err := strconv.ParseFloat(digits, 64)
	if n *= unit; !ok || err != nil || !(n >= 1 && n < math.MaxInt64) {
		return 0, fmt.Errorf("--shard-size %s, want a size such as 500MB, 5GB or 2GiB", text)
	}
	return int64(n), nil
}

// positive is a number of at least 1 as a flag; 0 is the default.
type positive int

func (n *positive) String() string { return strconv.Itoa(int(*n)) }
func (n *positive) Type() string   { return "int" }

func (n *positive) Set(s string) error {
	v, err := strconv.Atoi(s)
	if err != nil || v < 1 {
		return errors.New("want a number of at least 1")
	}
	*n = positive(v)
	return nil
}

// choice is one of two words as a flag; to is set by the second.
type choice struct {
	to      *bool
	no, yes string
}

func (c choice) String() string { return "" }
func (c choice) Type() string   { return "string" }

func (c choice) Set(s string) error {
	if s != c.no && s != c.yes {
		return fmt.Errorf("want %s or %s", c.no, c.yes)
	}
	*c.to = s == c.yes
	return nil
}
