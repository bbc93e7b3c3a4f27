package emit

import "fmt"

// Offsets of the fields of host.Call; a slice is its pointer, length, capacity.
const (
	callDst     = 0
	callA       = 24
	callPanel   = 48
	callBias    = 72
	callRes     = 96
	callScale   = 120
	callUnit    = 144
	callRows    = 168
	callTile    = 176
	callWords   = 184
	callDstStep = 192
	callAStep   = 200
	callZero    = 208
	callPairs   = 232
)

// Product is a kernel of host.Product: tiles of up to Rows rows by two vectors of
// outputs, all sums in registers, in one block of code for each height of a tile.
// While it multiplies, it fetches what lies behind the panel, a weight's next, and the
// lines of Dst for writing, a row each round: all of a tile's at its beginning would
// take the place of its operands.
type Product struct {
	Name string
	Rows int
	// Dot adds the products of the words in a (one row's, in all lanes) and b to
	// acc; t is a scratch register.
	Dot func(g *Gen, acc, b, a, t int)
	// Codes: sums are int32 that start from the panel's first words, times Zero if
	// Zeros, and end by Scale, Unit and Bias. Else they are float32 and start from Bias.
	Codes, Zeros bool
	// TwoA: t is free, so that rows take turns in two registers.
	TwoA bool
	// Crossed multiplies two words of int16 at a time, see Gen.crossed. Operands and
	// panels begin with a word that sums start from, too.
	Crossed bool
	// Pairs: the kernel can write bfloat16, where the call asks for it.
	Pairs bool
}

// unroll is how many words of the operands one round of the loop takes, ahead how many
// cache lines it fetches: four or more tiles fetch a whole panel.
const (
	unroll = 4
	ahead  = 2
)

// Product writes the kernel. Registers: SI and R8 the tile's operands, R9 to R12 steps
// between its rows, DX the panel, CX words left, R13 what is fetched, R14 the bytes
// from Dst to the tile's outputs, R15 rows done.
func (g *Gen) Product(p Product) {
	g.Func(p.Name, 8, "(c *host.Call)")
	g.Op("MOVQ", "c+0(FP)", "DI")
	g.Op("MOVQ", at(callA, "DI"), "SI")
	g.Op("MOVQ", at(callWords, "DI"), "R13")
	g.Op("IMUL3Q", 2*g.Bytes(), "R13", "R13")
	g.Op("ADDQ", at(callPanel, "DI"), "R13")
	g.Op("XORL", "R14", "R14")
	g.Op("XORL", "R15", "R15")
	g.Op("MOVQ", at(callAStep, "DI"), "R9")
	g.Op("SHLQ", 2, "R9")
	g.Op("LEAQ", "(R9)(R9*2)", "R10")
	g.Op("LEAQ", "(R9)(R9*4)", "R11")
	g.Op("LEAQ", "(R10)(R9*4)", "R12")
	g.Op("MOVQ", at(callTile, "DI"), "AX")
	for rows := p.Rows; rows > 1; rows-- {
		g.Op("CMPQ", "AX", rows)
		g.Op("JEQ", fmt.Sprintf("rows%d", rows))
	}
	for rows := 1; rows <= p.Rows; rows++ {
		g.Label(fmt.Sprintf("rows%d", rows))
		g.tile(p, rows)
	}
	g.Label("done")
	g.Return()
}

func at(offset int, base string) string { return fmt.Sprintf("%d(%s)", offset, base) }

// element addresses row r of the operands: nine rows from SI, the others from R8.
func element(r, offset int) string {
	index := [...]string{"", "(R9*1)", "(R9*2)", "(R10*1)", "(R9*4)", "(R11*1)", "(R10*2)", "(R12*1)", "(R9*8)"}
	if r < len(index) {
		return at(offset, "SI") + index[r]
	}
	return at(offset, "R8") + index[r-len(index)]
}

