package main

import "fmt"

// winograd writes the steps of Winograd64 for a vector of AVX2 of its rows, four: bringing
// their elements together is most of the work, and longer vectors are not faster at
// that. Registers 0 to 8 are the taps of a channel, 9 to 11 a row of what comes of them,
// 12 to 14 what is stored, 15 is ½.
func winograd(a *asm) { transform{a}.write() }

type transform struct{ *asm }

func (w transform) write() {
	w.text("winograd4", "(dst, src unsafe.Pointer, next, ld, channels int)", 40)
	w.op("MOVQ dst+0(FP), DI")
	w.op("MOVQ src+8(FP), SI")
	w.op("MOVQ next+16(FP), R9")
	w.op("MOVQ ld+24(FP), R8")
	w.op("MOVQ channels+32(FP), CX")
	w.op("LEAQ (R9)(R9*2), R10")
	w.op("LEAQ (R8)(R8*2), R11")
	w.op("MOVQ $0x3FE0000000000000, AX")
	w.op("VMOVQ AX, X15")
	w.op("VBROADCASTSD X15, Y15")
	w.label("channel")
	for tap := 0; tap < 8; tap += 2 {
		w.gather(tap)
	}
	w.last()
	w.op("MOVQ DI, AX")
	w.row(0, 1, 2)
	w.between("VADDPD")
	w.between("VSUBPD")
	w.row(6, 7, 8)
	w.op("ADDQ $72, SI")
	w.op("ADDQ $64, DI")
	w.op("DECQ CX")
	w.op("JNZ channel")
	w.end()
}

// at is the operand for so many bytes behind the taps of a row.
func (w transform) at(row, offset int) string {
	return fmt.Sprintf([]string{"%d(SI)", "%d(SI)(R8*1)", "%d(SI)(R8*2)", "%d(SI)(R11*1)"}[row], offset)
}

// gather loads two taps of each row, and turns them: a lane of what is loaded is of one
// row, a lane of what comes of it of one tap.
func (w transform) gather(tap int) {
	for k := range 2 {
		w.op("VMOVUPS %s, X%d", w.at(k, 8*tap), 9+k)
		w.op("VINSERTF128 $1, %s, Y%d, Y%d", w.at(k+2, 8*tap), 9+k, 9+k)
	}
	w.op("VUNPCKLPD Y10, Y9, Y%d", tap)
	w.op("VUNPCKHPD Y10, Y9, Y%d", tap+1)
}

// last loads the ninth tap of each row, one by one.
func (w transform) last() {
	for half, x := range []string{"X8", "X9"} {
		w.op("VMOVSD %s, %s", w.at(2*half, 64), x)
		w.op("VMOVHPD %s, %s, %s", w.at(2*half+1, 64), x, x)
	}
	w.op("VINSERTF128 $1, X9, Y8, Y8")
}

// row stores x, (x+z+y)/2, (x+z−y)/2 and z, and goes on to the next row.
func (w transform) row(x, y, z int) {
	w.op("VMOVUPD Y%d, (AX)", x)
	w.op("VADDPD Y%d, Y%d, Y12", z, x)
	w.op("VADDPD Y%d, Y12, Y13", y)
	w.op("VSUBPD Y%d, Y12, Y14", y)
	w.op("VMULPD Y15, Y13, Y13")
	w.op("VMULPD Y15, Y14, Y14")
	w.op("VMOVUPD Y13, (AX)(R9*1)")
	w.op("VMOVUPD Y14, (AX)(R9*2)")
	w.op("VMOVUPD Y%d, (AX)(R10*1)", z)
	w.op("LEAQ (AX)(R9*4), AX")
}

// between stores the row that comes of half the sum of all three, the middle one added
// or taken away.
func (w transform) between(middle string) {
	for column := range 3 {
		w.op("VADDPD Y%d, Y%d, Y%d", column+6, column, column+9)
		w.op("%s Y%d, Y%d, Y%d", middle, column+3, column+9, column+9)
		w.op("VMULPD Y15, Y%d, Y%d", column+9, column+9)
	}
	w.row(9, 10, 11)
}
