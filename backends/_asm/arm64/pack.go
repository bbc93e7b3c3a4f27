package arm64

// square is the side of what transpose moves: two vectors.
const square = 2 * lanes

// transpose writes transpose: a square of words from rows srcStep bytes apart to rows
// dstStep bytes apart.
func (g gen) transpose() {
	g.Func("transpose", 32, "(dst, src *uint32, dstStep, srcStep int)")
	g.arguments("dst", "src", "dstStep", "srcStep")
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
	g.arguments("panel", "src", "step", "rows")
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

// packBlocks writes packBlocks: for matrix.products, blocks of four words of two rows,
// step bytes apart, into a panel, their first two words beside each other and the other
// two eight vectors behind.
func (g gen) packBlocks() {
	g.Func("packBlocks", 32, "(panel, src *uint32, step, blocks int)")
	g.arguments("panel", "src", "step", "blocks")
	g.Op("ADD", "R1", "R2")
	g.Label("block")
	g.Op("FMOVQ.P", at(bytes, "R1"), f(0))
	g.Op("FMOVQ.P", at(bytes, "R2"), f(1))
	g.v("zip1 d", 2, 0, 1)
	g.v("zip2 d", 3, 0, 1)
	g.Op("FMOVQ", f(2), at(0, "R0"))
	g.Op("FMOVQ", f(3), at(round/2, "R0"))
	g.Op("ADD", round, "R0")
	g.Op("SUBS", 1, "R3")
	g.Op("BNE", "block")
	g.Op("RET")
}

// packFours writes a kernel that makes four rows of 16 bfloat16, step bytes apart, half a
// block of a panel: of each output two words, of the rows' two pairs. n times.
func (g gen) packFours(name, from string, load func(row int)) {
	g.Func(name, 32, "(panel *uint32, src "+from+", step, n int)")
	g.arguments("panel", "src", "step", "n")
	g.Label("four")
	for row := range 4 {
		load(row)
		g.Op("ADD", "R2", "R1")
	}
	for half := range 2 { // row's halves are in registers row and 4+row
		r := 4 * half
		g.v("zip1 h", 8, r, r+1)
		g.v("zip2 h", 9, r, r+1)
		g.v("zip1 h", 10, r+2, r+3)
		g.v("zip2 h", 11, r+2, r+3)
		for i := range 2 {
			g.v("zip1", 12, 8+i, 10+i)
			g.v("zip2", 13, 8+i, 10+i)
			g.Op("FSTPQ.P", pair(12, 13), at(2*bytes, "R0"))
		}
	}
	g.Op("SUBS", 1, "R3")
	g.Op("BNE", "four")
	g.Op("RET")
}

func (g gen) packPairs() {
	g.packFours("packPairs", "*uint32", func(row int) { g.Op("FLDPQ", "(R1)", pair(row, 4+row)) })
}

func (g gen) packRowsBF16() {
	g.packFours("packRowsBF16", "*float32", func(row int) {
		for half := range 2 {
			g.Op("FLDPQ", at(half*2*bytes, "R1"), pair(8, 9))
			g.v("bfcvtn", 4*half+row, 8)
			g.v("bfcvtn2", 4*half+row, 9)
		}
	})
}
