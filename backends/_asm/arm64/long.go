package arm64

// long is tiles of up to five rows by 16 outputs, four of them at a time, in codes, on
// processors without dot products: 16 codes of a row by 16 of an output make eight sums
// of two products, which 16 bits hold as long as neither -128·-128 is among them, and
// those are added in pairs to four sums. Those four are added up at the end. Behind their
// header panels hold 16 codes of each of four outputs after the other, zeros behind the
// last, and then the next four outputs'.
type long struct{}

const longCols = 4

// Registers: the four sums of row r and output j, weights of outputs, two rows' operands,
// and products.
func (long) sum(r, j int) int { return 12 + longCols*r + j }

const (
	longWeights  = 0
	longOperands = 4
	longProducts = 6
)

func (long) describe(g gen, rows int) {
	g.Comment("Tiles of %d by 4: sums in V12 to V%d, weights in V0 to V3, operands in V4 and V5, products in V6 to V11.", rows, 11+4*rows)
}

// tile writes a loop over four outputs at a time: R14 is how many bytes of float32 they
// are behind the panel's first.
func (l long) tile(g gen, p product, rows int, name func(string) string) {
	g.Op("ADD", tileCols*lanes, "R1")
	g.Op("MOVD", "ZR", "R14")
	g.Label(name("outputs"))
	g.rowPointers(rows, "R3", "R12")
	g.Op("MOVD", call("Words"), "R2")
	l.start(g, rows, name)
	g.eachBlock(name, func(load loading) { l.products(g, rows, load, "sadalp") })
	l.sums(g, rows)
	l.scaled(g, rows)
	g.Op("ADD", bytes, "R14")
	g.Op("CMP", longCols*bytes, "R14")
	g.Op("BNE", name("outputs"))
	g.next(p, rows, name("rows"))
}

// start makes the sums those of the first 16 codes, or 0 where there are fewer.
func (l long) start(g gen, rows int, name func(string) string) {
	g.Op("SUBS", 4, "R2")
	g.Op("BGE", name("first"))
	g.Op("ADD", 4, "R2")
	for r := range rows {
		for j := range longCols {
			g.v("movi 0", l.sum(r, j))
		}
	}
	g.Op("B", name("few"))
	g.Label(name("first"))
	l.products(g, rows, g.wholeOperands, "saddlp")
	g.Label(name("few"))
}

// products multiplies 16 codes of each row, and adds to the sums, or begins them, by an
// instruction. Each product's second half follows its first by a few instructions, and
// its sum by a few more.
func (l long) products(g gen, rows int, load loading, add string) {
	g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(longWeights, longWeights+1))
	g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(longWeights+2, longWeights+3))
	for r := range rows {
		a := longOperands + r%2
		load(r, a)
		t := func(j int) int { return longProducts + (longCols*r+j)%6 }
		for j := range longCols {
			g.v("smull h", t(j), a, longWeights+j)
		}
		for j := range longCols {
			g.v("smlal2h", t(j), a, longWeights+j)
		}
		for j := range longCols {
			g.v(add, l.sum(r, j), t(j))
		}
	}
}

// sums adds up each sum's words, four outputs side by side, and adds the panel's header
// times the row's zero point.
func (l long) sums(g gen, rows int) {
	const header, zero = 0, 1
	g.loadIndexed(header, 26, 14)
	for r := range rows {
		g.v("addp", l.sum(r, 0), l.sum(r, 0), l.sum(r, 1))
		g.v("addp", l.sum(r, 2), l.sum(r, 2), l.sum(r, 3))
		g.v("addp", l.sum(r, 0), l.sum(r, 0), l.sum(r, 2))
		g.lanesOf("R20", rows, r, zero)
		g.mlaBy(l.sum(r, 0), header, zero, r%4)
	}
}

// scaled turns exact sums into outputs, one rounding for scale and bias together, and
// stores them.
func (l long) scaled(g gen, rows int) {
	const unit, bias, scale, res = 0, 1, 2, 3
	both := func(r int) int { return l.sum(r, 1) }
	y := func(r int) int { return l.sum(r, 2) }
	g.loadIndexed(unit, 24, 14)
	g.loadIndexed(bias, 23, 14)
	for r := range rows {
		g.lanesOf("R19", rows, r, scale)
		g.v("scvtf", l.sum(r, 0), l.sum(r, 0))
		g.fmulBy(both(r), unit, scale, r%4)
		g.move(y(r), bias)
		g.v("fmla", y(r), l.sum(r, 0), both(r))
	}
	without := g.NewLabel("plain")
	g.Op("ADD", "R14", "R4", "R17")
	g.Op("MOVD", call("Res"), "R13")
	g.Op("CBZ", "R13", without)
	g.Op("ADD", "R15", "R17", "R13")
	for r := range rows {
		g.Op("FMOVQ", at(0, "R13"), f(res))
		g.v("fadd", y(r), y(r), res)
		g.Op("ADD", "R16", "R13")
	}
	g.Label(without)
	for r := range rows {
		g.Op("FMOVQ", f(y(r)), at(0, "R17"))
		g.Op("ADD", "R16", "R17")
	}
}
