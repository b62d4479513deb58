package micro

import (
	"fmt"
	"os"
)

// level is a set of instructions that the loops are written in.
type level uint8

const (
	generic level = iota // plain Go
	avx2                 // AVX2, FMA, F16C
	avx512               // AVX-512 F, BW, DQ, VL
)

var levels = [...]string{"generic", "avx2", "avx512"}

// using is the level that all loops run at. It is set once, before main.
var using, errRequest = choose(os.Getenv("REPFUSE_CPU"), best())

// choose picks the level a user asked for, or the best where that is not to be had.
func choose(name string, best level) (level, error) {
	if name == "" {
		return best, nil
	}
	for l, n := range levels {
		switch {
		case n != name:
		case level(l) > best:
			return best, fmt.Errorf("REPFUSE_CPU=%s: this processor has %s", name, levels[best])
		default:
			return level(l), nil
		}
	}
	return best, fmt.Errorf("REPFUSE_CPU=%s, want generic, avx2 or avx512", name)
}

// CPU names the instructions in use: generic, avx2 or avx512. The error says that
// REPFUSE_CPU asked for others that are not to be had.
func CPU() (string, error) { return levels[using], errRequest }
