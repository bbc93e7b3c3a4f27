package arm64

import (
	"fmt"
	"slices"
)

// call is a field of the host.Call that R0 points to, of a slice its pointer. The compiler
// writes the offsets, of the package's own name for the type, to go_asm.h.
func call(field string) string { return "call_" + field + "(R0)" }

// length is that of a slice in it.
func length(field string) string { return "call_" + field + "+8(R0)" }

// product is a kernel of host.Product: tiles of some rows by four vectors of outputs, in
// one block of code for each height of a tile.
type product struct {
	name    string
	heights []int // rising, as host.Product has them
	// layout multiplies.
	layout layout
	// codes: sums are int32 that start from the panel's first words times Zero, and end by
	// Scale, Unit and Bias. Else they are float32 and start from Bias.
	codes bool
	// pairs: outputs may be stored as bfloat16.
	pairs bool
}

// tileCols is the number of a panel's outputs.
const tileCols = 4 * lanes

// layout is how a tile's operands lie in registers, and what is done with them.
type layout interface {
	// describe says in a comment where what is.
	describe(g gen, rows int)
	// tile writes the multiplication of a tile, whose panel is at R1, and what stores it
	// and goes on to the tile below.
	tile(g gen, p product, rows int, name func(string) string)
}

// product writes the kernel. Registers: R1 the panel, R2 words left, R3 the tile's
// operands, R4 its outputs, R5 rows left, R6 to R11 its rows' operands, then their
// outputs, R12 and R16 the bytes between rows of operands and of outputs, R15 those from
// outputs to the residual, R19 and R20 the tile's Scale and Zero, R21 panels left, R22 the
// bytes of one, and of the one at hand R23 Bias, R24 Unit, R25 its outputs and R26 its
// beginning; R13, R14 and R17 are free.
func (g gen) product(p product) {
	g.Func(p.name, 8, "(c *call)")
	g.Op("MOVD", "c+0(FP)", "R0")
	g.Op("MOVD", call("AStride"), "R12")
	g.Op("LSL", 2, "R12", "R12")
	g.Op("MOVD", call("DstStride"), "R16")
	g.Op("LSL", 2, "R16", "R16")
	g.Op("MOVD", call("Dst"), "R25")
	g.Op("MOVD", call("Res"), "R15")
	g.Op("SUB", "R25", "R15")
	g.Op("MOVD", call("Bias"), "R23")
	g.Op("MOVD", call("Unit"), "R24")
	g.Op("MOVD", call("Panels"), "R21")
	g.Op("MOVD", length("Panel"), "R22")
	g.Op("UDIV", "R21", "R22")
	g.Op("LSL", 2, "R22", "R22")
	g.Op("MOVD", call("Panel"), "R26")
	g.Label("panel")
	g.Op("MOVD", call("A"), "R3")
	g.Op("MOVD", "R25", "R4")
	g.Op("MOVD", call("Rows"), "R5")
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
		name := func(what string) string { return fmt.Sprintf("%s%d", what, rows) }
		g.Label(name("rows"))
		p.layout.describe(g, rows)
		g.Op("MOVD", "R26", "R1")
		p.layout.tile(g, p, rows, name)
	}
	g.Label("done")
	g.nextPanel(p)
	g.Op("RET")
}

// nextPanel goes on to the panel behind, if there is one.
func (g gen) nextPanel(p product) {
	g.Op("SUBS", 1, "R21")
	g.Op("BEQ", "end")
	g.Op("MOVD", tileCols*lanes, "R14")
	g.Op("ADD", "R22", "R26")
	g.Op("ADD", "R14", "R23")
	g.Op("ADD", "R14", "R24")
	if p.pairs {
		g.Op("MOVBU", call("Pairs"), "R13")
		g.Op("LSR", "R13", "R14")
	}
	g.Op("ADD", "R14", "R25")
	g.Op("B", "panel")
	g.Label("end")
}

// rowPointers makes the registers of base rows' addresses from one on, apart bytes apart.
func (g gen) rowPointers(rows int, first, apart string) {
	g.Op("MOVD", first, base(0))
	for r := 1; r < rows; r++ {
		g.Op("ADD", apart, base(r-1), base(r))
	}
}

// sink says where a tile's outputs go.
type sink int