// tile is the code for a number of rows. Sums of row r are in registers 2r and 2r+1.
func (g *Gen) tile(p Product, rows int) {
	name := func(what string) string { return fmt.Sprintf("%s%d", what, rows) }
	g.Op("MOVQ", at(callPanel, "DI"), "DX")
	g.Op("MOVQ", at(callWords, "DI"), "CX")
	if rows > 9 {
		g.Op("LEAQ", "(SI)(R9*8)", "R8")
		g.Op("ADDQ", "R9", "R8")
	}
	switch {
	case p.Crossed:
		g.startCrossed(p, rows)
	case p.Zeros:
		g.startZeros(p, rows)
		g.Op("ADDQ", 2*g.Bytes(), "DX")
	case p.Codes:
		g.start(rows, "DX")
		g.Op("ADDQ", 2*g.Bytes(), "DX")
	default:
		g.Op("MOVQ", at(callBias, "DI"), "BX")
		g.start(rows, "BX")
	}
	g.Op("MOVQ", at(callDst, "DI"), "BX")
	g.Op("ADDQ", "R14", "BX")
	g.Op("MOVQ", at(callDstStep, "DI"), "AX")
	g.Op("SUBQ", unroll, "CX")
	g.Op("JLT", name("rest"))
	g.Op("PCALIGN", 32)
	g.Label(name("loop"))
	for u := range unroll {
		switch {
		case !p.Crossed:
			g.step(p, rows, u)
		case u%2 == 0:
			g.crossed(p, rows, u)
		}
		if u < ahead {
			g.Op("PREFETCHT1", at(64*u, "R13"))
		} else if line := 64 * (u - ahead); line < 2*g.Bytes() {
			g.FetchToWrite(line)
		}
	}
	g.Op("LEAQ", "(BX)(AX*4)", "BX")
	g.Op("ADDQ", 64*ahead, "R13")
	g.advance(rows, unroll)
	g.Op("SUBQ", unroll, "CX")
	g.Op("JGE", name("loop"))
	g.Label(name("rest"))
	g.Op("ADDQ", unroll, "CX")
	g.Op("JEQ", name("done"))
	if p.Crossed {
		g.Op("CMPQ", "CX", 2)
		g.Op("JLT", name("one"))
		g.crossed(p, rows, 0)
		g.advance(rows, 2)
		g.Op("SUBQ", 2, "CX")
		g.Op("JEQ", name("done"))
	}
	g.Label(name("one"))
	g.step(p, rows, 0)
	g.advance(rows, 1)
	g.Op("DECQ", "CX")
	g.Op("JNE", name("one"))
	g.Label(name("done"))
	if p.Codes {
		g.scale(p, rows)
	}
	g.Op("MOVQ", at(callDst, "DI"), "DX")
	g.Op("ADDQ", "R14", "DX")
	g.Op("MOVQ", at(callDstStep, "DI"), "AX")
	g.Op("SHLQ", 2, "AX")
	if p.Pairs {
		g.Op("CMPB", at(callPairs, "DI"), 0)
		g.Op("JNE", name("pairs"))
	}
	g.store(rows, name("plain"))
	if p.Pairs {
		g.Op("JMP", name("next"))
		g.Label(name("pairs"))
		g.storePairs(rows)
		g.Label(name("next"))
	}
	g.next(rows, name("rows"))
}

// start sets every row's sums to the two vectors at base.
func (g *Gen) start(rows int, base string) {
	g.Op("VMOVUPS", at(0, base), g.R(0))
	g.Op("VMOVUPS", at(g.Bytes(), base), g.R(1))
	for r := 1; r < rows; r++ {
		g.Op("VMOVAPS", g.R(0), g.R(2*r))
		g.Op("VMOVAPS", g.R(1), g.R(2*r+1))
	}
}

// startCrossed sets every row's sums to the panel's first words plus the row's.
func (g *Gen) startCrossed(p Product, rows int) {
	b := 2 * p.Rows
	a := b + 2
	g.Op("VMOVUPS", "(DX)", g.R(b))
	g.Op("VMOVUPS", at(g.Bytes(), "DX"), g.R(b+1))
	for r := range rows {
		g.Op("VPBROADCASTD", element(r, 0), g.R(a))
		g.Op("VPADDD", g.R(a), g.R(b), g.R(2*r))
		g.Op("VPADDD", g.R(a), g.R(b+1), g.R(2*r+1))
	}
	g.advance(rows, 1)
	g.Op("DECQ", "CX")
}

// crossed adds the products of two words of every row's operands by Winograd's inner
// product: x·w + x'·w' = (x+w')·(x'+w) - x·x' - w·w'. What is subtracted, a number for
// each row and one for each output, is in their first words. That is three additions
// and one VPMADDWD where plain products take two of each: processors have three or
// four units for additions, but for VPMADDWD two or, older ones, one.
func (g *Gen) crossed(p Product, rows, u int) {
	w := 2 * p.Rows // four vectors: the words of both vectors of outputs
	a := w + 4
	for i := range 4 {
		g.Op("VMOVUPS", at(2*u*g.Bytes()+i*g.Bytes(), "DX"), g.R(w+i))
	}
	for r := range rows {
		x, y := g.R(a), g.R(a+1)
		left, right := g.R(a+2), g.R(a+3)
		g.Op("VPBROADCASTD", element(r, 4*u), x)
		g.Op("VPBROADCASTD", element(r, 4*u+4), y)
		g.Op("VPADDW", g.R(w+2), x, left)
		g.Op("VPADDW", g.R(w), y, right)
		g.Op("VPADDW", g.R(w+3), x, x)
		g.Op("VPADDW", g.R(w+1), y, y)
		g.Op("VPMADDWD", left, right, left)
		g.Op("VPMADDWD", x, y, x)
		g.Op("VPADDD", left, g.R(2*r), g.R(2*r))
		g.Op("VPADDD", x, g.R(2*r+1), g.R(2*r+1))
	}
}

// startZeros starts the sums of codes with what takes away the zero point of a row from
// each of its codes: the panel's first words are the weights' negative sums.
func (g *Gen) startZeros(p Product, rows int) {
	sums, zero := 2*p.Rows, 2*p.Rows+2
	g.Op("MOVQ", at(callZero, "DI"), "AX")
	g.Op("LEAQ", "(AX)(R15*4)", "AX")
	for j := range 2 {
		g.Op("VMOVUPS", at(j*g.Bytes(), "DX"), g.R(sums+j))
	}
	for r := range rows {
		g.Op("VPBROADCASTD", at(4*r, "AX"), g.R(zero+r%2))
		for j := range 2 {
			g.Op("VPMULLD", g.R(sums+j), g.R(zero+r%2), g.R(2*r+j))
		}
	}
}

