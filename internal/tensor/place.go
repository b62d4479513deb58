package tensor

// Place is where flat element k of a shape is, one number an axis; nil where k is negative.
func Place(k int, shape []int) []int {
	if k < 0 {
		return nil
	}
	at := make([]int, len(shape))
	for a := len(shape) - 1; a >= 0; a-- {
		at[a], k = k%shape[a], k/shape[a]
	}
	return at
}
