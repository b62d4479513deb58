package main

// vectors is how many hold a part of eight sums.
const vectors = 64 / vector

// twofolds writes the step of Twofold. SI, DX and BX are the sources, CX how many
// elements are left; the eight sums and their rests are at DI.
func twofolds(a *asm) { twofold{a}.write() }

type twofold struct{ *asm }

// The registers of vector v: the sum and the rest of it, which last, and those of a
// step.
func (t twofold) reg(k, v int) string { return y(2*k + v) }
func (t twofold) sum(v int) string    { return t.reg(0, v) }
func (t twofold) rest(v int) string   { return t.reg(1, v) }

func (t twofold) write() {
	t.text("twofoldAVX2", "(lanes *[16]float64, hi, lo, w unsafe.Pointer, n int)", 40)
	for k, arg := range []string{"lanes+0", "hi+8", "lo+16", "w+24"} {
		t.op("MOVQ %s(FP), %s", arg, []string{"DI", "SI", "DX", "BX"}[k])
	}
	t.op("MOVQ n+32(FP), CX")
	t.move("VMOVUPD %[1]d(DI), %[2]s")
	t.label("loop")
	for v := range vectors {
		t.step(v)
	}
	for _, r := range []string{"SI", "DX", "BX"} {
		t.op("ADDQ $64, %s", r)
	}
	t.op("SUBQ $8, CX")
	t.op("JNZ loop")
	t.move("VMOVUPD %[2]s, %[1]d(DI)")
	t.end()
}

// move writes an instruction for each sum and its place, and for each rest and its.
func (t twofold) move(instruction string) {
	for v := range vectors {
		t.op(instruction, v*vector, t.sum(v))
		t.op(instruction, 64+v*vector, t.rest(v))
	}
}

// step adds (hi+lo)·w: the product p and its error e by a fused multiplication, the
// sum and its error by Knuth's twoSum.
func (t twofold) step(v int) {
	w, p, e, s, z, y := t.reg(2, v), t.reg(3, v), t.reg(4, v), t.reg(5, v), t.reg(6, v), t.reg(7, v)
	at := v * vector
	t.op("VMOVUPD %d(BX), %s", at, w)
	t.op("VMULPD %d(SI), %s, %s", at, w, p)
	t.op("VMOVAPD %s, %s", p, e)
	t.op("VFMSUB231PD %d(SI), %s, %s", at, w, e)
	t.op("VFMADD231PD %d(DX), %s, %s", at, w, e)
	t.op("VADDPD %s, %s, %s", p, t.sum(v), s)
	t.op("VSUBPD %s, %s, %s", t.sum(v), s, z) // of p, what went into s
	t.op("VSUBPD %s, %s, %s", z, s, y)
	t.op("VSUBPD %s, %s, %s", y, t.sum(v), y) // of the sum, what did not
	t.op("VSUBPD %s, %s, %s", z, p, z)
	t.op("VADDPD %s, %s, %s", z, y, y)
	t.op("VADDPD %s, %s, %s", e, y, y)
	t.op("VADDPD %s, %s, %s", y, t.rest(v), t.rest(v))
	t.op("VMOVAPD %s, %s", s, t.sum(v))
}
