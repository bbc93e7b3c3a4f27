package arm64

import (
	"fmt"
	"math"

	"dynvit.asm/fit"
)

// word is one word of a vector register.
func word(r, lane int) string { return fmt.Sprintf("V%d.S[%d]", r, lane) }

// softmax writes softmaxRows: see host.Kernels.Softmax.
func (g gen) softmax() {
	const most, scale, total, none = 0, 1, 8, 9
	g.Func("softmaxRows", 48, "(s *float32, stride, rows, n int, scale float32, total *float32)")
	g.Op("MOVD", "s+0(FP)", "R0")
	g.Op("MOVD", "stride+8(FP)", "R9")
	g.Op("MOVD", "rows+16(FP)", "R10")
	g.Op("MOVD", "n+24(FP)", "R11")
	g.Op("MOVD", "total+40(FP)", "R12")
	g.Op("FMOVS", "scale+32(FP)", f(scale))
	g.v("dup", scale, scale)
	g.constant(2, math.Log2E)
	g.v("fmul", scale, scale, 2)
	g.constant(none, math.Inf(-1))
	g.exp2Constants()
	g.Label("row")
	g.move(most, none)
	g.Op("MOVD", "R0", "R1")
	g.Op("MOVD", "R11", "R2")
	g.move(11, none)
	g.eachFour(func() {
		for i := range 4 {
			g.v("fmaxnm", [2]int{most, 11}[i%2], [2]int{most, 11}[i%2], 2+i)
		}
	})
	g.v("fmaxnm", most, most, 11)
	g.eachVector(func(tail bool) {
		g.loadNext(tail, "R1", 2)
		g.fillPast(tail, 2, none, 3)
		g.v("fmaxnm", most, most, 2)
	})
	g.v("fmaxnmv", most, most)
	g.v("dup", most, most)
	g.v("movi 0", total)
	g.Op("MOVD", "R0", "R1")
	g.Op("MOVD", "R11", "R2")
	g.eachVector(func(tail bool) {
		g.load(tail, "R1", 2)
		g.v("fsub", 2, 2, most)
		g.v("fmul", 2, 2, scale)
		p := g.exp2(2)
		g.clearPast(tail, p)
		g.v("fadd", total, total, p)
		g.storeNext(tail, p, "R1")
	})
	g.sum(total)
	g.Op("FMOVS.P", f(total), at(4, "R12"))
	g.Op("ADD", "R9<<2", "R0")
	g.Op("SUBS", 1, "R10")
	g.Op("BNE", "row")
	g.Op("RET")
}

// Registers of exp2's constants: the least exponent, and coefficients.
const (
	expLeast        = 10
	expCoefficients = 16
)

func (g gen) exp2Constants() {
	g.constant(expLeast, -126)
	for i, c := range fit.Exp2() {
		g.constant(expCoefficients+i, c)
	}
}

// exp2 makes another register 2^x, through 3 to 7, for x <= 0: 2^n·2^r, n the integer
// below x. 0 below -126, where the normal numbers end; NaN stays.
func (g gen) exp2(x int) (y int) {
	const n, r, p, t = 3, 4, 5, 6
	last := expCoefficients + len(fit.Exp2()) - 1
	g.v("frintm", n, x)
	g.v("fsub", r, x, n)
	g.v("fcvtms", n, x)
	g.v("fcmgt", 7, expLeast, x)
	g.shiftLeft(n, n, 23)
	g.move(p, last-1)
	g.v("fmla", p, last, r)
	from, to := p, t
	for c := last - 2; c >= expCoefficients; c-- {
		g.move(to, c)
		g.v("fmla", to, from, r)
		from, to = to, from
	}
	g.v("add", from, from, n)
	g.v("bic", from, from, 7)
	return from
}

// sum makes all words of a register their sum.
func (g gen) sum(r int) {
	g.v("faddp", r, r, r)
	g.v("faddp", r, r, r)
}

