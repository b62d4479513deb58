package tensor

import "fmt"

// What the tensors of a file may weigh: so many times what the file does, for those that share
// bytes or were compressed, and so much more, for small files of zeros.
const (
	mostRatio = 64
	mostSlack = 32 << 20
)

// mostTensors is how many tensors a file, or a directory of .npy, may have, as each takes memory: nearly
// twice those of the largest checkpoint that is published, Kimi K2's 140,000.
const mostTensors = 1 << 18

// Few is an error for more tensors than a file may have.
func Few(n int) error {
	if n > mostTensors {
		return fmt.Errorf("%d tensors and more, want at most %d", n, mostTensors)
	}
	return nil
}

// Weigh is an error where there are too many tensors, or they make much more of a file than its size in
// bytes: a stride of 0 or a long run of zeros makes terabytes of nothing.
func Weigh(tensors []Named, size int64) error {
	if err := Few(len(tensors)); err != nil {
		return err
	}
	total := 0.0 // which may be above 2⁶³
	for _, t := range tensors {
		total += float64(t.Bytes())
	}
	if most := float64(mostRatio*float64(size)) + mostSlack; total > most {
		return fmt.Errorf("tensors of %.4g bytes in a file of %d, want at most %.4g", total, size, most)
	}
	return nil
}