// step adds the products of one word of every row's operands.
func (g *Gen) step(p Product, rows, u int) {
	b := 2 * p.Rows
	a, t := b+2, b+3
	g.Op("VMOVUPS", at(2*u*g.Bytes(), "DX"), g.R(b))
	g.Op("VMOVUPS", at((2*u+1)*g.Bytes(), "DX"), g.R(b+1))
	for r := range rows {
		x := a
		if p.TwoA && r%2 == 1 {
			x = t
		}
		g.Op("VBROADCASTSS", element(r, 4*u), g.R(x))
		p.Dot(g, 2*r, b, x, t)
		p.Dot(g, 2*r+1, b+1, x, t)
	}
}

// advance moves on by n words.
func (g *Gen) advance(rows, n int) {
	g.Op("ADDQ", 2*n*g.Bytes(), "DX")
	g.Op("ADDQ", 4*n, "SI")
	if rows > 9 {
		g.Op("ADDQ", 4*n, "R8")
	}
}

// scale turns exact sums into outputs: one rounding for scale and bias together.
func (g *Gen) scale(p Product, rows int) {
	unit, t, u := 2*p.Rows, 2*p.Rows+2, 2*p.Rows+3
	g.Op("MOVQ", at(callScale, "DI"), "AX")
	g.Op("LEAQ", "(AX)(R15*4)", "AX")
	g.Op("MOVQ", at(callUnit, "DI"), "CX")
	g.Op("MOVQ", at(callBias, "DI"), "BX")
	for j := range 2 {
		g.Op("VMOVUPS", at(j*g.Bytes(), "CX"), g.R(unit+j))
	}
	for r := range rows {
		g.Op("VBROADCASTSS", at(4*r, "AX"), g.R(t))
		for j := range 2 {
			acc := g.R(2*r + j)
			g.Op("VCVTDQ2PS", acc, acc)
			g.Op("VMULPS", g.R(unit+j), g.R(t), g.R(u))
			g.Op("VFMADD213PS", at(j*g.Bytes(), "BX"), g.R(u), acc)
		}
	}
}

// store writes the rows, AX bytes apart, plus the residual where there is one.
func (g *Gen) store(rows int, plain string) {
	g.Op("MOVQ", at(callRes, "DI"), "BX")
	g.Op("TESTQ", "BX", "BX")
	g.Op("JEQ", plain)
	g.Op("ADDQ", "R14", "BX")
	for r := range rows {
		for j := range 2 {
			g.Op("VADDPS", at(j*g.Bytes(), "BX"), g.R(2*r+j), g.R(2*r+j))
		}
		if r < rows-1 {
			g.Op("ADDQ", "AX", "BX")
		}
	}
	g.Label(plain)
	for r := range rows {
		for j := range 2 {
			g.Op("VMOVUPS", g.R(2*r+j), at(j*g.Bytes(), "DX"))
		}
		if r < rows-1 {
			g.Op("ADDQ", "AX", "DX")
		}
	}
}

// storePairs writes the rows rounded to bfloat16.
func (g *Gen) storePairs(rows int) {
	for r := range rows {
		for j := range 2 {
			g.ToBF16(2*r+j, 2*r+j)
			g.Op("VMOVUPS", fmt.Sprintf("Y%d", 2*r+j), at(j*g.Bytes()/2, "DX"))
		}
		if r < rows-1 {
			g.Op("ADDQ", "AX", "DX")
		}
	}
}

// next goes on to the tile below, if there is one.
func (g *Gen) next(rows int, tile string) {
	g.Op("ADDQ", rows, "R15")
	g.Op("CMPQ", "R15", at(callRows, "DI"))
	g.Op("JGE", "done")
	g.Op("IMUL3Q", rows, "AX", "AX")
	g.Op("ADDQ", "AX", "R14")
	g.Op("MOVQ", at(callWords, "DI"), "CX")
	if !g.Wide {
		g.fetchAgain()
	}
	g.Op("SHLQ", 2, "CX")
	g.Op("IMUL3Q", rows, "R9", "BX")
	g.Op("ADDQ", "BX", "SI")
	g.Op("SUBQ", "CX", "SI")
	g.Op("JMP", tile)
}

// fetchAgain turns back at the end of the next panel: fetching the ones behind it, too,
// would drive the operands out of the near cache.
func (g *Gen) fetchAgain() {
	g.Op("IMUL3Q", 2*g.Bytes(), "CX", "BX")
	g.Op("MOVQ", at(callPanel, "DI"), "AX")
	g.Op("ADDQ", "BX", "AX")
	g.Op("ADDQ", "AX", "BX")
	g.Op("CMPQ", "R13", "BX")
	g.Op("CMOVQCC", "AX", "R13")
}