// gelu writes geluRows, x·Φ(x) in a block of rows: Φ as ½ and half the error function, the
// quotient of fit.ErfP and fit.ErfQ in x/√2. Its factors, and the divisor's first
// coefficient, are in the constants.
func (g gen) gelu() {
	const low, high, half, constants = 8, 9, 11, 16
	g.Func("geluRows", 32, "(x *float32, stride, rows, cols int)")
	g.Op("MOVD", "x+0(FP)", "R0")
	g.Op("MOVD", "stride+8(FP)", "R9")
	g.Op("MOVD", "rows+16(FP)", "R10")
	g.Op("MOVD", "cols+24(FP)", "R11")
	g.constant(low, -fit.ErfLimit*math.Sqrt2)
	g.constant(high, fit.ErfLimit*math.Sqrt2)
	g.constant(half, 0.5)
	p, q := normalQuotient()
	for i, c := range append(p, q[1:]...) {
		g.constant(constants+i, c)
	}
	g.Label("row")
	g.Op("MOVD", "R0", "R1")
	g.Op("MOVD", "R11", "R2")
	g.eachVector(func(tail bool) {
		const v, y, z = 0, 1, 2
		g.load(tail, "R1", v)
		g.v("fmin", y, v, high)
		g.v("fmax", y, y, low)
		g.v("fmul", z, y, y)
		g.move(3, constants+1)
		g.v("fmla", 3, constants, z)
		over := g.horner(constants+2, len(p)-2, z, 3, 4)
		g.v("fadd", 5, z, constants+len(p))
		under := g.horner(constants+len(p)+1, len(q)-2, z, 5, 6)
		g.v("fmul", y, y, over)
		g.v("fdiv", y, y, under)
		g.v("fadd", y, y, half)
		g.v("fmul", v, v, y)
		g.storeNext(tail, v, "R1")
	})
	g.Op("ADD", "R9<<2", "R0")
	g.Op("SUBS", 1, "R10")
	g.Op("BNE", "row")
	g.Op("RET")
}

// normalQuotient is Φ(x) - ½ as x·p(x²)/q(x²), the highest powers' coefficients first; the
// first of q is 1.
func normalQuotient() (p, q []float64) {
	power := func(n, i int) float64 { return math.Pow(0.5, float64(n-1-i)) } // of (x/√2)²
	scale := fit.ErfQ[0] * power(len(fit.ErfQ), 0)
	for i, c := range fit.ErfP {
		p = append(p, c*power(len(fit.ErfP), i)/math.Sqrt2/2/scale)
	}
	for i, c := range fit.ErfQ {
		q = append(q, c*power(len(fit.ErfQ), i)/scale)
	}
	return p, q
}

// horner goes on evaluating a polynomial in z, so far in a, by n coefficients in registers
// from first on, by turns in b and a. It returns the last one.
func (g gen) horner(first, n, z, a, b int) int {
	for c := first; c < first+n; c++ {
		g.move(b, c)
		g.v("fmla", b, a, z)
		a, b = b, a
	}
	return a
}

// Registers of norm: a row's mean as rounded, what was left of it, the mean square of what
// is beyond both, its inverse root, and what all rows share.
const (
	normMean, normLeft, normSquares, normInverse = 7, 8, 9, 10
	normCount, normEps, normOne                  = 11, 12, 13
)

// norm writes normRows. The first mean is rounded; what is left of it comes out of
// the second pass, so that rows of tiny variance around a large mean lose nothing.
func (g gen) norm() {
	g.Func("normRows", 56, "(dst, x, gamma, beta *float32, rows, n int, inverseN, eps float32)")
	g.Op("MOVD", "dst+0(FP)", "R0")
	g.Op("MOVD", "x+8(FP)", "R3")
	g.Op("MOVD", "rows+32(FP)", "R10")
	g.Op("MOVD", "n+40(FP)", "R11")
	g.Op("FMOVS", "inverseN+48(FP)", f(normCount))
	g.Op("FMOVS", "eps+52(FP)", f(normEps))
	g.v("dup", normCount, normCount)
	g.v("dup", normEps, normEps)
	g.constant(normOne, 1)
	g.Label("row")
	g.normFirst()
	g.normSecond()
	g.Op("MOVD", "gamma+16(FP)", "R4")
	g.Op("MOVD", "beta+24(FP)", "R5")
	g.Op("MOVD", "R11", "R2")
	g.eachVector(func(tail bool) {
		g.loadNext(tail, "R3", 0)
		g.loadNext(tail, "R4", 1)
		g.loadNext(tail, "R5", 2)
		g.v("fsub", 0, 0, normMean)
		g.v("fsub", 0, 0, normLeft)
		g.v("fmul", 0, 0, normInverse)
		g.v("fmla", 2, 0, 1)
		g.storeNext(tail, 2, "R0")
	})
	g.Op("AND", 3, "R11", "R2") // the tail's words were not passed
	g.Op("ADD", "R2<<2", "R3")
	g.Op("ADD", "R2<<2", "R0")
	g.Op("SUBS", 1, "R10")
	g.Op("BNE", "row")
	g.Op("RET")
}