const (
	plain     sink = iota
	residual       // plus what stands at the residual
	asPairs        // as bfloat16
	sinkKinds = iota
)

// finish stores a tile, whose vectors of four outputs are in the registers sums, by row and
// vector: code for every sink of a product, behind what picks the call's, that goes on to
// the tile below.
func (g gen) finish(p product, rows int, name func(string) string, sums func(r, j int) int) {
	labels := [sinkKinds]string{"", name("residual"), name("pairs")}
	g.Op("MOVD", call("Res"), "R13")
	g.Op("CBNZ", "R13", labels[residual])
	sinks := []sink{plain, residual}
	if p.pairs {
		g.Op("MOVBU", call("Pairs"), "R13")
		g.Op("CBNZ", "R13", labels[asPairs])
		sinks = append(sinks, asPairs)
	}
	for _, to := range sinks {
		if to != plain {
			g.Label(labels[to])
		}
		if p.codes {
			g.scaled(rows, to, sums)
		} else {
			g.floats(rows, to, sums)
		}
		g.next(p, rows, name("rows"))
	}
}

// next goes on to the tile below, if there is one.
func (g gen) next(p product, rows int, tile string) {
	g.Op("SUBS", rows, "R5")
	g.Op("BLE", "done")
	g.Op("MOVD", rows, "R13")
	g.Op("MADD", "R12", "R3", "R13", "R3")
	g.Op("MADD", "R16", "R4", "R13", "R4")
	if p.codes {
		g.Op("ADD", 4*rows, "R19")
		g.Op("ADD", 4*rows, "R20")
	}
	g.Op("B", tile)
}

// floats stores rows of float32.
func (g gen) floats(rows int, to sink, sums func(r, j int) int) {
	g.rowPointers(rows, "R4", "R16")
	for r := range rows {
		for j := 0; j < 4; j += 2 {
			g.store2(to, r, j, sums(r, j), sums(r, j+1), 0)
		}
	}
}

// store2 stores vectors j and j+1 of row r, from registers a and b, through t and t+1.
func (g gen) store2(to sink, r, j, a, b, t int) {
	switch to {
	case asPairs:
		g.v("bfcvtn", t, a)
		g.v("bfcvtn2", t, b)
		g.Op("FMOVQ", f(t), at(j*bytes/2, base(r)))
		return
	case residual:
		g.Op("ADD", "R15", base(r), "R17")
		g.Op("FLDPQ", at(j*bytes, "R17"), pair(t, t+1))
		g.v("fadd", a, a, t)
		g.v("fadd", b, b, t+1)
	}
	g.Op("FSTPQ", pair(a, b), at(j*bytes, base(r)))
}

// scaled turns exact sums into outputs, one rounding for scale and bias together, and
// stores them.
func (g gen) scaled(rows int, to sink, sums func(r, j int) int) {
	const unit, both, scale, y = 0, 3, 5, 6 // and the next registers, but of scale
	g.rowPointers(rows, "R4", "R16")
	for j := 0; j < 4; j += 2 {
		g.Op("FLDPQ", at(j*bytes, "R24"), pair(unit, unit+1))
		for r := range rows {
			g.lanesOf("R19", rows, r, scale)
			g.Op("FLDPQ", at(j*bytes, "R23"), pair(y, y+1))
			for i := range 2 {
				g.v("scvtf", sums(r, j+i), sums(r, j+i))
				g.fmulBy(both+i, unit+i, scale, r%4)
			}
			for i := range 2 {
				g.v("fmla", y+i, sums(r, j+i), both+i)
			}
			g.store2(to, r, j, y, y+1, both)
		}
	}
}

// lanesOf reads the words of rows from r on at a pointer, up to four, where r begins four.
func (g gen) lanesOf(pointer string, rows, r, into int) {
	if r%4 != 0 {
		return
	}
	switch left := rows - r; {
	case left >= 4:
		g.Op("FMOVQ", at(4*r, pointer), f(into))
	case left == 1:
		g.Op("FMOVS", at(4*r, pointer), f(into))
	case left == 2:
		g.Op("FMOVD", at(4*r, pointer), f(into))
	default:
		panic(fmt.Sprint("arm64: tiles of rows ", rows))
	}
}
