package amd64

import (
	"fmt"
	"slices"
)

// call is a field of the host.Call that DI points to, of a slice its pointer. The compiler
// writes the offsets, of the package's own name for the type, to go_asm.h.
func call(field string) string { return "call_" + field + "(DI)" }

// product is a kernel of host.Product: tiles of some rows by two vectors of outputs, all
// sums in registers, in one block of code for each height of a tile.
// While it multiplies, it fetches what lies behind the panel, a weight's next, and the
// lines of Dst for writing, a row each round where a tile has many: all at its beginning
// would take the place of its operands.
type product struct {
	name    string
	heights []int // rising, as host.Product has them
	// dot adds the products of the words in a (one row's, in all lanes) and b to
	// acc; t is a scratch register.
	dot func(g *gen, acc, b, a, t int)
	// codes: sums are int32 that start from the panel's first words, times Zero if
	// zeros, and end by Scale, Unit and Bias. Else they are float32 and start from Bias.
	codes, zeros bool
	// twoA: t is free, so that rows take turns in two registers.
	twoA bool
	// crossed multiplies two words of int16 at a time, see gen.crossed. Operands and
	// panels begin with a word that sums start from, too.
	crossed bool
	// pairs: the kernel can write bfloat16, where the call asks for it.
	pairs bool
	// narrow: weights are kept as bytes and were widened for the call, so that what to fetch,
	// the next panel, is the call's Next, half as long as Panel.
	narrow bool
}

// most is the height that registers are laid out for: sums from 0 on, operands behind.
func (p *product) most() int { return p.heights[len(p.heights)-1] }

// unroll is how many words of the operands one round of the loop takes. With AVX2 it takes 20
// instructions for 12 multiply-adds as it is, which a core that shares its front end with
// another thread has not always room for (docs/performance.md, "Zen 3").
func (g *gen) unroll() int {
	if g.wide {
		return 4
	}
	return 8
}

// ahead is how many cache lines a round fetches: four or more tiles, with AVX2 eight, fetch a
// whole panel.
const ahead = 2

// product writes the kernel. Registers: SI and R8 the tile's operands, R9 to R12 steps
// between its rows, DX the panel, CX words left, R13 what is fetched, R14 the bytes
// from Dst to the tile's outputs, R15 rows done.
func (g *gen) product(p product) {
	g.Func(p.name, 8, "(c *call)")
	g.Op("MOVQ", "c+0(FP)", "DI")
	g.Op("MOVQ", call("A"), "SI")
	g.fetchFirst(p)
	g.Op("XORL", "R14", "R14")
	g.Op("XORL", "R15", "R15")
	g.Op("MOVQ", call("AStride"), "R9")
	g.Op("SHLQ", 2, "R9")
	g.Op("LEAQ", "(R9)(R9*2)", "R10")
	g.Op("LEAQ", "(R9)(R9*4)", "R11")
	g.Op("LEAQ", "(R10)(R9*4)", "R12")
	g.Op("MOVQ", call("Tile"), "AX")
	for _, rows := range slices.Backward(p.heights[1:]) {
		g.Op("CMPQ", "AX", rows)
		g.Op("JEQ", fmt.Sprintf("rows%d", rows))
	}
	for _, rows := range p.heights {
		g.Label(fmt.Sprintf("rows%d", rows))
		g.tile(p, rows)
	}
	g.Label("done")
	g.ret()
}

// fetchFirst points to what is fetched first.
func (g *gen) fetchFirst(p product) {
	if p.narrow {
		g.Op("MOVQ", call("Next"), "R13")
		return
	}
	g.Op("MOVQ", call("Words"), "R13")
	g.Op("IMUL3Q", 2*g.bytes(), "R13", "R13")
	g.Op("ADDQ", call("Panel"), "R13")
}

// element addresses row r of the operands: nine rows from SI, the others from R8.
func element(r, offset int) string {
	index := [...]string{"", "(R9*1)", "(R9*2)", "(R10*1)", "(R9*4)", "(R11*1)", "(R10*2)", "(R12*1)", "(R9*8)"}
	if r < len(index) {
		return at(offset, "SI") + index[r]
	}
	return at(offset, "R8") + index[r-len(index)]
}

