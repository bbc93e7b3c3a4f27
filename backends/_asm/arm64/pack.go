package arm64

import "fmt"

// square is the side of what transpose moves: two vectors.
const square = 2 * lanes

// transpose writes transpose: a square of words from rows srcStep bytes apart to rows
// dstStep bytes apart.
func (g gen) transpose() {
	g.Func("transpose", 32, "(dst, src *uint32, dstStep, srcStep int)")
	g.Op("MOVD", "dst+0(FP)", "R0")
	g.Op("MOVD", "src+8(FP)", "R1")
	g.Op("MOVD", "dstStep+16(FP)", "R2")
	g.Op("MOVD", "srcStep+24(FP)", "R3")
	for r := range square { // row r's halves in registers r and 8+r
		g.Op("FLDPQ", "(R1)", pair(r, square+r))
		g.Op("ADD", "R3", "R1")
	}
	for half := range 2 {
		for four := range 2 {
			g.square4(half*square+four*lanes, 16)
		}
	}
	for half := range 2 { // words 4·half to 4·half+3 of all rows
		for i := range lanes {
			r := half*square + i
			g.Op("FSTPQ", pair(r, r+lanes), "(R0)")
			g.Op("ADD", "R2", "R0")
		}
	}
	g.Op("RET")
}

// square4 transposes four registers from one on, through four others.
func (g gen) square4(r, t int) {
	g.v("zip1", t, r, r+2)
	g.v("zip2", t+1, r, r+2)
	g.v("zip1", t+2, r+1, r+3)
	g.v("zip2", t+3, r+1, r+3)
	g.v("zip1", r, t, t+2)
	g.v("zip2", r+1, t, t+2)
	g.v("zip1", r+2, t+1, t+3)
	g.v("zip2", r+3, t+1, t+3)
}

// packRows writes packRows: rows of four vectors, one behind the other.
func (g gen) packRows() {
	g.Func("packRows", 32, "(panel *uint32, src *float32, step, rows int)")
	g.Op("MOVD", "panel+0(FP)", "R0")
	g.Op("MOVD", "src+8(FP)", "R1")
	g.Op("MOVD", "step+16(FP)", "R2")
	g.Op("MOVD", "rows+24(FP)", "R3")
	g.Label("row")
	for j := 0; j < 4; j += 2 {
		g.Op("FLDPQ", at(j*bytes, "R1"), pair(j, j+1))
	}
	g.Op("ADD", "R2", "R1")
	for j := 0; j < 4; j += 2 {
		g.Op("FSTPQ.P", pair(j, j+1), at(2*bytes, "R0"))
	}
	g.Op("SUBS", 1, "R3")
	g.Op("BNE", "row")
	g.Op("RET")
}

// peakSums hide the latency of the slowest multiply-add and leave registers for operands.
const peakSums = 12

// peak writes a loop of multiply-adds on registers alone: n rounds of peakSums. The sum is
// of no meaning, but depends on all.
func (g gen) peak(name string, dot func(acc int)) {
	g.Func(name, 12, "(n int) float32")
	g.Op("MOVD", "n+0(FP)", "R0")
	for r := range 2*peakSums + 2 {
		g.v("movi 0", r)
	}
	g.Label("loop")
	for r := range peakSums {
		dot(r)
	}
	g.Op("SUBS", 1, "R0")
	g.Op("BNE", "loop")
	for r := 1; r < peakSums; r++ {
		g.v("fadd", 0, 0, r)
	}
	g.Op("FMOVS", f(0), "ret+8(FP)")
	g.Op("RET")
}

// Operands of the peaks' loops.
const peakA, peakB = 2 * peakSums, 2*peakSums + 1

func (g gen) peaks() {
	g.peak("peakF32", func(acc int) { g.fmla(acc, peakA, peakB, 0) })
	g.peak("peakDot", func(acc int) { g.sdot(acc, peakA, peakB, 0) })
	for _, name := range []string{"smmla", "bfmmla"} {
		g.peak(fmt.Sprintf("peak%s", map[string]string{"smmla": "Matrix", "bfmmla": "MatrixBF16"}[name]),
			func(acc int) { g.v(name, acc, peakA, peakB) })
	}
	g.peak("peakLong", func(acc int) {
		g.v("smull", peakSums+acc, peakA, peakB)
		g.v("smlal2", peakSums+acc, peakA, peakB)
		g.v("sadalp", acc, peakSums+acc)
	})
}
