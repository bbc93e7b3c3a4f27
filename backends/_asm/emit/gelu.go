package emit

import "math"

// GELU writes geluRows, x·Φ(x) in a block of rows.
func (g *Gen) GELU() {
	g.Func("geluRows", 32, "(x *float32, stride, rows, cols int)")
	g.Op("MOVQ", "x+0(FP)", "DI")
	g.Op("MOVQ", "stride+8(FP)", "R9")
	g.Op("SHLQ", 2, "R9")
	g.Op("MOVQ", "rows+16(FP)", "R10")
	g.Op("MOVQ", "cols+24(FP)", "R11")
	gelu := g.geluRational()
	if g.Wide {
		gelu = g.geluPieces()
	}
	g.Label("row")
	g.Op("MOVQ", "DI", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.EachVector([]string{"SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 0)
		gelu()
		g.Store(tail, 0, "(SI)")
	})
	g.Op("ADDQ", "R9", "DI")
	g.Op("DECQ", "R10")
	g.Op("JNE", "row")
	g.Return()
}

// geluRational loads constants and returns what replaces register 0, through 1 to 6:
// the error function is the rational minimax approximation on ±4 of Eigen's
// generic_fast_erf.
func (g *Gen) geluRational() func() {
	const low, high = 13, 14
	g.Op("VMOVUPS", g.Float(-4), g.R(low))
	g.Op("VMOVUPS", g.Float(4), g.R(high))
	return func() { g.rational(low, high) }
}

func (g *Gen) rational(low, high int) {
	const v, y, z, p, q, e = 0, 1, 2, 3, 4, 6
	g.Op("VMULPS", g.Float(1/math.Sqrt2), g.R(v), g.R(y))
	g.Op("VMINPS", g.R(y), g.R(high), g.R(y))
	g.Op("VMAXPS", g.R(y), g.R(low), g.R(y))
	g.Op("VMULPS", g.R(y), g.R(y), g.R(z))
	g.Op("VMOVUPS", g.Float(-2.72614225801306e-10), g.R(p))
	g.Op("VMOVUPS", g.Float(-1.45660718464996e-05), g.R(q))
	for _, c := range []float64{2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04,
		-2.95459980854025e-03, -1.60960333262415e-02} {
		g.Op("VFMADD213PS", g.Float(c), g.R(z), g.R(p))
	}
	for _, c := range []float64{-2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02} {
		g.Op("VFMADD213PS", g.Float(c), g.R(z), g.R(q))
	}
	g.Op("VMULPS", g.R(y), g.R(p), g.R(p))
	g.Op("VDIVPS", g.R(q), g.R(p), g.R(p))
	g.Op("VMOVUPS", g.Float(0.5), g.R(e))
	g.Op("VFMADD213PS", g.R(e), g.R(e), g.R(p))
	g.Op("VMULPS", g.R(p), g.R(v), g.R(v))
}

// Of Φ(t) - ½ the pieces are centred on multiples of step, the last, from 5.1 on, is
// ½. Polynomials of degree 3 and the last piece are within 1.5e-7, some of
// float32's last bits.
const (
	pieces = 32
	step   = 0.168
	degree = 3
)

// geluPieces is geluRational with a table of polynomials, which two registers hold for
// each coefficient: x/2 + |x|·(Φ(|x|) - ½) in half the operations.
func (g *Gen) geluPieces() func() {
	const table, magic, scale, last, sign, half = 16, 26, 27, 28, 29, 30
	symbol := g.Table("normal", normalPieces())
	for i := range 2 * (degree + 1) {
		g.Op("VMOVUPS", symbol+"+"+at(i*g.Bytes(), "SB"), g.R(table+i))
	}
	g.Op("VMOVUPS", g.Float(3<<22), g.R(magic))
	g.Op("VMOVUPS", g.Float(1/step), g.R(scale))
	g.Op("VMOVUPS", g.Float(pieces-1), g.R(last))
	g.Op("VMOVUPS", g.Word(1<<31), g.R(sign))
	g.Op("VMOVUPS", g.Float(0.5), g.R(half))
	return func() {
		const v, size, t, n, p, c = 0, 1, 2, 3, 4, 5
		g.Op("VANDNPS", g.R(v), g.R(sign), g.R(size))
		g.Op("VMULPS", g.R(half), g.R(v), g.R(v))
		g.Op("VMULPS", g.R(scale), g.R(size), g.R(t))
		g.Op("VMINPS", g.R(last), g.R(t), g.R(t))
		// The nearest integer stands in the low bits, where permutations look for it.
		g.Op("VADDPS", g.R(magic), g.R(t), g.R(n))
		g.Op("VREDUCEPS", toNearest, g.R(t), g.R(t))
		for i := degree; i >= 0; i-- {
			into := c
			if i == degree {
				into = p
			}
			g.Op("VMOVAPS", g.R(n), g.R(into))
			g.Op("VPERMI2PS", g.R(table+2*i+1), g.R(table+2*i), g.R(into))
			if i < degree {
				g.Op("VFMADD213PS", g.R(c), g.R(t), g.R(p))
			}
		}
		g.Op("VFMADD231PS", g.R(p), g.R(size), g.R(v))
	}
}

// normalPieces are the coefficients of every piece, of r = t/step - piece: the
// constants of all pieces, then what r is multiplied with, then r², and so on.
func normalPieces() []float32 {
	values := make([]float32, (degree+1)*pieces)
	for piece := range pieces - 1 {
		half := func(r float64) float64 { return 0.5 * math.Erf((float64(piece)+r)*step/math.Sqrt2) }
		for i, c := range interpolate(half, chebyshev(degree+1, -0.5, 0.5)) {
			values[i*pieces+piece] = float32(c)
		}
	}
	values[pieces-1] = 0.5
	return values
}
