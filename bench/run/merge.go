//go:build linux

package main

import (
	"fmt"
	"os"
)

// merge prints what it costs to merge an adapter into shards of 220 MB. The adapter is the model that is
// named after the base with -lora behind it.
func (o options) merge(place, model string) error {
	adapter, err := o.input(model + "-lora")
	if err != nil {
		return err
	}
	fmt.Printf("\nA LoRA merged into %s, shards of 220 MB, output to %s (%s), %d rounds.\n\n", model, place, fileSystem(place), o.rounds)
	fmt.Println("| command | wall, ms | × `cp -r` | peak memory, MB |")
	fmt.Println("|---|---:|---:|---:|")
	all, err := o.rows(model, place, func(in, work string) []job {
		shards := in + "-shards"
		if _, err := os.Stat(shards); err != nil {
			if err := quiet(o.repfuse, "convert", "--quiet", "--bfloat16", "--shard-size", "220MB", in, shards); err != nil {
				fmt.Fprintln(os.Stderr, "bench:", err)
			}
		}
		jobs := o.copyAndFuse(shards, work)
		jobs[1].name += " --with"
		jobs[1].argv = append(jobs[1].argv, "--with", adapter)
		return jobs
	})
	if err != nil {
		return err
	}
	for _, s := range all {
		fmt.Printf("| %s | %s |\n", s.name, s.cells(all[0]))
	}
	return nil
}
