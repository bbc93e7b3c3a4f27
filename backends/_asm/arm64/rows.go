package arm64

import (
	"math"
	"slices"

	"dynvit.asm/fit"
)

// softmax writes softmaxRows: see host.Kernels.Softmax.
func (g gen) softmax() {
	const most, scale, total, none = 0, 1, 6, 7
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
	weigh := func(n int) {
		for i := range n {
			g.v("fsub", expAt(i), expAt(i), most)
		}
		for i := range n {
			g.v("fmul", expAt(i), expAt(i), scale)
		}
		g.exp2(n)
	}
	g.eachPair(func() {
		g.Op("FLDPQ", at(0, "R1"), pair(expAt(0), expAt(1)))
		weigh(2)
		g.v("fadd", total, total, expAt(0))
		g.v("fadd", total, total, expAt(1))
		g.Op("FSTPQ.P", pair(expAt(0), expAt(1)), at(2*bytes, "R1"))
	})
	g.eachVector(func(tail bool) {
		g.load(tail, "R1", expAt(0))
		weigh(1)
		g.clearPast(tail, expAt(0))
		g.v("fadd", total, total, expAt(0))
		g.storeNext(tail, expAt(0), "R1")
	})
	g.sum(total)
	g.Op("FMOVS.P", f(total), at(4, "R12"))
	g.Op("ADD", "R9<<2", "R0")
	g.Op("SUBS", 1, "R10")
	g.Op("BNE", "row")
	g.Op("RET")
}

// Registers of exp2's constants: the least argument, 1, and the last coefficient; R6 is
// where the others stand.
const expLeast, expOne, expLast = 8, 9, 10

// expAt is where vector i of exp2's is: the first of seven registers.
func expAt(i int) int { return 12 + 7*i }

func (g gen) exp2Constants() {
	c := fit.Exp2()
	last := len(c) - 1
	g.constant(expLeast, -127)
	g.constant(expOne, c[0])
	g.constant(expLast, c[last])
	g.Op("MOVD", "$"+g.copies("exp2", c[4], c[3], c[2], c[1]), "R6")
	if last != 5 {
		panic("arm64: exp2 is written for six coefficients")
	}
}

// exp2 makes n registers of expAt 2^x, for x <= 0: 2^m·2^r, m the integer below x. From
// -126, where the normal numbers end, to -127 it is less than 2^-126, and 0 below: 1 less
// 127 in its exponent. NaN stays.
func (g gen) exp2(n int) {
	each := func(body func(x, m, r, c int)) {
		for i := range n {
			x := expAt(i)
			body(x, x+1, x+2, x+3)
		}
	}
	each(func(x, m, r, c int) { g.v("fmax", x, x, expLeast) })
	each(func(x, m, r, c int) { g.v("frintm", m, x) })
	each(func(x, m, r, c int) { g.loadCopies("R6", c, 4) })
	each(func(x, m, r, c int) { g.v("fsub", r, x, m) })
	each(func(x, m, r, c int) { g.v("fmla", c, expLast, r) })
	each(func(x, m, r, c int) { g.fixed(m, m) })
	for k := range 3 {
		each(func(x, m, r, c int) { g.v("fmla", c+k+1, c+k, r) })
	}
	each(func(x, m, r, c int) { g.move(x, expOne) })
	each(func(x, m, r, c int) { g.v("fmla", x, c+3, r) })
	each(func(x, m, r, c int) { g.v("add", x, x, m) })
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
	g.Func("geluRows", 32, "(x *float32, stride, rows, cols int)")
	g.Op("MOVD", "x+0(FP)", "R0")
	g.Op("MOVD", "stride+8(FP)", "R9")
	g.Op("MOVD", "rows+16(FP)", "R10")
	g.Op("MOVD", "cols+24(FP)", "R11")
	g.geluConstants()
	g.Label("row")
	g.Op("MOVD", "R0", "R1")
	g.Op("MOVD", "R11", "R2")
	g.eachPair(func() {
		g.Op("FLDPQ", at(0, "R1"), pair(geluAt(0), geluAt(1)))
		g.geluOf(2)
		g.Op("FSTPQ.P", pair(geluAt(0), geluAt(1)), at(2*bytes, "R1"))
	})
	g.eachVector(func(tail bool) {
		g.load(tail, "R1", geluAt(0))
		g.geluOf(1)
		g.storeNext(tail, geluAt(0), "R1")
	})
	g.Op("ADD", "R9<<2", "R0")
	g.Op("SUBS", 1, "R10")
	g.Op("BNE", "row")
	g.Op("RET")
}

