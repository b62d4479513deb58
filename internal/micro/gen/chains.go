package main

import "fmt"

// chains writes the passes that add up in eight chains, two vectors, and near.
func chains(a *asm) {
	c := chain{stream{a, ""}}
	c.absolute()
	c.loss()
	c.steps()
	c.near()
}

type chain struct{ stream }

// each writes a routine that goes through the elements once for each vector of chains:
// what is added up and what that takes fit the registers then. SI is the
// elements, of the given bytes, CX how many are left; the sums are in registers 0 to
// sums-1, and in that order at DI. prepare comes before, body for each vector.
func (c chain) each(name, declaration string, args, size, sums int, prepare, body func()) {
	c.text(name+"AVX2", declaration, args)
	prepare()
	for v := range vectors {
		c.op("MOVQ to+0(FP), DI")
		c.op("MOVQ src+8(FP), SI")
		c.op("MOVQ n+16(FP), CX")
		move := func(instruction string) {
			for k := range sums {
				c.op(instruction, 64*k+v*vector, y(k))
			}
		}
		if v > 0 {
			c.op("ADDQ $%d, SI", v*lanes*size)
		}
		move("VMOVUPD %[1]d(DI), %[2]s")
		c.label(fmt.Sprint("loop", v))
		body()
		c.op("ADDQ $%d, SI", 8*size)
		c.op("SUBQ $8, CX")
		c.op("JNZ loop%d", v)
		move("VMOVUPD %[2]s, %[1]d(DI)")
	}
	c.end()
}

// absolute adds up magnitudes of float32 elements.
func (c chain) absolute() {
	c.each("absolute", "(to *[8]float64, src unsafe.Pointer, n int)", 24, 4, 1, func() {
		c.notSign(1)
	}, func() {
		c.op("VCVTPS2PD (SI), %s", y(2))
		c.op("VANDPD %s, %s, %s", y(1), y(2), y(2))
		c.op("VADDPD %s, %s, %s", y(2), y(0), y(0))
	})
}

// loss is the step of Loss. Register 5 clears signs, 6 leaves the exponent alone; 7 and
// 8 are what that is multiplied by, 9 is the least and 10 the largest of float16.
func (c chain) loss() {
	c.each("loss", "(to *Loss, src unsafe.Pointer, n int, c *lossConstants)", 32, 8, 5, func() {
		c.op("MOVQ c+24(FP), AX")
		c.notSign(5)
		for k := range 5 {
			c.op("VBROADCASTSD %d(AX), %s", 8*k, y(6+k))
		}
	}, func() {
		w, size, exponent, near, d := y(11), y(12), y(13), y(14), y(15)
		c.op("VMOVUPD (SI), %s", w)
		c.op("VMINPD %s, %s, %s", y(0), w, y(0)) // the second where it is no number
		c.op("VMAXPD %s, %s, %s", y(1), w, y(1))
		c.op("VANDPD %s, %s, %s", y(5), w, size)
		c.op("VANDPD %s, %s, %s", y(6), w, exponent)
		add := func(sum int, x string) {
			c.op("VMULPD %s, %s, %s", x, x, d)
			c.op("VADDPD %s, %s, %s", d, y(sum), y(sum))
		}
		add(2, w)
		round := func() {
			c.op("VADDPD %s, %s, %s", d, size, near)
			c.op("VSUBPD %s, %s, %s", d, near, near)
		}
		c.op("VMULPD %s, %s, %s", y(7), exponent, d)
		round()
		c.op("VSUBPD %s, %s, %s", near, size, near)
		add(3, near)
		c.op("VMULPD %s, %s, %s", y(8), exponent, d)
		c.op("VMAXPD %s, %s, %s", y(9), d, d)
		round()
		c.op("VMINPD %s, %s, %s", y(10), near, near)
		c.op("VSUBPD %s, %s, %s", near, size, near)
		add(4, near)
	})
}

