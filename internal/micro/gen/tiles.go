package main

import "fmt"

// real is a type of element: its bits, and the suffix of its instructions.
type real struct {
	bits   int
	suffix string
	scalar string
}

var reals = []real{{64, "PD", "SD"}, {32, "PS", "SS"}}

func tiles(a *asm) {
	for _, r := range reals {
		for vectors := 3; vectors > 0; vectors-- {
			rows := 4
			if vectors == 1 {
				rows = 8
			}
			tile{a, r, rows, vectors}.write()
		}
	}
}

// tile writes one routine: rows×vectors of C.
type tile struct {
	*asm
	r             real
	rows, vectors int
}

func (t tile) write() {
	t.text(fmt.Sprintf("taps%dx%d", t.r.bits, t.vectors), "(t *tile)", 8)
	t.begin()
	t.label("channel")
	t.op("XORQ CX, CX")
	t.label("tap")
	t.op("MOVQ (DX)(CX*8), AX")
	t.op("LEAQ (SI)(AX*%d), AX", t.r.bits/8)
	for v := range t.vectors {
		t.op("VMOVU%s %d(AX), %s", t.r.suffix, v*vector, t.x(v))
	}
	for row := range t.rows {
		t.row(row)
	}
	t.op("ADDQ R15, R8")
	if t.rows > 4 {
		t.op("ADDQ R15, R9")
	}
	t.op("INCQ CX")
	t.op("CMPQ CX, R12")
	t.op("JLT tap")
	t.op("ADDQ BX, SI")
	t.op("DECQ R13")
	t.op("JNZ channel")
	t.add()
	t.end()
}

func (t tile) begin() {
	t.op("MOVQ t+0(FP), DI")
	for _, field := range [][2]string{
		{"x", "SI"}, {"a", "R8"}, {"lda", "R10"}, {"step", "R15"}, {"off", "DX"}, {"taps", "R12"}, {"channels", "R13"}, {"stride", "BX"},
	} {
		t.op("MOVQ tile_%s(DI), %s", field[0], field[1])
	}
	t.op("LEAQ (R10)(R10*2), R11")
	if t.rows > 4 {
		t.op("LEAQ (R8)(R10*4), R9")
	}
	for k := range t.rows * t.vectors {
		t.op("VXORPS Y%d, Y%d, Y%d", k, k, k)
	}
}

// row multiplies the vectors of X by one element of A.
func (t tile) row(row int) {
	base := []string{"R8", "R9"}[row/4]
	from := fmt.Sprintf([]string{"(%s)", "(%s)(R10*1)", "(%s)(R10*2)", "(%s)(R11*1)"}[row%4], base)
	last := y((t.rows + 1) * t.vectors)
	t.op("VBROADCAST%s %s, %s", t.r.scalar, from, last)
	for v := range t.vectors {
		t.op("VFMADD231%s %s, %s, %s", t.r.suffix, last, t.x(v), t.c(row, v))
	}
}

// add adds the accumulators to C.
func (t tile) add() {
	t.op("MOVQ tile_c(DI), AX")
	t.op("MOVQ tile_ldc(DI), CX")
	for row := range t.rows {
		for v := range t.vectors {
			t.op("VADD%s %d(AX), %s, %s", t.r.suffix, v*vector, t.c(row, v), t.c(row, v))
			t.op("VMOVU%s %s, %d(AX)", t.r.suffix, t.c(row, v), v*vector)
		}
		if row < t.rows-1 {
			t.op("ADDQ CX, AX")
		}
	}
}

func (t tile) c(row, v int) string { return y(row*t.vectors + v) }
func (t tile) x(v int) string      { return y(t.rows*t.vectors + v) }
