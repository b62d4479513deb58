package fuse

// stack hands out slices of blocks, one after the other. How much will be asked for need
// not be known, and nothing is outgrown when more is than the last time.
type stack[T any] struct {
	blocks [][]T
	top
}

// top is up to where a stack is in use. Setting it to what it was gives back what was handed
// out since.
type top struct{ block, used int }

// blockElems is the size of a block: that of many vectors. What is not used of it takes no
// memory.
const blockElems = 16 << 10

// alloc is n elements of any value. More than a block of them have memory of their own.
func (s *stack[T]) alloc(n int) []T {
	if n > blockElems {
		return make([]T, n)
	}
	if s.block < len(s.blocks) && s.used+n > blockElems {
		s.block, s.used = s.block+1, 0
	}
	if s.block == len(s.blocks) {
		s.blocks = append(s.blocks, make([]T, blockElems))
	}
	from := s.used
	s.used += n
	return s.blocks[s.block][from:s.used:s.used]
}
