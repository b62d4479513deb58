package main

import "fmt"

// chains writes the passes that add up in chains, and near. All machines have the same
// eight chains: one vector of AVX-512, two of AVX2.
func chains(a *asm) {
	for _, m := range []machine{avx512, avx2} {
		c := chain{stream{a, m, ""}}
		c.absolute()
		c.loss()
		c.steps()
		c.near()
	}
}

type chain struct{ stream }

// vectors is how many vectors hold a part of all chains.
func (c chain) vectors() int { return 64 / c.m.bytes }

// each writes a routine that goes through the elements once for each vector of chains:
// what is added up and what that takes fit the registers of AVX2 then. SI is the
// elements, of the given bytes, CX how many are left; the sums are in registers 0 to
// sums-1, and in that order at DI. prepare comes before, body for each vector.
func (c chain) each(name, declaration string, args, size, sums int, prepare, body func()) {
	c.text(name+c.m.letter, declaration, args)
	prepare()
	for v := range c.vectors() {
		c.op("MOVQ to+0(FP), DI")
		c.op("MOVQ src+8(FP), SI")
		c.op("MOVQ n+16(FP), CX")
		move := func(instruction string) {
			for k := range sums {
				c.op(instruction, 64*k+v*c.m.bytes, c.v(k))
			}
		}
		if v > 0 {
			c.op("ADDQ $%d, SI", v*c.lanes()*size)
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
		c.op("VCVTPS2PD (SI), %s", c.v(2))
		c.op("VANDPD %s, %s, %s", c.v(1), c.v(2), c.v(2))
		c.op("VADDPD %s, %s, %s", c.v(2), c.v(0), c.v(0))
	})
}

// loss is the step of Loss. Register 5 clears signs, 6 leaves the exponent alone; 7 and
// 8 are what that is multiplied by, 9 is the least and 10 the largest of float16.
func (c chain) loss() {
	c.each("loss", "(to *Loss, src unsafe.Pointer, n int, c *lossConstants)", 32, 8, 5, func() {
		c.op("MOVQ c+24(FP), AX")
		c.notSign(5)
		for k := range 5 {
			c.op("VBROADCASTSD %d(AX), %s", 8*k, c.v(6+k))
		}
	}, func() {
		w, size, exponent, near, d := c.v(11), c.v(12), c.v(13), c.v(14), c.v(15)
		c.op("VMOVUPD (SI), %s", w)
		c.op("VMINPD %s, %s, %s", c.v(0), w, c.v(0)) // the second where it is no number
		c.op("VMAXPD %s, %s, %s", c.v(1), w, c.v(1))
		c.op("VANDPD %s, %s, %s", c.v(5), w, size)
		c.op("VANDPD %s, %s, %s", c.v(6), w, exponent)
		add := func(sum int, x string) {
			c.op("VMULPD %s, %s, %s", x, x, d)
			c.op("VADDPD %s, %s, %s", d, c.v(sum), c.v(sum))
		}
		add(2, w)
		round := func() {
			c.op("VADDPD %s, %s, %s", d, size, near)
			c.op("VSUBPD %s, %s, %s", d, near, near)
		}
		c.op("VMULPD %s, %s, %s", c.v(7), exponent, d)
		round()
		c.op("VSUBPD %s, %s, %s", near, size, near)
		add(3, near)
		c.op("VMULPD %s, %s, %s", c.v(8), exponent, d)
		c.op("VMAXPD %s, %s, %s", c.v(9), d, d)
		round()
		c.op("VMINPD %s, %s, %s", c.v(10), near, near)
		c.op("VSUBPD %s, %s, %s", near, size, near)
		add(4, near)
	})
}

