package arm64

import (
	"fmt"
	"slices"
)

// call is a field of the host.Call that R0 points to, of a slice its pointer. The compiler
// writes the offsets, of the package's own name for the type, to go_asm.h.
func call(field string) string { return "call_" + field + "(R0)" }

// product is a kernel of host.Product: tiles of some rows by four vectors of outputs, all
// sums in registers, in one block of code for each height of a tile.
type product struct {
	name    string
	heights []int // rising, as host.Product has them
	// layout multiplies.
	layout layout
	// codes: sums are int32 that start from the panel's first words times Zero, and end by
	// Scale, Unit and Bias. Else they are float32 and start from Bias.
	codes bool
}

// layout is how a tile's operands lie in registers, and what is done with them.
type layout interface {
	// cols is the number of a panel's outputs.
	cols() int
	// describe says in a comment where what is.
	describe(g gen, rows int)
	// start begins the sums, of float32 or of codes; the panel is at R1, Bias or the
	// tile's Zero at R14. It may take the panel's header with R1.
	start(g gen, rows int, codes bool)
	// multiply writes the loop over the words of the operands: row r's end 16 bytes
	// behind base(r), R2 is 16 less a row's bytes, and the panel is at R1.
	multiply(g gen, rows int, name func(string) string)
	// outputs makes all sums vectors of four outputs of a row, and returns where they
	// are, by row and vector. Registers 0, 1 and 3 to 7 it leaves free.
	outputs(g gen, rows int) func(r, j int) int
}

// base is the general register of row r's operands.
func base(r int) int { return 6 + r }

// product writes the kernel. Registers: R1 the panel, R2 the operands' index, R3 the tile's
// operands, R4 its outputs, R5 rows done, R6 to R11 its rows' operands, R12 and R16
// the bytes between rows of operands and of outputs, R15 the residual or 0, R19 and
// R20 the tile's Scale and Zero; R13, R14 and R17 are free.
func (g gen) product(p product) {
	g.Func(p.name, 8, "(c *call)")
	g.Op("MOVD", "c+0(FP)", "R0")
	g.Op("MOVD", call("A"), "R3")
	g.Op("MOVD", call("Dst"), "R4")
	g.Op("MOVD", "ZR", "R5")
	g.Op("MOVD", call("AStride"), "R12")
	g.Op("LSL", 2, "R12", "R12")
	g.Op("MOVD", call("DstStride"), "R16")
	g.Op("LSL", 2, "R16", "R16")
	g.Op("MOVD", call("Res"), "R15")
	if p.codes {
		g.Op("MOVD", call("Scale"), "R19")
		g.Op("MOVD", call("Zero"), "R20")
	}
	g.Op("MOVD", call("Tile"), "R13")
	for _, rows := range slices.Backward(p.heights[1:]) {
		g.Op("CMP", rows, "R13")
		g.Op("BEQ", fmt.Sprintf("rows%d", rows))
	}
	for _, rows := range p.heights {
		g.Label(fmt.Sprintf("rows%d", rows))
		g.tile(p, rows)
	}
	g.Label("done")
	g.Op("RET")
}

// tile is the code for a number of rows.
func (g gen) tile(p product, rows int) {
	name := func(what string) string { return fmt.Sprintf("%s%d", what, rows) }
	p.layout.describe(g, rows)
	g.Op("MOVD", call("Panel"), "R1")
	if p.codes {
		g.Op("MOVD", "R20", "R14")
	} else {
		g.Op("MOVD", call("Bias"), "R14")
	}
	p.layout.start(g, rows, p.codes)
	g.Op("MOVD", call("Words"), "R2")
	g.Op("ADD", "R2<<2", "R3", fmt.Sprintf("R%d", base(0)))
	g.Op("SUB", bytes, fmt.Sprintf("R%d", base(0)))
	for r := 1; r < rows; r++ {
		g.Op("ADD", "R12", fmt.Sprintf("R%d", base(r-1)), fmt.Sprintf("R%d", base(r)))
	}
	g.Op("MOVD", bytes, "R13")
	g.Op("SUB", "R2<<2", "R13", "R2")
	p.layout.multiply(g, rows, name)
	sums := p.layout.outputs(g, rows)
	if p.codes {
		g.scaled(p, rows, sums)
	} else {
		g.plain(p, rows, sums)
	}
	g.next(p, rows, name("rows"))
}

