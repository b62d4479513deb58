package npy

import "hash/crc32"

// combineCRC is the CRC-32 of two pieces one after the other, of which the second
// has n bytes: the first's, as a polynomial over GF(2), times x^(8n), plus the second's.
func combineCRC(first, second uint32, n int64) uint32 {
	const one, x8 = 1 << 31, 1 << (31 - 8) // bit 31-k is the coefficient of x^k
	shift := uint32(one)
	for square := uint32(x8); n > 0; n >>= 1 {
		if n&1 != 0 {
			shift = mulCRC(shift, square)
		}
		square = mulCRC(square, square)
	}
	return mulCRC(first, shift) ^ second
}

// mulCRC multiplies two polynomials modulo that of CRC-32.
func mulCRC(a, b uint32) uint32 {
	product := uint32(0)
	for ; a != 0; a <<= 1 { // the next power of x in a
		if a>>31 != 0 {
			product ^= b
		}
		carry := b & 1 // x^31 becomes x^32
		b >>= 1
		if carry != 0 {
			b ^= crc32.IEEE
		}
	}
	return product
}