// tile is the code for a number of rows. Sums of row r are in registers 2r and 2r+1.
func (g *gen) tile(p product, rows int) {
	name := func(what string) string { return fmt.Sprintf("%s%d", what, rows) }
	g.describe(p, rows)
	g.begin(p, rows)
	g.Op("MOVQ", call("Dst"), "BX")
	g.Op("ADDQ", "R14", "BX")
	g.Op("MOVQ", call("DstStride"), "AX")
	if !g.wide {
		for range rows {
			g.fetchToWrite(0)
			g.nextToWrite()
		}
	}
	g.Op("SUBQ", g.unroll(), "CX")
	g.Op("JLT", name("rest"))
	g.Op("PCALIGN", 32)
	g.Label(name("loop"))
	g.round(p, rows)
	g.Op("SUBQ", g.unroll(), "CX")
	g.Op("JGE", name("loop"))
	g.Label(name("rest"))
	g.Op("ADDQ", g.unroll(), "CX")
	g.Op("JEQ", name("done"))
	if p.crossed {
		g.Label(name("two"))
		g.Op("CMPQ", "CX", 2)
		g.Op("JLT", name("one"))
		g.crossed(p, rows, 0)
		g.advance(rows, 2)
		g.Op("SUBQ", 2, "CX")
		g.Op("JNE", name("two"))
		g.Op("JMP", name("done"))
	}
	g.Label(name("one"))
	g.step(p, rows, 0)
	g.advance(rows, 1)
	g.Op("DECQ", "CX")
	g.Op("JNE", name("one"))
	g.Label(name("done"))
	if p.codes {
		g.scale(p, rows)
	}
	g.outputs(p, rows, name)
	g.next(p, rows, name("rows"))
}

// begin points to the tile's operands and starts its sums.
func (g *gen) begin(p product, rows int) {
	g.Op("MOVQ", call("Panel"), "DX")
	g.Op("MOVQ", call("Words"), "CX")
	if rows > 9 {
		g.Op("LEAQ", "(SI)(R9*8)", "R8")
		g.Op("ADDQ", "R9", "R8")
	}
	switch {
	case p.crossed:
		g.startCrossed(p, rows)
	case p.zeros:
		g.startZeros(p, rows)
		g.Op("ADDQ", 2*g.bytes(), "DX")
	case p.codes:
		g.start(rows, "DX")
		g.Op("ADDQ", 2*g.bytes(), "DX")
	default:
		g.Op("MOVQ", call("Bias"), "BX")
		g.start(rows, "BX")
	}
}

// round is the loop's body: words of the operands, and what it fetches.
func (g *gen) round(p product, rows int) {
	for u := range g.unroll() {
		switch {
		case !p.crossed:
			g.step(p, rows, u)
		case u%2 == 0:
			g.crossed(p, rows, u)
		}
		if u < ahead {
			g.Op("PREFETCHT1", at(64*u, "R13"))
		} else if line := 64 * (u - ahead); g.wide && line < 2*g.bytes() {
			g.fetchToWrite(line)
		}
	}
	if g.wide {
		g.nextToWrite()
	}
	g.Op("ADDQ", 64*ahead, "R13")
	g.advance(rows, g.unroll())
}

// nextToWrite goes on to the row of Dst that is fetched next.
func (g *gen) nextToWrite() { g.Op("LEAQ", "(BX)(AX*4)", "BX") }

// outputs stores the tile, as float32 or, where the call asks for it, bfloat16.
func (g *gen) outputs(p product, rows int, name func(string) string) {
	g.Op("MOVQ", call("Dst"), "DX")
	g.Op("ADDQ", "R14", "DX")
	g.Op("MOVQ", call("DstStride"), "AX")
	g.Op("SHLQ", 2, "AX")
	if p.pairs {
		g.Op("CMPB", call("Pairs"), 0)
		g.Op("JNE", name("pairs"))
	}
	g.storeRows(rows, name("plain"))
	if p.pairs {
		g.Op("JMP", name("next"))
		g.Label(name("pairs"))
		g.storePairs(rows)
		g.Label(name("next"))
	}
}

