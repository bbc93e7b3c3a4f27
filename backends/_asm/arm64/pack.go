package arm64

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
