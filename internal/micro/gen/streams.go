package main

// streams writes, for each type of stored element, the passes scale, from stored
// elements to float64; round, back; and rescale, which is both at once and leaves the
// float64 in registers; for float32 pick; and addScaled, over sums. A turn of a loop is
// one vector of float64.
func streams(a *asm) {
	for _, e := range []string{"F32", "F16", "BF16"} {
		s := stream{a, e}
		s.scale()
		s.round()
		s.rescale()
	}
	stream{a, "F32"}.pick()
	stream{a, ""}.addScaled()
}

type stream struct {
	*asm
	element string
}

// size is the bytes of a stored element.
func (s stream) size() int {
	if s.element == "F32" {
		return 4
	}
	return 2
}

// loop writes a routine whose body runs for each vector: DI the destination, SI the
// source, CX the number of float64 left; prepare comes before, finish after.
func (s stream) loop(name, declaration string, args, dst, src int, prepare, body, finish func()) {
	s.text(name+s.element+"AVX2", declaration, args)
	s.op("MOVQ dst+0(FP), DI")
	s.op("MOVQ src+8(FP), SI")
	s.op("MOVQ n+16(FP), CX")
	prepare()
	s.label("loop")
	body()
	s.op("ADDQ $%d, DI", dst*lanes)
	s.op("ADDQ $%d, SI", src*lanes)
	s.op("SUBQ $%d, CX", lanes)
	s.op("JNZ loop")
	finish()
	s.end()
}

const factorArgs = "(dst, src unsafe.Pointer, n int, a float64)"

func (s stream) broadcastFactor() { s.op("VBROADCASTSD a+24(FP), %s", y(0)) }

func (s stream) scale() {
	s.loop("scale", factorArgs, 32, 8, s.size(), s.broadcastFactor, func() {
		s.load()
		s.op("VMULPD %s, %s, %s", y(0), y(1), y(1))
		s.op("VMOVUPD %s, (DI)", y(1))
	}, func() {})
}

// load makes float64 of the elements at SI, in register 1.
func (s stream) load() {
	switch s.element {
	case "F32":
		s.op("VCVTPS2PD (SI), %s", y(1))
		return
	case "F16":
		s.op("VCVTPH2PS (SI), %s", x(1))
	case "BF16":
		s.op("VPMOVZXWD (SI), %s", x(1))
		s.op("VPSLLD $16, %s, %s", x(1), x(1))
	}
	s.op("VCVTPS2PD %s, %s", x(1), y(1))
}

// round stores the float64 at SI as elements at DI, and in seen the bits that any of
// them has, and those that all have.
func (s stream) round() {
	s.loop("round", "(dst, src unsafe.Pointer, n int, s *seen)", 32, s.size(), 8, func() {
		s.watch(24)
	}, func() {
		s.op("VMOVUPD (SI), %s", y(1))
		s.store()
	}, s.seen)
}

// rescale stores a multiple of the elements at SI at DI, and seen as round does.
func (s stream) rescale() {
	s.loop("rescale", "(dst, src unsafe.Pointer, n int, a float64, s *seen)", 40, s.size(), s.size(), func() {
		s.broadcastFactor()
		s.watch(32)
	}, func() {
		s.load()
		s.op("VMULPD %s, %s, %s", y(0), y(1), y(1))
		s.store()
	}, s.seen)
}

// watch prepares store; seen is the argument at the given place.
func (s stream) watch(seen int) {
	s.constants()
	s.op("MOVQ s+%d(FP), DX", seen)
	s.op("VPXOR Y12, Y12, Y12")
	s.op("VPCMPEQD Y13, Y13, Y13")
}

// store rounds register 1 to elements at DI, and notes in registers 12 and 13 the bits
// that any of them has, and those that all have.
func (s stream) store() {
	stored := x(2) // a vector of elements
	switch s.element {
	case "F32":
		s.op("VCVTPD2PSY %s, %s", y(1), x(2))
	case "F16":
		s.odd()
		s.op("VCVTPS2PH $0, %s, X4", x(2))
		stored = "X4"
	case "BF16":
		s.odd()
		s.bfloat16()
		stored = "X4"
	}
	if s.size()*lanes == 8 {
		s.op("VMOVQ %s, (DI)", stored)
	} else {
		s.op("VMOVDQU %s, (DI)", stored)
	}
	s.op("VPOR %s, %s12, %s12", stored, stored[:1], stored[:1])
	s.op("VPAND %s, %s13, %s13", stored, stored[:1], stored[:1])
}

// seen puts what store noted in its place.
func (s stream) seen() {
	s.op("VMOVDQU Y12, (DX)")
	s.op("VMOVDQU Y13, 32(DX)")
}

