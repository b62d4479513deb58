//go:build linux

package main

import (
	"fmt"
	"os"
)

// merge prints what it costs to merge an adapter into shards of 220 MB. The adapter is the model that is
// named after the base with -lora behind it.
func (o options) merge(place, model string) error {
	in, err := o.input(model)
	if err != nil {
		return err
	}
	adapter, err := o.input(model + "-lora")
	if err != nil {
		return err
	}
	shards := in + "-shards"
	if _, err := os.Stat(shards); err != nil {
		if err := quiet(o.repfuse, "convert", "--quiet", "--bfloat16", "--shard-size", "220MB", in, shards); err != nil {
			return err
		}
	}
	fmt.Printf("\nA LoRA merged into %s, shards of 220 MB, output to %s (%s), %d rounds.\n\n", model, place, fileSystem(place), o.rounds)
	fmt.Println("| command | wall, ms | × `cp -r` | peak memory, MB |")
	fmt.Println("|---|---:|---:|---:|")
	return o.printRows("", model, place, func(_, work string) []job {
		jobs := o.copyAndFuse(shards, work)
		jobs[1].name += " --with"
		jobs[1].argv = append(jobs[1].argv, "--with", adapter)
		return jobs
	})
}