// Registers of GELU's constants: where Φ is 0 and 1, ½, and the first coefficients of p and
// of q behind its 1; R5 to R7 are where the others stand.
const geluLow, geluHigh, geluHalf, geluP, geluQ = 0, 1, 2, 3, 4

// geluAt is where vector i of GELU's is: the first of twelve registers.
func geluAt(i int) int { return 5 + 12*i }

func (g gen) geluConstants() {
	p, q := normalQuotient()
	if len(p) != 7 || len(q) != 5 {
		panic("arm64: GELU is written for seven coefficients by five")
	}
	g.constant(geluLow, -fit.ErfLimit*math.Sqrt2)
	g.constant(geluHigh, fit.ErfLimit*math.Sqrt2)
	g.constant(geluHalf, 0.5)
	g.constant(geluP, p[0])
	g.constant(geluQ, q[1])
	g.Op("MOVD", "$"+g.copies("normal", slices.Concat(p[1:], q[2:])...), "R5")
	g.Op("ADD", 4*bytes, "R5", "R6")
	g.Op("ADD", 6*bytes, "R5", "R7")
}

// geluOf makes n registers of geluAt x·Φ(x).
func (g gen) geluOf(n int) {
	each := func(body func(v int)) {
		for i := range n {
			body(geluAt(i))
		}
	}
	const y, z, p, q = 1, 2, 3, 9 // behind v; p of six registers, q of three
	each(func(v int) { g.v("fmin", v+y, v, geluHigh) })
	each(func(v int) { g.loadCopies("R5", v+p, 4) })
	each(func(v int) { g.v("fmax", v+y, v+y, geluLow) })
	each(func(v int) { g.loadCopies("R7", v+q, 3) })
	each(func(v int) { g.v("fmul", v+z, v+y, v+y) })
	each(func(v int) { g.loadCopies("R6", v+p+4, 2) })
	each(func(v int) { g.v("fmla", v+p, geluP, v+z) })
	each(func(v int) { g.v("fmla", v+p+1, v+p, v+z) })
	each(func(v int) { g.v("fadd", v+p, v+z, geluQ) }) // q so far
	each(func(v int) { g.v("fmla", v+p+2, v+p+1, v+z) })
	each(func(v int) { g.v("fmla", v+q, v+p, v+z) })
	for k := 2; k < 5; k++ {
		each(func(v int) { g.v("fmla", v+p+k+1, v+p+k, v+z) })
		if k < 4 {
			each(func(v int) { g.v("fmla", v+q+k-1, v+q+k-2, v+z) })
		}
	}
	each(func(v int) { g.v("fmul", v+y, v+y, v+p+5) })
	each(func(v int) { g.v("fdiv", v+y, v+y, v+q+2) })
	each(func(v int) { g.v("fadd", v+y, v+y, geluHalf) })
	each(func(v int) { g.v("fmul", v, v, v+y) })
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
	g.eachPair(func() {
		g.Op("FLDPQ.P", at(2*bytes, "R3"), pair(0, 1))
		g.Op("FLDPQ.P", at(2*bytes, "R4"), pair(2, 3))
		g.Op("FLDPQ.P", at(2*bytes, "R5"), pair(4, 5))
		for i := range 2 {
			g.v("fsub", i, i, normMean)
			g.v("fsub", i, i, normLeft)
			g.v("fmul", i, i, normInverse)
		}
		g.v("fmla", 4, 0, 2)
		g.v("fmla", 5, 1, 3)
		g.Op("FSTPQ.P", pair(4, 5), at(2*bytes, "R0"))
	})
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
	const left2, squares2 = 14, 15 // of every other vector
	g.v("movi 0", left2)
	g.v("movi 0", squares2)
	g.eachFour(func() {
		for i := range 4 {
			g.v("fsub", 2+i, 2+i, normMean)
		}
		for i := range 4 {
			g.v("fadd", [2]int{normLeft, left2}[i%2], [2]int{normLeft, left2}[i%2], 2+i)
			g.v("fmla", [2]int{normSquares, squares2}[i%2], 2+i, 2+i)
		}
	})
	g.v("fadd", normLeft, normLeft, left2)
	g.v("fadd", normSquares, normSquares, squares2)
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

// addRow writes addRow: n numbers, a multiple of 4 and more than 0, added to sums in
// float64.
func (g gen) addRow() {
	g.Func("addRow", 24, "(sums *float64, x *float32, n int)")
	g.arguments("sums", "x", "n")
	g.Label("loop")
	g.Op("FMOVQ.P", at(bytes, "R1"), f(0))
	g.Op("FLDPQ", at(0, "R0"), pair(3, 4))
	g.v("fcvtl d", 1, 0)
	g.v("fcvtl2 d", 2, 0)
	g.v("fadd d", 3, 3, 1)
	g.v("fadd d", 4, 4, 2)
	g.Op("FSTPQ.P", pair(3, 4), at(2*bytes, "R0"))
	g.Op("SUBS", lanes, "R2")
	g.Op("BNE", "loop")
	g.Op("RET")
}

// addHeads writes addHeads: the sums in float64 of the first n numbers, a multiple of 4 and more than
// 0, of heads that are width apart, and of their squares.
func (g gen) addHeads() {
	g.Func("addHeads", 48, "(dst, x *float32, n, width, heads int) (squares float64)")
	g.arguments("dst", "x", "n", "width", "heads")
	g.Op("LSL", 2, "R3")
	g.v("movi 0", 0)
	g.v("movi 0", 1)
	g.Label("loop")
	g.Op("MOVD", "R1", "R5")
	g.Op("MOVD", "R4", "R6")
	g.v("movi 0", 2)
	g.v("movi 0", 3)
	g.Label("head")
	g.Op("FMOVQ", "(R5)", f(4))
	g.v("fcvtl d", 5, 4)
	g.v("fcvtl2 d", 6, 4)
	g.v("fadd d", 2, 2, 5)
	g.v("fadd d", 3, 3, 6)
	g.Op("ADD", "R3", "R5")
	g.Op("SUBS", 1, "R6")
	g.Op("BNE", "head")
	g.v("fmla d", 0, 2, 2)
	g.v("fmla d", 1, 3, 3)
	g.v("fcvtn d", 4, 2)
	g.v("fcvtn2 d", 4, 3)
	g.Op("FMOVQ.P", f(4), at(bytes, "R0"))
	g.Op("ADD", bytes, "R1")
	g.Op("SUBS", lanes, "R2")
	g.Op("BNE", "loop")
	g.v("fadd d", 0, 0, 1)
	g.v("faddp d", 0, 0)
	g.Op("FMOVD", f(0), "squares+40(FP)")
	g.Op("RET")
}

// receiveRow writes receiveRow: n weights, a multiple of 4 and more than 0, times share,
// cut off to integers and added.
func (g gen) receiveRow() {
	const share = 5
	g.Func("receiveRow", 28, "(received *int64, weights *float32, n int, share float32)")
	g.arguments("received", "weights", "n")
	g.Op("FMOVS", "share+24(FP)", f(share))
	g.Label("loop")
	g.Op("FMOVQ.P", at(bytes, "R1"), f(0))
	g.Op("FLDPQ", at(0, "R0"), pair(3, 4))
	g.fmulBy(0, 0, share, 0)
	g.v("fcvtl d", 1, 0)
	g.v("fcvtl2 d", 2, 0)
	g.v("fcvtzs d", 1, 1)
	g.v("fcvtzs d", 2, 2)
	g.v("add d", 3, 3, 1)
	g.v("add d", 4, 4, 2)
	g.Op("FSTPQ.P", pair(3, 4), at(2*bytes, "R0"))
	g.Op("SUBS", lanes, "R2")
	g.Op("BNE", "loop")
	g.Op("RET")
}
