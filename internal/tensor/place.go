package tensor

import "strings"

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

// Sized is v with n elements of any value, in memory of its own only where v has too little.
func Sized[E any](v []E, n int) []E {
	if cap(v) < n {
		return make([]E, n)
	}
	return v[:n]
}

// Parent is a key, or the path of a module, without its last name: the module that it is in.
func Parent(key string) string { return key[:max(strings.LastIndexByte(key, '.'), 0)] }
