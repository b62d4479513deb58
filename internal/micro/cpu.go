package micro

import "fmt"

// avx2 says that the loops run in assembly; otherwise they run in plain Go.
var avx2 = hasAVX2

// Use chooses the instructions that all loops run in, in place of the best that the
// processor has: "generic" is plain Go, "avx2" is AVX2 with FMA and F16C. It must not
// run beside a loop. The error is for other names, and for what the processor lacks.
func Use(name string) error {
	switch {
	case name != "generic" && name != "avx2":
		return fmt.Errorf("%q, want generic or avx2", name)
	case name == "avx2" && !hasAVX2:
		return fmt.Errorf("%q, which this processor lacks", name)
	}
	avx2 = name == "avx2"
	return nil
}
