package tensor

import "fmt"

// What the tensors of a file may weigh: so many times what the file does, for those that share
// bytes or were compressed, and so much more, for small files of zeros.
const (
	mostRatio = 64
	mostSlack = 32 << 20
)

// Weigh is an error where tensors make much more of a file than its size in bytes: a stride
// of 0 or a long run of zeros makes terabytes of nothing.
func Weigh(tensors []Named, size int64) error {
	total := 0.0 // which may be above 2⁶³
	for _, t := range tensors {
		total += float64(t.Bytes())
	}
	if most := float64(mostRatio*float64(size)) + mostSlack; total > most {
		return fmt.Errorf("tensors of %.4g bytes in a file of %d, want at most %.4g", total, size, most)
	}
	return nil
}