// plain stores rows of float32, plus the residual where there is one.
func (g gen) plain(p product, rows int, sums func(r, j int) int) {
	g.Op("MOVD", "R4", "R13")
	g.Op("MOVD", "R15", "R14")
	for r := range rows {
		without := g.NewLabel("plain")
		g.Op("CBZ", "R15", without)
		for j := 0; j < p.layout.cols()/lanes; j += 2 {
			g.Op("FLDPQ", at(j*bytes, "R14"), pair(0, 1))
			g.v("fadd", sums(r, j), sums(r, j), 0)
			g.v("fadd", sums(r, j+1), sums(r, j+1), 1)
		}
		g.Op("ADD", "R16", "R14")
		g.Label(without)
		for j := 0; j < p.layout.cols()/lanes; j += 2 {
			g.Op("FSTPQ", pair(sums(r, j), sums(r, j+1)), at(j*bytes, "R13"))
		}
		if r < rows-1 {
			g.Op("ADD", "R16", "R13")
		}
	}
}

// scaled turns exact sums into outputs, one rounding for scale and bias together, adds the
// residual where there is one, and stores them.
func (g gen) scaled(p product, rows int, sums func(r, j int) int) {
	vectors := p.layout.cols() / lanes
	for j := 0; j < vectors; j += 2 {
		n := min(2, vectors-j)
		g.Op("MOVD", call("Unit"), "R14")
		g.loadSome(n, at(j*bytes, "R14"), unitAt, unitAt+1)
		g.Op("MOVD", call("Bias"), "R14")
		g.Op("MOVD", "R4", "R13")
		g.Op("MOVD", "R15", "R17")
		for r := range rows {
			g.scaledRow(n, r, j*bytes, [2]int{sums(r, j), sums(r, j+n-1)})
			if r < rows-1 {
				g.Op("ADD", "R16", "R13")
			}
		}
	}
}

const unitAt = 0 // and the next register

// scaledRow does n vectors of a row, offset bytes behind R13 in Dst and R17 in Res.
func (g gen) scaledRow(n, r, offset int, sums [2]int) {
	const scale, both, y = 4, 5, 6
	g.Op("FMOVS", at(4*r, "R19"), f(scale))
	g.loadSome(n, at(offset, "R14"), y, y+1)
	for i := range n {
		g.v("scvtf", sums[i], sums[i])
		g.fmulBy(both, unitAt+i, scale)
		g.v("fmla", y+i, sums[i], both)
	}
	without := g.NewLabel("plain")
	g.Op("CBZ", "R15", without)
	g.loadSome(n, at(offset, "R17"), sums[0], sums[1])
	for i := range n {
		g.v("fadd", y+i, y+i, sums[i])
	}
	g.Op("ADD", "R16", "R17")
	g.Label(without)
	if n == 1 {
		g.Op("FMOVQ", f(y), at(offset, "R13"))
		return
	}
	g.Op("FSTPQ", pair(y, y+1), at(offset, "R13"))
}

// loadSome reads one vector or two beside each other.
func (g gen) loadSome(n int, from string, r, other int) {
	if n == 1 {
		g.Op("FMOVQ", from, f(r))
		return
	}
	g.Op("FLDPQ", from, pair(r, other))
}

// next goes on to the tile below, if there is one.
func (g gen) next(p product, rows int, tile string) {
	without := g.NewLabel("next")
	g.Op("ADD", rows, "R5")
	g.Op("MOVD", call("Rows"), "R13")
	g.Op("CMP", "R13", "R5")
	g.Op("BGE", "done")
	g.Op("MOVD", rows, "R13")
	g.Op("MUL", "R13", "R12", "R14")
	g.Op("ADD", "R14", "R3")
	g.Op("MUL", "R13", "R16", "R14")
	g.Op("ADD", "R14", "R4")
	if p.codes {
		g.Op("ADD", 4*rows, "R19")
		g.Op("ADD", 4*rows, "R20")
	}
	g.Op("CBZ", "R15", without)
	g.Op("ADD", "R14", "R15")
	g.Label(without)
	g.Op("B", tile)
}
