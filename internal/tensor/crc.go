package tensor

import (
	"fmt"
	"hash/crc32"
	"io"
)

// CombineCRC is the CRC-32 (IEEE) of two pieces one after the other, of which the second
// has n bytes, from those of each: the first's, as a polynomial over GF(2) modulo the
// CRC's, times x⁸ⁿ, plus the second's.
func CombineCRC(first, second uint32, n int64) uint32 {
	for power := uint32(1) << (31 - 8); n > 0 && first != 0; n >>= 1 { // x⁸, and its square each time
		if n&1 != 0 {
			first = timesCRC(power, first)
		}
		power = timesCRC(power, power)
	}
	return first ^ second
}

// timesCRC is the product of two polynomials modulo the CRC's; the highest bit is x⁰.
func timesCRC(a, b uint32) uint32 {
	var product uint32
	for ; a != 0; a <<= 1 {
		product ^= b & -(a >> 31)
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return product
}

// CheckCRC holds the bytes of r to their CRC-32 (IEEE). They are read through buffer, where that is large enough to be of
// use: one of r's size holds all of them then.
func CheckCRC(r *io.SectionReader, want uint32, buffer []byte) error {
	if int64(len(buffer)) < max(1, min(r.Size(), 1<<12)) {
		buffer = make([]byte, min(r.Size()+1, 1<<17))
	}
	sum := crc32.NewIEEE()
	n, err := io.CopyBuffer(sum, struct{ io.Reader }{r}, buffer)
	switch {
	case err != nil:
		return err
	case n != r.Size():
		return ErrShort
	case sum.Sum32() != want:
		return fmt.Errorf("CRC-32 %08x, want %08x: the file is damaged", sum.Sum32(), want)
	}
	return nil
}