// steps is the step of Steps. Register 2 is what is multiplied by, 3 what rounds to a
// whole number.
func (c chain) steps() {
	c.each("steps", "(to *Steps, src unsafe.Pointer, n int, inverse, whole float64)", 40, 8, 2, func() {
		c.op("VBROADCASTSD inverse+24(FP), %s", c.v(2))
		c.op("VBROADCASTSD whole+32(FP), %s", c.v(3))
		c.op("VPXOR Y4, Y4, Y4")
		if c.m == avx512 {
			c.op("VPTERNLOGQ $0xff, Z5, Z5, Z5") // −1
		}
	}, func() {
		w, q, level := c.v(6), c.v(7), c.v(8)
		c.op("VMOVUPD (SI), %s", w)
		c.op("VMULPD %s, %s, %s", c.v(2), w, q)
		c.op("VADDPD %s, %s, %s", c.v(3), q, level)
		c.op("VSUBPD %s, %s, %s", c.v(3), level, level)
		c.op("VSUBPD %s, %s, %s", level, q, q)
		c.op("VMULPD %s, %s, %s", q, q, q)
		c.op("VADDPD %s, %s, %s", q, c.v(0), c.v(0))
		if c.m == avx512 {
			c.op("VCMPPD $0, Z4, Z8, K1")     // level is zero,
			c.op("VCMPPD $4, Z4, Z6, K1, K2") // and w is not
			c.op("VPSUBQ Z5, Z1, K2, Z1")
			return
		}
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
	c.text("near"+c.m.letter, "(to *Errors, v, hi, lo, bound unsafe.Pointer, n int, c *nearConstants) int", 64)
	for k, arg := range []string{"to+0", "v+8", "hi+16", "lo+24", "bound+32", "n+40", "c+48"} {
		c.op("MOVQ %s(FP), %s", arg, []string{"DI", "SI", "R8", "R9", "R10", "CX", "BX"}[k])
	}
	c.notSign(4)
	for k := range 6 {
		c.op("VBROADCASTSD %d(BX), %s", 8*k, c.v(5+k))
	}
	move := func(instruction string) {
		for v := range c.vectors() {
			c.op(instruction, v*c.m.bytes, c.v(v))
			c.op(instruction, 64+v*c.m.bytes, c.v(2+v))
		}
	}
	move("VMOVUPD %[1]d(DI), %[2]s")
	c.op("XORL AX, AX")
	c.label("loop")
	c.op("XORL DX, DX")
	for v := range c.vectors() {
		c.far(v)
	}
	c.op("TESTL DX, DX")
	c.op("JNZ done")
	for v := range c.vectors() {
		c.op("VADDPD %s, %s, %s", c.v(11+v), c.v(v), c.v(v))
		c.op("VADDPD %d(R10)(AX*8), %s, %s", v*c.m.bytes, c.v(2+v), c.v(2+v))
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
	d, ulp, all, limit, at := c.v(11+v), c.v(13), c.v(14), c.v(15), v*c.m.bytes
	c.op("VMOVUPD %d(R8)(AX*8), %s", at, ulp)
	c.op("VMOVUPD %d(SI)(AX*8), %s", at, d)
	c.op("VSUBPD %s, %s, %s", ulp, d, d)
	c.op("VSUBPD %d(R9)(AX*8), %s, %s", at, d, d)
	c.op("VANDPD %s, %s, %s", c.v(4), d, d)
	c.op("VANDPD %s, %s, %s", c.v(5), ulp, ulp)
	c.op("VPSUBQ %s, %s, %s", c.v(6), ulp, ulp)
	c.op("VMAXPD %s, %s, %s", c.v(7), ulp, ulp)
	c.op("VADDPD %d(R10)(AX*8), %s, %s", at, d, all)
	c.op("VMULPD %s, %s, %s", c.v(8), all, all)
	c.op("VMULPD %s, %s, %s", c.v(9), ulp, limit)
	c.op("VMULPD %s, %s, %s", c.v(10), ulp, ulp)
	if c.m == avx512 {
		c.op("VCMPPD $0x16, Z15, Z14, K1")       // not at most, or no number
		c.op("VCMPPD $0x1e, %s, %s, K2", ulp, d) // greater
		c.op("KORB K1, K2, K1")
		c.op("KMOVB K1, DX")
		return
	}
	c.op("VCMPPD $0x16, Y15, Y14, Y14")
	c.op("VCMPPD $0x1e, %s, %s, Y15", ulp, d)
	c.op("VORPD Y14, Y15, Y15")
	c.op("VMOVMSKPD Y15, R11")
	c.op("ORL R11, DX")
}
