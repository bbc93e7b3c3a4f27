package arm64

import "fmt"

// long is tiles of up to four rows by four outputs, in codes, on processors without dot
// products: 16 codes of a row by 16 of an output make eight sums of two products,
// which 16 bits hold as long as neither -128·-128 is among them, and those are added in
// pairs to four sums. Those four are added up at the end. Panels hold 16 codes of each
// output after the other, zeros behind the last.
type long struct{}

const longCols = 4

func (long) cols() int { return longCols }

// sum is the register of the four sums of row r and output j.
func (long) sum(r, j int) int { return 16 + 4*r + j }

func (long) describe(g gen, rows int) {
	g.Comment("A tile of %d by 4: sums in V16 to V%d, operands in V0 to V%d, weights in V4 to V7, products in V8 to V15.", rows, 15+4*rows, rows-1)
}

// start makes word 0 of a sum what stands at its output in the panel's header, times the
// row's zero point.
func (l long) start(g gen, rows int, _ bool) {
	for j := range longCols {
		g.Op("FMOVS", at(4*j, "R1"), f(4+j))
	}
	for r := range rows {
		g.Op("FMOVS", at(4*r, "R14"), f(0))
		for j := range longCols {
			g.mulBy(l.sum(r, j), 4+j, 0)
		}
	}
	g.Op("ADD", bytes, "R1")
}

func (l long) multiply(g gen, rows int, name func(string) string) {
	g.eachBlock(rows, name, func() { l.products(g, rows) })
}

// products multiplies 16 codes of each row. Each product's second half follows its first
// by a few instructions, and its sum by a few more.
func (l long) products(g gen, rows int) {
	g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(4, 5))
	g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(6, 7))
	for r := range rows {
		t := 8 + r%2*longCols
		for j := range longCols {
			g.v("smull", t+j, r, 4+j)
		}
		for j := range longCols {
			g.v("smlal2", t+j, r, 4+j)
		}
		for j := range longCols {
			g.v("sadalp", l.sum(r, j), t+j)
		}
	}
}

// outputs adds up each sum's words, side by side.
func (l long) outputs(g gen, rows int) func(r, j int) int {
	for r := range rows {
		g.v("addp", l.sum(r, 0), l.sum(r, 0), l.sum(r, 1))
		g.v("addp", l.sum(r, 2), l.sum(r, 2), l.sum(r, 3))
		g.v("addp", l.sum(r, 0), l.sum(r, 0), l.sum(r, 2))
	}
	return func(r, j int) int {
		if j != 0 {
			panic(fmt.Sprint("arm64: no vector ", j))
		}
		return l.sum(r, 0)
	}
}