// pick sets the float64 at DI to multiples of elements at SI, which lie as the four-byte
// index says, and those at DX to their magnitudes. Gathering takes about a cycle an
// element.
func (s stream) pick() {
	s.text("pick"+s.element+"AVX2", "(sum, mag, src unsafe.Pointer, n int, index *[4]int32, stride int, a float64)", 56)
	for k, arg := range []string{"sum+0", "mag+8", "src+16", "n+24", "index+32", "stride+40"} {
		s.op("MOVQ %s(FP), %s", arg, []string{"DI", "DX", "SI", "CX", "AX", "BX"}[k])
	}
	s.op("VBROADCASTSD a+48(FP), %s", y(0))
	s.op("VMOVDQU (AX), %s", x(5))
	s.notSign(2)
	s.label("loop")
	s.op("VPCMPEQD X6, X6, X6")
	s.op("VGATHERDPS X6, (SI)(%s*4), %s", x(5), x(3))
	s.op("VCVTPS2PD %s, %s", x(3), y(3))
	s.op("VMULPD %s, %s, %s", y(0), y(3), y(3))
	s.op("VMOVUPD %s, (DI)", y(3))
	s.op("VANDPD %s, %s, %s", y(2), y(3), y(4))
	s.op("VMOVUPD %s, (DX)", y(4))
	s.op("ADDQ $%d, DI", vector)
	s.op("ADDQ $%d, DX", vector)
	s.op("ADDQ BX, SI")
	s.op("SUBQ $%d, CX", lanes)
	s.op("JNZ loop")
	s.end()
}

// addScaled adds multiples of float64 at SI to those at DI, and of the magnitudes of
// those at BX to those at DX. A product and its addition are two instructions, so that
// all paths round alike.
func (s stream) addScaled() {
	s.text("addScaledAVX2", "(sum, mag, w, m unsafe.Pointer, n int, a, b float64)", 56)
	for k, arg := range []string{"sum+0", "mag+8", "w+16", "m+24", "n+32"} {
		s.op("MOVQ %s(FP), %s", arg, []string{"DI", "DX", "SI", "BX", "CX"}[k])
	}
	s.op("VBROADCASTSD a+40(FP), %s", y(0))
	s.op("VBROADCASTSD b+48(FP), %s", y(1))
	s.notSign(2)
	s.label("loop")
	s.op("VMULPD (SI), %s, %s", y(0), y(3))
	s.op("VADDPD (DI), %s, %s", y(3), y(3))
	s.op("VMOVUPD %s, (DI)", y(3))
	s.op("VANDPD (BX), %s, %s", y(2), y(4))
	s.op("VMULPD %s, %s, %s", y(1), y(4), y(4))
	s.op("VADDPD (DX), %s, %s", y(4), y(4))
	s.op("VMOVUPD %s, (DX)", y(4))
	for _, r := range []string{"DI", "DX", "SI", "BX"} {
		s.op("ADDQ $%d, %s", vector, r)
	}
	s.op("SUBQ $%d, CX", lanes)
	s.op("JNZ loop")
	s.end()
}

// notSign sets all bits of a register's float64 but their signs.
func (s stream) notSign(k int) {
	s.op("VPCMPEQD Y%[1]d, Y%[1]d, Y%[1]d", k)
	s.op("VPSRLQ $1, Y%[1]d, Y%[1]d", k)
}

// constants puts what odd and bfloat16 need in all lanes: register 8 the integer 1,
// 9 the sign bit of a float64 cleared, 10 0x7fff, 11 the bit that keeps a NaN one.
func (s stream) constants() {
	fill := func(k int, bits uint32) {
		s.op("MOVL $%#x, AX", bits)
		s.op("VMOVD AX, X%d", k)
		s.op("VPBROADCASTD X%d, %s", k, x(k))
	}
	if s.element == "F32" {
		return
	}
	fill(8, 1)
	s.notSign(9)
	if s.element == "BF16" {
		fill(10, 0x7fff)
		fill(11, 0x400000)
	}
}

// odd rounds register 1 to float32 in register 2 so that an inexact result has an
// odd last bit: cut off what is too much, then set the bit if that changed
// anything. A NaN stays as it is.
func (s stream) odd() {
	// AVX2 rounds to nearest only: where that went away from zero, one less.
	s.op("VCVTPD2PSY Y1, X2")
	s.op("VCVTPS2PD X2, Y3")
	s.op("VCMPPD $0x0c, Y3, Y1, Y4")
	s.op("VANDPD Y9, Y3, Y3")
	s.op("VANDPD Y9, Y1, Y5")
	s.op("VCMPPD $0x11, Y3, Y5, Y5") // |value| < |rounded|
	s.low32(4)
	s.low32(5)
	s.op("VPADDD X5, X2, X2")
	s.op("VPAND X8, X4, X4")
	s.op("VPOR X4, X2, X2")
}

// low32 packs the lower halves of four 64-bit lanes.
func (s stream) low32(k int) {
	s.op("VEXTRACTF128 $1, Y%d, X6", k)
	s.op("VSHUFPS $0x88, X6, X%d, X%d", k, k)
}

// bfloat16 leaves in X4 the upper halves of register 2, rounded to nearest even: bits +
// 0x7fff + the last bit kept, without its lower half.
func (s stream) bfloat16() {
	s.op("VPSRLD $16, %s, %s", x(2), x(4))
	s.op("VPAND %s, %s, %s", x(8), x(4), x(4))
	s.op("VPADDD %s, %s, %s", x(10), x(4), x(4))
	s.op("VPADDD %s, %s, %s", x(2), x(4), x(4))
	s.op("VCMPPS $3, X2, X2, X5")
	s.op("VPOR X11, X2, X2")
	s.op("VBLENDVPS X5, X2, X4, X4")
	s.op("VPSRLD $16, X4, X4")
	s.op("VPACKUSDW X4, X4, X4")
}