// normFirst writes the pass that finds the mean of the row at R3.
func (g gen) normFirst() {
	g.v("movi 0", normMean)
	g.v("movi 0", normLeft)
	g.v("movi 0", normSquares)
	g.Op("MOVD", "R3", "R1")
	g.Op("MOVD", "R11", "R2")
	g.eachFour(func() { // in pairs, lest each addition wait for the last
		g.v("fadd", 2, 2, 3)
		g.v("fadd", 4, 4, 5)
		g.v("fadd", normMean, normMean, 2)
		g.v("fadd", normLeft, normLeft, 4)
	})
	g.v("fadd", normMean, normMean, normLeft)
	g.v("movi 0", normLeft)
	g.eachVector(func(tail bool) {
		g.loadNext(tail, "R1", 0)
		g.v("fadd", normMean, normMean, 0)
	})
	g.mean(normMean, normCount)
}

// normSecond writes the pass that finds what is left of the mean, and the variance.
func (g gen) normSecond() {
	g.Op("MOVD", "R3", "R1")
	g.Op("MOVD", "R11", "R2")
	g.eachVector(func(tail bool) {
		g.loadNext(tail, "R1", 0)
		g.v("fsub", 0, 0, normMean)
		g.clearPast(tail, 0)
		g.v("fadd", normLeft, normLeft, 0)
		g.v("fmla", normSquares, 0, 0)
	})
	g.mean(normLeft, normCount)
	g.mean(normSquares, normCount)
	g.v("fmls", normSquares, normLeft, normLeft)
	g.v("fadd", normSquares, normSquares, normEps)
	g.v("fsqrt", normSquares, normSquares)
	g.v("fdiv", normInverse, normOne, normSquares)
}

// mean makes register r, a vector of partial sums, their sum times count in all words.
func (g gen) mean(r, count int) {
	g.sum(r)
	g.v("fmul", r, r, count)
}

// divide writes divideRows.
func (g gen) divide() {
	g.Func("divideRows", 56, "(dst *float32, dstStride int, src *float32, srcStride, rows, cols int, total *float32)")
	g.Op("MOVD", "dst+0(FP)", "R0")
	g.Op("MOVD", "dstStride+8(FP)", "R7")
	g.Op("MOVD", "src+16(FP)", "R3")
	g.Op("MOVD", "srcStride+24(FP)", "R8")
	g.Op("MOVD", "rows+32(FP)", "R10")
	g.Op("MOVD", "cols+40(FP)", "R11")
	g.Op("MOVD", "total+48(FP)", "R12")
	g.constant(2, 1)
	g.Label("row")
	g.Op("FMOVS.P", at(4, "R12"), f(1))
	g.v("dup", 1, 1)
	g.v("fdiv", 1, 2, 1)
	g.Op("MOVD", "R0", "R4")
	g.Op("MOVD", "R3", "R5")
	g.Op("MOVD", "R11", "R2")
	g.eachVector(func(tail bool) {
		g.loadNext(tail, "R5", 0)
		g.v("fmul", 0, 0, 1)
		g.storeNext(tail, 0, "R4")
	})
	g.Op("ADD", "R7<<2", "R0")
	g.Op("ADD", "R8<<2", "R3")
	g.Op("SUBS", 1, "R10")
	g.Op("BNE", "row")
	g.Op("RET")
}
