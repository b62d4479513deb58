package main

import "fmt"

// winograd writes the steps of Winograd64 and Winograd32 for a vector of AVX2 of their
// rows, four and eight: bringing their elements together is most of the work, and longer
// vectors are not faster at that. Registers 0 to 8 are the taps of a channel, 9 to 11 a
// row of what comes of them, 12 to 14 what is stored, 15 is ½.
func winograd(a *asm) {
	for _, r := range reals {
		transform{a, r, r.bits / 8}.write()
	}
}

type transform struct {
	*asm
	r    real
	size int // of an element, in bytes
}

func (w transform) write() {
	w.text("winograd"+w.r.suffix, "(dst, src unsafe.Pointer, next, ld, channels int)", 40)
	w.op("MOVQ dst+0(FP), DI")
	w.op("MOVQ src+8(FP), SI")
	w.op("MOVQ next+16(FP), R9")
	w.op("MOVQ ld+24(FP), R8")
	w.op("MOVQ channels+32(FP), CX")
	w.op("LEAQ (R9)(R9*2), R10")
	w.op("LEAQ (R8)(R8*2), R11")
	w.op("MOVQ %s, AX", map[int]string{8: "$0x3FE0000000000000", 4: "$0x3F000000"}[w.size])
	w.op("VMOVQ AX, X15")
	w.op("VBROADCAST%s X15, Y15", w.r.scalar)
	w.label("channel" + w.r.suffix)
	w.op("LEAQ (SI)(R8*4), R12")
	for tap := 0; tap < 8; tap += 16 / w.size {
		w.gather(tap)
	}
	w.last()
	w.op("MOVQ DI, AX")
	w.row(0, 1, 2)
	w.between("VADD")
	w.between("VSUB")
	w.row(6, 7, 8)
	w.op("ADDQ $%d, SI", 9*w.size)
	w.op("ADDQ $%d, DI", 8*w.size)
	w.op("DECQ CX")
	w.op("JNZ channel%s", w.r.suffix)
	w.end()
}

// at is the operand for so many bytes behind the taps of a row: the fourth to the
// seventh are reached from R12.
func (w transform) at(row, offset int) string {
	base := []string{"SI", "R12"}[row/4]
	return fmt.Sprintf([]string{"%d(%s)", "%d(%s)(R8*1)", "%d(%s)(R8*2)", "%d(%s)(R11*1)"}[row%4], offset, base)
}

// gather loads as many taps of each row as half a vector has, and turns them: a lane of
// what is loaded is of one row, a lane of what comes of it of one tap.
func (w transform) gather(tap int) {
	half := 16 / w.size
	for k := range half {
		w.op("VMOVUPS %s, X%d", w.at(k, tap*w.size), 9+k)
		w.op("VINSERTF128 $1, %s, Y%d, Y%d", w.at(k+half, tap*w.size), 9+k, 9+k)
	}
	if half == 2 {
		w.turn(9, 10, tap)
		return
	}
	for k, side := range []string{"L", "H"} {
		w.op("VUNPCK%sPS Y10, Y9, Y13", side)
		w.op("VUNPCK%sPS Y12, Y11, Y14", side)
		w.turn(13, 14, tap+2*k)
	}
}

// turn sets two taps to what two registers have of them, by pairs of eight bytes.
func (w transform) turn(x, y, tap int) {
	w.op("VUNPCKLPD Y%d, Y%d, Y%d", y, x, tap)
	w.op("VUNPCKHPD Y%d, Y%d, Y%d", y, x, tap+1)
}

// last loads the ninth tap of each row, one by one.
func (w transform) last() {
	half := 16 / w.size
	for lane, x := range []string{"X8", "X9"} {
		for k := range half {
			from := w.at(lane*half+k, 8*w.size)
			switch {
			case k == 0:
				w.op("VMOV%s %s, %s", w.r.scalar, from, x)
			case w.size == 8:
				w.op("VMOVHPD %s, %s, %s", from, x, x)
			default:
				w.op("VINSERTPS $%d, %s, %s, %s", k<<4, from, x, x)
			}
		}
	}
	w.op("VINSERTF128 $1, X9, Y8, Y8")
}

// row stores x, (x+z+y)/2, (x+z−y)/2 and z, and goes on to the next row.
func (w transform) row(x, y, z int) {
	w.on("VMOVU", "Y%d, (AX)", x)
	w.on("VADD", "Y%d, Y%d, Y12", z, x)
	w.on("VADD", "Y%d, Y12, Y13", y)
	w.on("VSUB", "Y%d, Y12, Y14", y)
	w.on("VMUL", "Y15, Y13, Y13")
	w.on("VMUL", "Y15, Y14, Y14")
	w.on("VMOVU", "Y13, (AX)(R9*1)")
	w.on("VMOVU", "Y14, (AX)(R9*2)")
	w.on("VMOVU", "Y%d, (AX)(R10*1)", z)
	w.op("LEAQ (AX)(R9*4), AX")
}

// between stores the row that comes of half the sum of all three, the middle one added
// or taken away.
func (w transform) between(middle string) {
	for column := range 3 {
		w.on("VADD", "Y%d, Y%d, Y%d", column+6, column, column+9)
		w.on(middle, "Y%d, Y%d, Y%d", column+3, column+9, column+9)
		w.on("VMUL", "Y15, Y%d, Y%d", column+9, column+9)
	}
	w.row(9, 10, 11)
}

// on is op for an instruction that is named for the type of its elements.
func (w transform) on(name, operands string, args ...any) {
	w.op(name+w.r.suffix+" "+operands, args...)
}