// steps is the step of Steps. Register 2 is what is multiplied by, 3 what rounds to a
// whole number.
func (c chain) steps() {
	c.each("steps", "(to *Steps, src unsafe.Pointer, n int, inverse, whole float64)", 40, 8, 2, func() {
		c.op("VBROADCASTSD inverse+24(FP), %s", y(2))
		c.op("VBROADCASTSD whole+32(FP), %s", y(3))
		c.op("VPXOR Y4, Y4, Y4")
	}, func() {
		w, q, level := y(6), y(7), y(8)
		c.op("VMOVUPD (SI), %s", w)
		c.op("VMULPD %s, %s, %s", y(2), w, q)
		c.op("VADDPD %s, %s, %s", y(3), q, level)
		c.op("VSUBPD %s, %s, %s", y(3), level, level)
		c.op("VSUBPD %s, %s, %s", level, q, q)
		c.op("VMULPD %s, %s, %s", q, q, q)
		c.op("VADDPD %s, %s, %s", q, y(0), y(0))
		c.op("VCMPPD $0, Y4, Y8, Y8")
		c.op("VCMPPD $4, Y4, Y6, Y6")
		c.op("VANDPD Y6, Y8, Y8")
		c.op("VPSUBQ Y8, Y1, Y1")
	})
}

// near is Near for whole eights of elements. AX is how many are done, and what all
// sources are indexed by. The sums are in registers 0 to 3; 4 clears signs, 5 to 10 are
// the constants.
func (c chain) near() {
	c.text("nearAVX2", "(to *Errors, v, hi, lo, bound unsafe.Pointer, n int, c *nearConstants) int", 64)
	for k, arg := range []string{"to+0", "v+8", "hi+16", "lo+24", "bound+32", "n+40", "c+48"} {
		c.op("MOVQ %s(FP), %s", arg, []string{"DI", "SI", "R8", "R9", "R10", "CX", "BX"}[k])
	}
	c.notSign(4)
	for k := range 6 {
		c.op("VBROADCASTSD %d(BX), %s", 8*k, y(5+k))
	}
	move := func(instruction string) {
		for v := range vectors {
			c.op(instruction, v*vector, y(v))
			c.op(instruction, 64+v*vector, y(2+v))
		}
	}
	move("VMOVUPD %[1]d(DI), %[2]s")
	c.op("XORL AX, AX")
	c.label("loop")
	c.op("XORL DX, DX")
	for v := range vectors {
		c.far(v)
	}
	c.op("TESTL DX, DX")
	c.op("JNZ done")
	for v := range vectors {
		c.op("VADDPD %s, %s, %s", y(11+v), y(v), y(v))
		c.op("VADDPD %d(R10)(AX*8), %s, %s", v*vector, y(2+v), y(2+v))
	}
	c.op("ADDQ $8, AX")
	c.op("CMPQ AX, CX")
	c.op("JNE loop")
	c.label("done")
	move("VMOVUPD %[2]s, %[1]d(DI)")
	c.op("MOVQ AX, ret+56(FP)")
	c.end()
}

// far puts a vector's |v−hi−lo| in register 11+v, and bits in DX if any of them, with
// its bound, is above the limit, or by itself above the worst.
func (c chain) far(v int) {
	d, ulp, all, limit, at := y(11+v), y(13), y(14), y(15), v*vector
	c.op("VMOVUPD %d(R8)(AX*8), %s", at, ulp)
	c.op("VMOVUPD %d(SI)(AX*8), %s", at, d)
	c.op("VSUBPD %s, %s, %s", ulp, d, d)
	c.op("VSUBPD %d(R9)(AX*8), %s, %s", at, d, d)
	c.op("VANDPD %s, %s, %s", y(4), d, d)
	c.op("VANDPD %s, %s, %s", y(5), ulp, ulp)
	c.op("VPSUBQ %s, %s, %s", y(6), ulp, ulp)
	c.op("VMAXPD %s, %s, %s", y(7), ulp, ulp)
	c.op("VADDPD %d(R10)(AX*8), %s, %s", at, d, all)
	c.op("VMULPD %s, %s, %s", y(8), all, all)
	c.op("VMULPD %s, %s, %s", y(9), ulp, limit)
	c.op("VMULPD %s, %s, %s", y(10), ulp, ulp)
	c.op("VCMPPD $0x16, Y15, Y14, Y14")
	c.op("VCMPPD $0x1e, %s, %s, Y15", ulp, d)
	c.op("VORPD Y14, Y15, Y15")
	c.op("VMOVMSKPD Y15, R11")
	c.op("ORL R11, DX")
}
