package amd64

import (
	"math"

	"dynvit.asm/emit"
	"dynvit.asm/fit"
)

// gelu writes geluRows, x·Φ(x) in a block of rows.
func (g *gen) gelu() {
	g.Func("geluRows", 32, "(x *float32, stride, rows, cols int)")
	g.Op("MOVQ", "x+0(FP)", "DI")
	g.Op("MOVQ", "stride+8(FP)", "R9")
	g.Op("SHLQ", 2, "R9")
	g.Op("MOVQ", "rows+16(FP)", "R10")
	g.Op("MOVQ", "cols+24(FP)", "R11")
	gelu := g.geluRational()
	if g.wide {
		gelu = g.geluPieces()
	}
	g.Label("row")
	g.Op("MOVQ", "DI", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.eachVector([]string{"SI"}, func(tail bool) {
		g.load(tail, "(SI)", 0)
		gelu()
		g.store(tail, 0, "(SI)")
	})
	g.Op("ADDQ", "R9", "DI")
	g.Op("DECQ", "R10")
	g.Op("JNE", "row")
	g.ret()
}

// geluRational loads constants and returns what replaces register 0, through 1 to 6:
// the error function as the quotient of fit.ErfP and fit.ErfQ.
func (g *gen) geluRational() func() {
	const low, high = 13, 14
	g.Op("VMOVUPS", g.Float(-fit.ErfLimit), g.r(low))
	g.Op("VMOVUPS", g.Float(fit.ErfLimit), g.r(high))
	return func() { g.rational(low, high) }
}

func (g *gen) rational(low, high int) {
	const v, y, z, p, q, e = 0, 1, 2, 3, 4, 6
	g.Op("VMULPS", g.Float(1/math.Sqrt2), g.r(v), g.r(y))
	g.Op("VMINPS", g.r(y), g.r(high), g.r(y))
	g.Op("VMAXPS", g.r(y), g.r(low), g.r(y))
	g.Op("VMULPS", g.r(y), g.r(y), g.r(z))
	g.Op("VMOVUPS", g.Float(fit.ErfP[0]), g.r(p))
	g.Op("VMOVUPS", g.Float(fit.ErfQ[0]), g.r(q))
	for _, c := range fit.ErfP[1:] {
		g.Op("VFMADD213PS", g.Float(c), g.r(z), g.r(p))
	}
	for _, c := range fit.ErfQ[1:] {
		g.Op("VFMADD213PS", g.Float(c), g.r(z), g.r(q))
	}
	g.Op("VMULPS", g.r(y), g.r(p), g.r(p))
	g.Op("VDIVPS", g.r(q), g.r(p), g.r(p))
	g.Op("VMOVUPS", g.Float(0.5), g.r(e))
	g.Op("VFMADD213PS", g.r(e), g.r(e), g.r(p))
	g.Op("VMULPS", g.r(p), g.r(v), g.r(v))
}

// geluPieces is geluRational with a table of polynomials, which two registers hold for
// each coefficient: x/2 + |x|·(Φ(|x|) - ½) in half the operations.
func (g *gen) geluPieces() func() {
	const table, magic, scale, last, sign, half = 16, 26, 27, 28, 29, 30
	symbol := g.Table("normal", emit.Bits(fit.Normal()))
	for i := range 2 * (fit.Degree + 1) {
		g.Op("VMOVUPS", symbol+"+"+at(i*g.bytes(), "SB"), g.r(table+i))
	}
	g.Op("VMOVUPS", g.Float(3<<22), g.r(magic))
	g.Op("VMOVUPS", g.Float(1/fit.Step), g.r(scale))
	g.Op("VMOVUPS", g.Float(fit.Pieces-1), g.r(last))
	g.Op("VMOVUPS", g.Word(1<<31), g.r(sign))
	g.Op("VMOVUPS", g.Float(0.5), g.r(half))
	return func() {
		const v, size, t, n, p, c = 0, 1, 2, 3, 4, 5
		g.Op("VANDNPS", g.r(v), g.r(sign), g.r(size))
		g.Op("VMULPS", g.r(half), g.r(v), g.r(v))
		g.Op("VMULPS", g.r(scale), g.r(size), g.r(t))
		g.Op("VMINPS", g.r(last), g.r(t), g.r(t))
		// The nearest integer stands in the low bits, where permutations look for it.
		g.Op("VADDPS", g.r(magic), g.r(t), g.r(n))
		g.Op("VREDUCEPS", toNearest, g.r(t), g.r(t))
		for i := fit.Degree; i >= 0; i-- {
			into := c
			if i == fit.Degree {
				into = p
			}
			g.Op("VMOVAPS", g.r(n), g.r(into))
			g.Op("VPERMI2PS", g.r(table+2*i+1), g.r(table+2*i), g.r(into))
			if i < fit.Degree {
				g.Op("VFMADD213PS", g.r(c), g.r(t), g.r(p))
			}
		}
		g.Op("VFMADD231PS", g.r(p), g.r(size), g.r(v))
	}
}
