package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"repfuse/internal/checkpoint"
)

// destination is the flags that say how DST is written.
type destination struct {
	format, shardSize string
	force, sync       bool
}

func (d *destination) add(c *cobra.Command, otherwise string) {
	f := c.Flags()
	f.StringVar(&d.format, "format", "", "`npy|safetensors`: what DST holds if it is a directory (default "+otherwise+")")
	f.StringVar(&d.shardSize, "shard-size", "", "`SIZE` of a .safetensors shard at most, such as 500MB or 2GiB (default 5GB); needs a directory DST")
	f.BoolVarP(&d.force, "force", "f", false, "replace a checkpoint that is at DST")
	f.BoolVar(&d.sync, "sync", false, "have everything on the disk before returning")
}

// options is how a checkpoint is made of c; format is that of a directory, where no
// flag says it.
func (d *destination) options(c *checkpoint.Checkpoint, format string) (checkpoint.CreateOptions, error) {
	o := checkpoint.CreateOptions{Format: d.format, Directory: format, Force: d.force, Sync: d.sync, Metadata: c.Metadata}
	if d.format != "" && d.format != "npy" && d.format != "safetensors" {
		return o, fmt.Errorf("--format %s, want npy or safetensors; other formats are files, by their extension", d.format)
	}
	if d.shardSize == "" {
		return o, nil
	}
	if d.format == "npy" {
		return o, fmt.Errorf("--shard-size with --format npy, want safetensors, which alone has shards")
	}
	o.Format = "safetensors"
	var err error
	o.ShardSize, err = parseSize(d.shardSize)
	return o, err
}

// units are what a size may end in. As with the transformers library, whose flag
// this is, a GB is 10⁹ bytes.
var units = map[string]float64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// parseSize reads a size such as 5GB as bytes.
func parseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "bBkKmMgGtTiI ")
	unit, ok := units[strings.ToLower(strings.TrimSpace(text[len(digits):]))]
	n, err := strconv.ParseFloat(digits, 64)
	if n *= unit; !ok || err != nil || !(n >= 1 && n < math.MaxInt64) {
		return 0, fmt.Errorf("--shard-size %s, want a size such as 500MB, 5GB or 2GiB", text)
	}
	return int64(n), nil
}
