package amd64

import (
	"math"

	"dynvit.asm/fit"
)

// softmax writes softmaxRows: see host.Kernels.Softmax.
func (g *gen) softmax() {
	const scale, most, none, least, total = 1, 0, 9, 10, 8
	g.Func("softmaxRows", 48, "(s *float32, stride, rows, n int, scale float32, total *float32)")
	g.Op("MOVQ", "s+0(FP)", "DI")
	g.Op("MOVQ", "stride+8(FP)", "R9")
	g.Op("SHLQ", 2, "R9")
	g.Op("MOVQ", "rows+16(FP)", "R10")
	g.Op("MOVQ", "n+24(FP)", "R11")
	g.Op("MOVQ", "total+40(FP)", "R12")
	g.Op("VBROADCASTSS", "scale+32(FP)", g.r(scale))
	g.Op("VMULPS", g.Float(math.Log2E), g.r(scale), g.r(scale))
	g.Op("VMOVUPS", g.Float(math.Inf(-1)), g.r(none))
	g.Op("VMOVUPS", g.Float(-126), g.r(least))
	g.Label("row")
	g.Op("VMOVAPS", g.r(none), g.r(most))
	g.Op("MOVQ", "DI", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.eachVector([]string{"SI"}, func(tail bool) {
		g.load(tail, "(SI)", 2)
		g.fillPast(tail, 2, none)
		g.Op("VMAXPS", g.r(2), g.r(most), g.r(most))
	})
	g.reduce("VMAXPS", most, 2)
	g.Op("VBROADCASTSS", "X0", g.r(most))
	g.Op("VXORPS", g.r(total), g.r(total), g.r(total))
	g.Op("MOVQ", "DI", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.eachVectorAgain([]string{"SI"}, func(tail bool) {
		g.load(tail, "(SI)", 2)
		g.Op("VSUBPS", g.r(most), g.r(2), g.r(2))
		g.Op("VMULPS", g.r(scale), g.r(2), g.r(2))
		g.exp2(2, least)
		g.clearPast(tail, 5)
		g.Op("VADDPS", g.r(5), g.r(total), g.r(total))
		g.store(tail, 5, "(SI)")
	})
	g.reduce("VADDPS", total, 2)
	g.Op("VMOVSS", "X8", "(R12)")
	g.Op("ADDQ", 4, "R12")
	g.Op("ADDQ", "R9", "DI")
	g.Op("DECQ", "R10")
	g.Op("JNE", "row")
	g.ret()
}

// exp2 writes 2^x to register 5, through 3, 4, 6 and 7, for x <= 0: 2^n·2^r, n the
// integer below x. 0 below -126, where the normal numbers end; least holds that.
func (g *gen) exp2(x, least int) {
	const n, r, p = 3, 4, 5
	if g.wide {
		g.Op("VREDUCEPS", down, g.r(x), g.r(r))
	} else {
		g.Op("VROUNDPS", down, g.r(x), g.r(n))
		g.Op("VSUBPS", g.r(n), g.r(x), g.r(r))
	}
	c := fit.Exp2()
	last := len(c) - 1
	g.Op("VMOVUPS", g.Float(c[last]), g.r(p))
	for i := last - 1; i >= 0; i-- {
		g.Op("VFMADD213PS", g.Float(c[i]), g.r(r), g.r(p))
	}
	const notLess = 0x15 // NaN counts as not less and stays
	if g.wide {
		g.Op("VCMPPS", notLess, g.r(least), g.r(x), "K2")
		g.Op("VSCALEFPS.Z", g.r(x), g.r(p), "K2", g.r(p)) // by 2^⌊x⌋
		return
	}
	g.Op("VCVTPS2DQ", g.r(n), g.r(7))
	g.Op("VPSLLD", 23, g.r(7), g.r(7))
	g.Op("VPADDD", g.r(7), g.r(p), g.r(p))
	g.Op("VCMPPS", notLess, g.r(least), g.r(x), g.r(7))
	g.Op("VANDPS", g.r(7), g.r(p), g.r(p))
}

// How instructions round, or what their results are reduced by.
const (
	toNearest = 8
	down      = 9
)

// Registers of norm: a row's mean as rounded, what was left of it, the mean square of what
// is beyond both, its inverse root, what all rows share, and sums of every other
// vector.
const (
	normMean, normLeft, normInverse, normSquares, normCount = 7, 8, 9, 10, 11
	normMean2, normLeft2, normSquares2                      = 12, 13, 14
)

// norm writes normRows. The first mean is rounded; what is left of it comes out of
// the second pass, so that rows of tiny variance around a large mean lose nothing.
func (g *gen) norm() {
	g.Func("normRows", 56, "(dst, x, gamma, beta *float32, rows, n int, inverseN, eps float32)")
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "x+8(FP)", "R12")
	g.Op("MOVQ", "rows+32(FP)", "R10")
	g.Op("MOVQ", "n+40(FP)", "R11")
	g.Op("VBROADCASTSS", "inverseN+48(FP)", g.r(normCount))
	g.Label("row")
	g.normFirst()
	g.normSecond()
	g.Op("MOVQ", "gamma+16(FP)", "R8")
	g.Op("MOVQ", "beta+24(FP)", "R9")
	g.Op("MOVQ", "R11", "DX")
	g.Op("LEAQ", "(R12)(R11*4)", "R13")
	g.Op("LEAQ", "(DI)(R11*4)", "SI")
	g.eachVectorAgain([]string{"DI", "R12", "R8", "R9"}, func(tail bool) {
		g.load(tail, "(R12)", 0)
		g.load(tail, "(R8)", 1)
		g.load(tail, "(R9)", 2)
		g.Op("VSUBPS", g.r(normMean), g.r(0), g.r(0))
		g.Op("VSUBPS", g.r(normLeft), g.r(0), g.r(0))
		g.Op("VMULPS", g.r(normInverse), g.r(0), g.r(0))
		g.Op("VFMADD213PS", g.r(2), g.r(1), g.r(0))
		g.store(tail, 0, "(DI)")
	})
	g.Op("MOVQ", "R13", "R12")
	g.Op("MOVQ", "SI", "DI")
	g.Op("DECQ", "R10")
	g.Op("JNE", "row")
	g.ret()
}

// normFirst writes the pass that finds the mean of the row at R12.
func (g *gen) normFirst() {
	for _, sum := range []int{normMean, normLeft, normSquares, normMean2, normLeft2, normSquares2} {
		g.Op("VXORPS", g.r(sum), g.r(sum), g.r(sum))
	}
	g.Op("MOVQ", "R12", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.eachTwo("SI", func(from string, odd bool) {
		sum := g.r(pick(odd, normMean2, normMean))
		g.Op("VADDPS", from, sum, sum)
	})
	g.eachVector([]string{"SI"}, func(tail bool) {
		g.load(tail, "(SI)", 0)
		g.Op("VADDPS", g.r(0), g.r(normMean), g.r(normMean))
	})
	g.Op("VADDPS", g.r(normMean2), g.r(normMean), g.r(normMean))
	g.mean(normMean, normCount)
}

// normSecond writes the pass that finds what is left of the mean, and the variance.
func (g *gen) normSecond() {
	g.Op("MOVQ", "R12", "SI")
	g.Op("MOVQ", "R11", "DX")
	add := func(left, squares int) {
		g.Op("VADDPS", g.r(0), g.r(left), g.r(left))
		g.Op("VFMADD231PS", g.r(0), g.r(0), g.r(squares))
	}
	g.eachTwo("SI", func(from string, odd bool) {
		g.Op("VMOVUPS", from, g.r(0))
		g.Op("VSUBPS", g.r(normMean), g.r(0), g.r(0))
		add(pick(odd, normLeft2, normLeft), pick(odd, normSquares2, normSquares))
	})
	g.eachVectorAgain([]string{"SI"}, func(tail bool) {
		g.load(tail, "(SI)", 0)
		g.Op("VSUBPS", g.r(normMean), g.r(0), g.r(0))
		g.clearPast(tail, 0)
		add(normLeft, normSquares)
	})
	left, squares, inverse := g.r(normLeft), g.r(normSquares), g.r(normInverse)
	g.Op("VADDPS", g.r(normLeft2), left, left)
	g.Op("VADDPS", g.r(normSquares2), squares, squares)
	g.mean(normLeft, normCount)
	g.mean(normSquares, normCount)
	g.Op("VFNMADD231PS", left, left, squares)
	g.Op("VBROADCASTSS", "eps+52(FP)", inverse)
	g.Op("VADDPS", inverse, squares, squares)
	g.Op("VSQRTPS", squares, squares)
	g.Op("VMOVUPS", g.Float(1), inverse)
	g.Op("VDIVPS", squares, inverse, inverse)
}

func pick(first bool, a, b int) int {
	if first {
		return a
	}
	return b
}

// mean makes register r, a vector of partial sums, their sum times count in all lanes.
func (g *gen) mean(r, count int) {
	g.reduce("VADDPS", r, 0)
	g.Op("VBROADCASTSS", "X"+g.r(r)[1:], g.r(r))
	g.Op("VMULPS", g.r(count), g.r(r), g.r(r))
}

// divide writes divideRows.
func (g *gen) divide() {
	g.Func("divideRows", 56, "(dst *float32, dstStride int, src *float32, srcStride, rows, cols int, total *float32)")
	g.Op("MOVQ", "dst+0(FP)", "R8")
	g.Op("MOVQ", "dstStride+8(FP)", "R12")
	g.Op("MOVQ", "src+16(FP)", "R9")
	g.Op("MOVQ", "srcStride+24(FP)", "R13")
	g.Op("MOVQ", "rows+32(FP)", "R10")
	g.Op("MOVQ", "cols+40(FP)", "R11")
	g.Op("MOVQ", "total+48(FP)", "AX")
	g.Label("row")
	g.Op("VMOVSS", g.Float(1), "X1")
	g.Op("VDIVSS", "(AX)", "X1", "X1")
	g.Op("VBROADCASTSS", "X1", g.r(1))
	g.Op("MOVQ", "R8", "DI")
	g.Op("MOVQ", "R9", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.eachVector([]string{"DI", "SI"}, func(tail bool) {
		g.load(tail, "(SI)", 0)
		g.Op("VMULPS", g.r(1), g.r(0), g.r(0))
		g.store(tail, 0, "(DI)")
	})
	g.Op("ADDQ", 4, "AX")
	g.Op("LEAQ", "(R8)(R12*4)", "R8")
	g.Op("LEAQ", "(R9)(R13*4)", "R9")
	g.Op("DECQ", "R10")
	g.Op("JNE", "row")
	g.ret()
}
