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
	g.eachVector([]string{"R1"}, func(tail bool) {
		g.load(tail, "R1", 2)
		g.fillPast(tail, 2, none, 3)
		g.v("fmaxnm", most, most, 2)
	})
	g.v("fmaxnmv", most, most)
	g.v("dup", most, most)
	g.v("movi 0", total)
	g.Op("MOVD", "R0", "R1")
	g.Op("MOVD", "R11", "R2")
	g.eachVector([]string{"R1"}, func(tail bool) {
		g.load(tail, "R1", 2)
		g.v("fsub", 2, 2, most)
		g.v("fmul", 2, 2, scale)
		p := g.exp2(2)
		g.clearPast(tail, p)
		g.v("fadd", total, total, p)
		g.store(tail, p, "R1")
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

// gelu writes geluRows, x·Φ(x) in a block of rows: the error function as the quotient of
// fit.ErfP and fit.ErfQ.
func (g gen) gelu() {
	const low, high, root, half, ps = 8, 9, 10, 11, 16
	qs := ps + len(fit.ErfP)
	g.Func("geluRows", 32, "(x *float32, stride, rows, cols int)")
	g.Op("MOVD", "x+0(FP)", "R0")
	g.Op("MOVD", "stride+8(FP)", "R9")
	g.Op("MOVD", "rows+16(FP)", "R10")
	g.Op("MOVD", "cols+24(FP)", "R11")
	g.constant(low, -fit.ErfLimit)
	g.constant(high, fit.ErfLimit)
	g.constant(root, 1/math.Sqrt2)
	g.constant(half, 0.5)
	for i, c := range fit.ErfP {
		g.constant(ps+i, c)
	}
	for i, c := range fit.ErfQ {
		g.constant(qs+i, c)
	}
	g.Label("row")
	g.Op("MOVD", "R0", "R1")
	g.Op("MOVD", "R11", "R2")
	g.eachVector([]string{"R1"}, func(tail bool) {
		const v, y, z = 0, 1, 2
		g.load(tail, "R1", v)
		g.v("fmul", y, v, root)
		g.v("fmin", y, y, high)
		g.v("fmax", y, y, low)
		g.v("fmul", z, y, y)
		p := g.horner(ps, len(fit.ErfP), z, 3, 4)
		q := g.horner(qs, len(fit.ErfQ), z, 5, 6)
		g.v("fmul", y, y, p)
		g.v("fdiv", y, y, q)
		g.move(p, half)
		g.v("fmla", p, y, half)
		g.v("fmul", v, v, p)
		g.store(tail, v, "R1")
	})
	g.Op("ADD", "R9<<2", "R0")
	g.Op("SUBS", 1, "R10")
	g.Op("BNE", "row")
	g.Op("RET")
}

// horner evaluates the polynomial in z whose n coefficients, the highest power's first,
// are in registers from first on, in two registers by turns. It returns the last one.
func (g gen) horner(first, n, z, a, b int) int {
	g.move(a, first+1)
	g.v("fmla", a, first, z)
	for c := first + 2; c < first+n; c++ {
		g.move(b, c)
		g.v("fmla", b, a, z)
		a, b = b, a
	}
	return a
}

// norm writes normRows. The first mean is rounded; what is left of it comes out of
// the second pass, so that rows of tiny variance around a large mean lose nothing.
func (g gen) norm() {
	const mean, left, squares, inverse, count = 7, 8, 9, 10, 11
	g.Func("normRows", 56, "(dst, x, gamma, beta *float32, rows, n int, inverseN, eps float32)")
	g.Op("MOVD", "dst+0(FP)", "R0")
	g.Op("MOVD", "x+8(FP)", "R3")
	g.Op("MOVD", "rows+32(FP)", "R10")
	g.Op("MOVD", "n+40(FP)", "R11")
	g.Op("FMOVS", "inverseN+48(FP)", f(count))
	g.Op("FMOVS", "eps+52(FP)", f(12))
	g.v("dup", count, count)
	g.v("dup", 12, 12)
	g.constant(13, 1)
	g.Label("row")
	g.v("movi 0", mean)
	g.v("movi 0", left)
	g.v("movi 0", squares)
	g.Op("MOVD", "R3", "R1")
	g.Op("MOVD", "R11", "R2")
	g.eachVector([]string{"R1"}, func(tail bool) {
		g.load(tail, "R1", 0)
		g.v("fadd", mean, mean, 0)
	})
	g.mean(mean, count)
	g.Op("MOVD", "R3", "R1")
	g.Op("MOVD", "R11", "R2")
	g.eachVector([]string{"R1"}, func(tail bool) {
		g.load(tail, "R1", 0)
		g.v("fsub", 0, 0, mean)
		g.clearPast(tail, 0)
		g.v("fadd", left, left, 0)
		g.v("fmla", squares, 0, 0)
	})
	g.mean(left, count)
	g.mean(squares, count)
	g.v("fmls", squares, left, left)
	g.v("fadd", squares, squares, 12)
	g.v("fsqrt", squares, squares)
	g.v("fdiv", inverse, 13, squares)
	g.Op("MOVD", "gamma+16(FP)", "R4")
	g.Op("MOVD", "beta+24(FP)", "R5")
	g.Op("MOVD", "R11", "R2")
	g.eachVector([]string{"R0", "R3", "R4", "R5"}, func(tail bool) {
		g.load(tail, "R3", 0)
		g.load(tail, "R4", 1)
		g.load(tail, "R5", 2)
		g.v("fsub", 0, 0, mean)
		g.v("fsub", 0, 0, left)
		g.v("fmul", 0, 0, inverse)
		g.v("fmla", 2, 0, 1)
		g.store(tail, 2, "R0")
	})
	g.Op("AND", 3, "R11", "R2") // the tail's words were not passed
	g.Op("ADD", "R2<<2", "R3")
	g.Op("ADD", "R2<<2", "R0")
	g.Op("SUBS", 1, "R10")
	g.Op("BNE", "row")
	g.Op("RET")
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
	g.eachVector([]string{"R4", "R5"}, func(tail bool) {
		g.load(tail, "R5", 0)
		g.v("fmul", 0, 0, 1)
		g.store(tail, 0, "R4")
	})
	g.Op("ADD", "R7<<2", "R0")
	g.Op("ADD", "R8<<2", "R3")
	g.Op("SUBS", 1, "R10")
	g.Op("BNE", "row")
	g.Op("RET")
}
