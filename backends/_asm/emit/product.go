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
	callWords   = 176
	callDstStep = 184
	callAStep   = 192
)

// Product is a kernel of host.Product: up to Rows rows by two vectors of outputs, all
// sums in registers, in one block of code for each number of rows.
type Product struct {
	Name string
	Rows int
	// Dot adds the products of the words in a (one row's, in all lanes) and b to
	// acc; t is a scratch register.
	Dot func(g *Gen, acc, b, a, t int)
	// Codes: sums are int32 that start from the panel's first words, and end by
	// Scale, Unit and Bias. Else they are float32 and start from Bias.
	Codes bool
	// TwoA: t is free, so that rows take turns in two registers.
	TwoA bool
}

// unroll is how many words of the operands one round of the loop takes.
const unroll = 4

// Product writes the kernel.
func (g *Gen) Product(p Product) {
	g.Func(p.Name, 8, "(c *host.Call)")
	g.Op("MOVQ", "c+0(FP)", "DI")
	g.Op("MOVQ", at(callA, "DI"), "SI")
	g.Op("MOVQ", at(callPanel, "DI"), "DX")
	g.Op("MOVQ", at(callWords, "DI"), "CX")
	g.Op("MOVQ", at(callAStep, "DI"), "R9")
	g.Op("SHLQ", 2, "R9")
	g.Op("LEAQ", "(R9)(R9*2)", "R10")
	g.Op("LEAQ", "(R9)(R9*4)", "R11")
	g.Op("LEAQ", "(R10)(R9*4)", "R12")
	g.Op("LEAQ", "(SI)(R9*8)", "R8")
	g.Op("ADDQ", "R9", "R8")
	g.Op("MOVQ", at(callRows, "DI"), "AX")
	for rows := p.Rows; rows > 1; rows-- {
		g.Op("CMPQ", "AX", rows)
		g.Op("JEQ", fmt.Sprintf("rows%d", rows))
	}
	for rows := 1; rows <= p.Rows; rows++ {
		g.Label(fmt.Sprintf("rows%d", rows))
		g.tile(p, rows)
	}
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
	if p.Codes {
		g.start(rows, "DX")
		g.Op("ADDQ", 2*g.Bytes(), "DX")
	} else {
		g.Op("MOVQ", at(callBias, "DI"), "BX")
		g.start(rows, "BX")
	}
	g.Op("SUBQ", unroll, "CX")
	g.Op("JLT", name("rest"))
	g.Op("PCALIGN", 32)
	g.Label(name("loop"))
	for u := range unroll {
		g.step(p, rows, u)
	}
	g.advance(rows, unroll)
	g.Op("SUBQ", unroll, "CX")
	g.Op("JGE", name("loop"))
	g.Label(name("rest"))
	g.Op("ADDQ", unroll, "CX")
	g.Op("JEQ", name("done"))
	g.Label(name("one"))
	g.step(p, rows, 0)
	g.advance(rows, 1)
	g.Op("DECQ", "CX")
	g.Op("JNE", name("one"))
	g.Label(name("done"))
	if p.Codes {
		g.scale(p, rows)
	}
	g.store(rows, name("plain"))
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
	t, u := 2*p.Rows, 2*p.Rows+1
	g.Op("MOVQ", at(callScale, "DI"), "R8")
	g.Op("MOVQ", at(callUnit, "DI"), "R9")
	g.Op("MOVQ", at(callBias, "DI"), "BX")
	for r := range rows {
		g.Op("VBROADCASTSS", at(4*r, "R8"), g.R(t))
		for j := range 2 {
			acc := g.R(2*r + j)
			g.Op("VCVTDQ2PS", acc, acc)
			g.Op("VMULPS", at(j*g.Bytes(), "R9"), g.R(t), g.R(u))
			g.Op("VFMADD213PS", at(j*g.Bytes(), "BX"), g.R(u), acc)
		}
	}
}

// store writes the rows, plus the residual where there is one.
func (g *Gen) store(rows int, plain string) {
	g.Op("MOVQ", at(callDst, "DI"), "DX")
	g.Op("MOVQ", at(callDstStep, "DI"), "AX")
	g.Op("SHLQ", 2, "AX")
	g.Op("MOVQ", at(callRes, "DI"), "SI")
	g.Op("TESTQ", "SI", "SI")
	g.Op("JEQ", plain)
	for r := range rows {
		for j := range 2 {
			g.Op("VADDPS", at(j*g.Bytes(), "SI"), g.R(2*r+j), g.R(2*r+j))
		}
		if r < rows-1 {
			g.Op("ADDQ", "AX", "SI")
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
	g.Return()
}
