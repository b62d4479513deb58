package main

import "fmt"

// winograd writes the step of Winograd64 for four of its eight rows: one vector of AVX2,
// as gathering their elements is most of the work and longer vectors do not gather
// faster. Registers 0 to 8 are the taps of a channel, 9 to 11 a row of what comes of
// them, 12 to 14 what is stored, 15 is ½.
func winograd(a *asm) {
	w := transform{a}
	a.text("winogradRows", "(dst, src unsafe.Pointer, ld, channels int)", 32)
	a.op("MOVQ dst+0(FP), DI")
	a.op("MOVQ src+8(FP), SI")
	a.op("MOVQ ld+16(FP), R8")
	a.op("MOVQ channels+24(FP), CX")
	a.op("LEAQ (R8)(R8*2), R11")
	a.op("MOVQ CX, R9") // from one of the sixteen to the next, and to the third after it
	a.op("SHLQ $6, R9")
	a.op("LEAQ (R9)(R9*2), R10")
	a.op("MOVQ $0x3FE0000000000000, AX")
	a.op("VMOVQ AX, X15")
	a.op("VBROADCASTSD X15, Y15")
	a.label("channel")
	for tap := range 9 {
		w.gather(tap)
	}
	a.op("MOVQ DI, AX")
	w.row(0, 1, 2)
	w.between("VADDPD")
	w.between("VSUBPD")
	w.row(6, 7, 8)
	a.op("ADDQ $72, SI")
	a.op("ADDQ $64, DI")
	a.op("DECQ CX")
	a.op("JNZ channel")
	a.end()
}

type transform struct{ *asm }

// gather loads an element of each of four rows.
func (w transform) gather(tap int) {
	x := fmt.Sprint("X", tap)
	w.op("VMOVSD %d(SI), %s", 8*tap, x)
	w.op("VMOVHPD %d(SI)(R8*1), %s, %s", 8*tap, x, x)
	w.op("VMOVSD %d(SI)(R8*2), X9", 8*tap)
	w.op("VMOVHPD %d(SI)(R11*1), X9, X9", 8*tap)
	w.op("VINSERTF128 $1, X9, Y%d, Y%d", tap, tap)
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