// describe says in a comment what a tile keeps in which registers.
func (g *gen) describe(p product, rows int) {
	b, weights := 2*p.most(), 2
	if p.crossed {
		weights = 4
	}
	g.Comment("A tile of %d by %d: sums in %s to %s, weights in %s to %s, rows' operands behind them.", rows, 2*g.lanes(),
		g.r(0), g.r(2*rows-1), g.r(b), g.r(b+weights-1))
}

// start sets every row's sums to the two vectors at base.
func (g *gen) start(rows int, base string) {
	g.Op("VMOVUPS", at(0, base), g.r(0))
	g.Op("VMOVUPS", at(g.bytes(), base), g.r(1))
	for r := 1; r < rows; r++ {
		g.Op("VMOVAPS", g.r(0), g.r(2*r))
		g.Op("VMOVAPS", g.r(1), g.r(2*r+1))
	}
}

// startCrossed sets every row's sums to the panel's first words plus the row's.
func (g *gen) startCrossed(p product, rows int) {
	b := 2 * p.most()
	a := b + 2
	g.Op("VMOVUPS", "(DX)", g.r(b))
	g.Op("VMOVUPS", at(g.bytes(), "DX"), g.r(b+1))
	for r := range rows {
		g.Op("VPBROADCASTD", element(r, 0), g.r(a))
		g.Op("VPADDD", g.r(a), g.r(b), g.r(2*r))
		g.Op("VPADDD", g.r(a), g.r(b+1), g.r(2*r+1))
	}
	g.advance(rows, 1)
	g.Op("DECQ", "CX")
}

// crossed adds the products of two words of every row's operands by Winograd's inner
// product: x·w + x'·w' = (x+w')·(x'+w) - x·x' - w·w'. What is subtracted, a number for
// each row and one for each output, is in their first words. That is three additions
// and one VPMADDWD where plain products take two of each: processors have three or
// four units for additions, but for VPMADDWD two or, older ones, one.
func (g *gen) crossed(p product, rows, u int) {
	w := 2 * p.most() // four vectors: the words of both vectors of outputs
	a := w + 4
	for i := range 4 {
		g.Op("VMOVUPS", at(2*u*g.bytes()+i*g.bytes(), "DX"), g.r(w+i))
	}
	for r := range rows {
		x, y := g.r(a), g.r(a+1)
		left, right := g.r(a+2), g.r(a+3)
		g.Op("VPBROADCASTD", element(r, 4*u), x)
		g.Op("VPBROADCASTD", element(r, 4*u+4), y)
		g.Op("VPADDW", g.r(w+2), x, left)
		g.Op("VPADDW", g.r(w), y, right)
		g.Op("VPADDW", g.r(w+3), x, x)
		g.Op("VPADDW", g.r(w+1), y, y)
		g.Op("VPMADDWD", left, right, left)
		g.Op("VPMADDWD", x, y, x)
		g.Op("VPADDD", left, g.r(2*r), g.r(2*r))
		g.Op("VPADDD", x, g.r(2*r+1), g.r(2*r+1))
	}
}

// startZeros starts the sums of codes with what takes away the zero point of a row from
// each of its codes: the panel's first words are the weights' negative sums.
func (g *gen) startZeros(p product, rows int) {
	sums, zero := 2*p.most(), 2*p.most()+2
	g.Op("MOVQ", call("Zero"), "AX")
	g.Op("LEAQ", "(AX)(R15*4)", "AX")
	for j := range 2 {
		g.Op("VMOVUPS", at(j*g.bytes(), "DX"), g.r(sums+j))
	}
	for r := range rows {
		g.Op("VPBROADCASTD", at(4*r, "AX"), g.r(zero+r%2))
		for j := range 2 {
			g.Op("VPMULLD", g.r(sums+j), g.r(zero+r%2), g.r(2*r+j))
		}
	}
}

// step adds the products of one word of every row's operands.
func (g *gen) step(p product, rows, u int) {
	b := 2 * p.most()
	a, t := b+2, b+3
	g.Op("VMOVUPS", at(2*u*g.bytes(), "DX"), g.r(b))
	g.Op("VMOVUPS", at((2*u+1)*g.bytes(), "DX"), g.r(b+1))
	for r := range rows {
		x := a
		if p.twoA && r%2 == 1 {
			x = t
		}
		g.Op("VBROADCASTSS", element(r, 4*u), g.r(x))
		p.dot(g, 2*r, b, x, t)
		p.dot(g, 2*r+1, b+1, x, t)
	}
}

