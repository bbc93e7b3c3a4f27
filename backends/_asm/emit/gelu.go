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

// Of Φ(t) - ½ the pieces are centred on multiples of step, the last, from 5.7 on, is
// ½. Polynomials of degree 4 are within 1e-8 there, less than float32 resolves.
const (
	pieces = 32
	step   = 6.0 / pieces
	degree = 4
)

// geluPieces is geluRational with a table of polynomials, which two registers hold for
// each coefficient: half the multiply-adds, which are what GELU takes its time for.
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
		const v, t, n, r, p, c = 0, 1, 2, 3, 4, 5
		g.Op("VANDNPS", g.R(v), g.R(sign), g.R(t))
		g.Op("VMULPS", g.R(scale), g.R(t), g.R(t))
		g.Op("VMINPS", g.R(last), g.R(t), g.R(t))
		// The nearest integer stands in the low bits, where permutations look for it.
		g.Op("VADDPS", g.R(magic), g.R(t), g.R(n))
		g.Op("VSUBPS", g.R(magic), g.R(n), g.R(r))
		g.Op("VSUBPS", g.R(r), g.R(t), g.R(r))
		for i := degree; i >= 0; i-- {
			into := c
			if i == degree {
				into = p
			}
			g.Op("VMOVAPS", g.R(n), g.R(into))
			g.Op("VPERMI2PS", g.R(table+2*i+1), g.R(table+2*i), g.R(into))
			if i < degree {
				g.Op("VFMADD213PS", g.R(c), g.R(r), g.R(p))
			}
		}
		const signOfSecond = 0xd8 // the bits of v where sign has ones, else p's
		g.Op("VPTERNLOGD", signOfSecond, g.R(sign), g.R(v), g.R(p))
		g.Op("VADDPS", g.R(half), g.R(p), g.R(p))
		g.Op("VMULPS", g.R(p), g.R(v), g.R(v))
	}
}

// normalPieces are the coefficients of every piece, of r = t/step - piece: the
// constants of all pieces, then what r is multiplied with, then r², and so on.
func normalPieces() []float32 {
	values := make([]float32, (degree+1)*pieces)
	for piece := range pieces {
		for i, c := range fit(float64(piece)) {
			values[i*pieces+piece] = float32(c)
		}
	}
	for i := range degree + 1 {
		values[i*pieces+pieces-1] = 0
	}
	values[pieces-1] = 0.5
	return values
}

// fit interpolates Φ - ½ at Chebyshev's nodes and returns the coefficients of 1, r, r², ….
func fit(piece float64) [degree + 1]float64 {
	const n = degree + 1
	var a [n][n + 1]float64 // a row: powers of a node, and the value there
	for i := range n {
		r := 0.5 * math.Cos(math.Pi*(float64(i)+0.5)/n)
		a[i][n] = 0.5 * math.Erf((piece+r)*step/math.Sqrt2)
		for j, x := 0, 1.0; j < n; j, x = j+1, x*r {
			a[i][j] = x
		}
	}
	return solve(a)
}

// solve is Gauss' elimination with the largest pivot.
func solve(a [degree + 1][degree + 2]float64) (x [degree + 1]float64) {
	n := len(a)
	for c := range n {
		best := c
		for r := c; r < n; r++ {
			if math.Abs(a[r][c]) > math.Abs(a[best][c]) {
				best = r
			}
		}
		a[c], a[best] = a[best], a[c]
		for r := range n {
			if f := a[r][c] / a[c][c]; r != c {
				for k := range a[r] {
					a[r][k] -= f * a[c][k]
				}
			}
		}
	}
	for i := range n {
		x[i] = a[i][n] / a[i][i]
	}
	return x
}