// advance moves on by n words.
func (g *gen) advance(rows, n int) {
	g.Op("ADDQ", 2*n*g.bytes(), "DX")
	g.Op("ADDQ", 4*n, "SI")
	if rows > 9 {
		g.Op("ADDQ", 4*n, "R8")
	}
}

// scale turns exact sums into outputs: one rounding for scale and bias together.
func (g *gen) scale(p product, rows int) {
	unit, t, u := 2*p.most(), 2*p.most()+2, 2*p.most()+3
	g.Op("MOVQ", call("Scale"), "AX")
	g.Op("LEAQ", "(AX)(R15*4)", "AX")
	g.Op("MOVQ", call("Unit"), "CX")
	g.Op("MOVQ", call("Bias"), "BX")
	for j := range 2 {
		g.Op("VMOVUPS", at(j*g.bytes(), "CX"), g.r(unit+j))
	}
	for r := range rows {
		g.Op("VBROADCASTSS", at(4*r, "AX"), g.r(t))
		for j := range 2 {
			acc := g.r(2*r + j)
			g.Op("VCVTDQ2PS", acc, acc)
			g.Op("VMULPS", g.r(unit+j), g.r(t), g.r(u))
			g.Op("VFMADD213PS", at(j*g.bytes(), "BX"), g.r(u), acc)
		}
	}
}

// storeRows writes the rows, AX bytes apart, plus the residual where there is one.
func (g *gen) storeRows(rows int, plain string) {
	g.Op("MOVQ", call("Res"), "BX")
	g.Op("TESTQ", "BX", "BX")
	g.Op("JEQ", plain)
	g.Op("ADDQ", "R14", "BX")
	for r := range rows {
		for j := range 2 {
			g.Op("VADDPS", at(j*g.bytes(), "BX"), g.r(2*r+j), g.r(2*r+j))
		}
		if r < rows-1 {
			g.Op("ADDQ", "AX", "BX")
		}
	}
	g.Label(plain)
	for r := range rows {
		for j := range 2 {
			g.Op("VMOVUPS", g.r(2*r+j), at(j*g.bytes(), "DX"))
		}
		if r < rows-1 {
			g.Op("ADDQ", "AX", "DX")
		}
	}
}

// storePairs writes the rows rounded to bfloat16.
func (g *gen) storePairs(rows int) {
	for r := range rows {
		for j := range 2 {
			g.toBF16(2*r+j, 2*r+j)
			g.Op("VMOVUPS", fmt.Sprintf("Y%d", 2*r+j), at(j*g.bytes()/2, "DX"))
		}
		if r < rows-1 {
			g.Op("ADDQ", "AX", "DX")
		}
	}
}

// next goes on to the tile below, if there is one.
func (g *gen) next(p product, rows int, tile string) {
	g.Op("ADDQ", rows, "R15")
	g.Op("CMPQ", "R15", call("Rows"))
	g.Op("JGE", "done")
	g.Op("IMUL3Q", rows, "AX", "AX")
	g.Op("ADDQ", "AX", "R14")
	g.Op("MOVQ", call("Words"), "CX")
	if !g.wide || p.narrow {
		g.fetchAgain(p)
	}
	g.Op("SHLQ", 2, "CX")
	g.Op("IMUL3Q", rows, "R9", "BX")
	g.Op("ADDQ", "BX", "SI")
	g.Op("SUBQ", "CX", "SI")
	g.Op("JMP", tile)
}

// fetchAgain turns back at the end of the next panel: fetching the ones behind it, too,
// would drive the operands out of the near cache.
func (g *gen) fetchAgain(p product) {
	if p.narrow {
		g.Op("IMUL3Q", g.bytes(), "CX", "BX")
		g.Op("MOVQ", call("Next"), "AX")
	} else {
		g.Op("IMUL3Q", 2*g.bytes(), "CX", "BX")
		g.Op("MOVQ", call("Panel"), "AX")
		g.Op("ADDQ", "BX", "AX")
	}
	g.Op("ADDQ", "AX", "BX")
	g.Op("CMPQ", "R13", "BX")
	g.Op("CMOVQCC", "AX", "R13")
}
