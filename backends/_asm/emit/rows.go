package emit

import "math"

// Softmax writes softmaxRows: see host.Kernels.Softmax.
func (g *Gen) Softmax() {
	const scale, most, none, least, total = 1, 0, 9, 10, 8
	g.Func("softmaxRows", 48, "(s *float32, stride, rows, n int, scale float32, total *float32)")
	g.Op("MOVQ", "s+0(FP)", "DI")
	g.Op("MOVQ", "stride+8(FP)", "R9")
	g.Op("SHLQ", 2, "R9")
	g.Op("MOVQ", "rows+16(FP)", "R10")
	g.Op("MOVQ", "n+24(FP)", "R11")
	g.Op("MOVQ", "total+40(FP)", "R12")
	g.Op("VBROADCASTSS", "scale+32(FP)", g.R(scale))
	g.Op("VMULPS", g.Float(math.Log2E), g.R(scale), g.R(scale))
	g.Op("VMOVUPS", g.Float(math.Inf(-1)), g.R(none))
	g.Op("VMOVUPS", g.Float(-126), g.R(least))
	g.Label("row")
	g.Op("VMOVAPS", g.R(none), g.R(most))
	g.Op("MOVQ", "DI", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.EachVector([]string{"SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 2)
		g.FillPast(tail, 2, none)
		g.Op("VMAXPS", g.R(2), g.R(most), g.R(most))
	})
	g.Reduce("VMAXPS", most, 2)
	g.Op("VBROADCASTSS", "X0", g.R(most))
	g.Op("VXORPS", g.R(total), g.R(total), g.R(total))
	g.Op("MOVQ", "DI", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.EachVectorAgain([]string{"SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 2)
		g.Op("VSUBPS", g.R(most), g.R(2), g.R(2))
		g.Op("VMULPS", g.R(scale), g.R(2), g.R(2))
		g.exp2(2, least)
		g.ClearPast(tail, 5)
		g.Op("VADDPS", g.R(5), g.R(total), g.R(total))
		g.Store(tail, 5, "(SI)")
	})
	g.Reduce("VADDPS", total, 2)
	g.Op("VMOVSS", "X8", "(R12)")
	g.Op("ADDQ", 4, "R12")
	g.Op("ADDQ", "R9", "DI")
	g.Op("DECQ", "R10")
	g.Op("JNE", "row")
	g.Return()
}

// exp2 writes 2^x to register 5, through 3, 4, 6 and 7, for x <= 0: 2^n·2^r, n the
// integer below x. 0 below -126, where the normal numbers end; least holds that.
func (g *Gen) exp2(x, least int) {
	const n, r, p = 3, 4, 5
	if g.Wide {
		g.Op("VREDUCEPS", down, g.R(x), g.R(r))
	} else {
		g.Op("VROUNDPS", down, g.R(x), g.R(n))
		g.Op("VSUBPS", g.R(n), g.R(x), g.R(r))
	}
	c := interpolate(math.Exp2, chebyshevFrom0(6))
	g.Op("VMOVUPS", g.Float(c[5]), g.R(p))
	for i := 4; i >= 0; i-- {
		g.Op("VFMADD213PS", g.Float(c[i]), g.R(r), g.R(p))
	}
	const notLess = 0x15 // NaN counts as not less and stays
	if g.Wide {
		g.Op("VCMPPS", notLess, g.R(least), g.R(x), "K2")
		g.Op("VSCALEFPS.Z", g.R(x), g.R(p), "K2", g.R(p)) // by 2^⌊x⌋
		return
	}
	g.Op("VCVTPS2DQ", g.R(n), g.R(7))
	g.Op("VPSLLD", 23, g.R(7), g.R(7))
	g.Op("VPADDD", g.R(7), g.R(p), g.R(p))
	g.Op("VCMPPS", notLess, g.R(least), g.R(x), g.R(7))
	g.Op("VANDPS", g.R(7), g.R(p), g.R(p))
}

// How instructions round, or what their results are reduced by.
const (
	toNearest = 8
	down      = 9
)

// Norm writes normRows. The first mean is rounded; what is left of it comes out of
// the second pass, so that rows of tiny variance around a large mean lose nothing.
func (g *Gen) Norm() {
	const mean, left, inverse, squares, count = 7, 8, 9, 10, 11
	const mean2, left2, squares2 = 12, 13, 14 // sums of every other vector
	g.Func("normRows", 56, "(dst, x, gamma, beta *float32, rows, n int, inverseN, eps float32)")
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "x+8(FP)", "R12")
	g.Op("MOVQ", "rows+32(FP)", "R10")
	g.Op("MOVQ", "n+40(FP)", "R11")
	g.Op("VBROADCASTSS", "inverseN+48(FP)", g.R(count))
	g.Label("row")
	for _, sum := range []int{mean, left, squares, mean2, left2, squares2} {
		g.Op("VXORPS", g.R(sum), g.R(sum), g.R(sum))
	}
	g.Op("MOVQ", "R12", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.EachTwo("SI", func(from string, odd bool) {
		g.Op("VADDPS", from, g.R(pick(odd, mean2, mean)), g.R(pick(odd, mean2, mean)))
	})
	g.EachVector([]string{"SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 0)
		g.Op("VADDPS", g.R(0), g.R(mean), g.R(mean))
	})
	g.Op("VADDPS", g.R(mean2), g.R(mean), g.R(mean))
	g.mean(mean, count)
	g.Op("MOVQ", "R12", "SI")
	g.Op("MOVQ", "R11", "DX")
	add := func(left, squares int) {
		g.Op("VADDPS", g.R(0), g.R(left), g.R(left))
		g.Op("VFMADD231PS", g.R(0), g.R(0), g.R(squares))
	}
	g.EachTwo("SI", func(from string, odd bool) {
		g.Op("VMOVUPS", from, g.R(0))
		g.Op("VSUBPS", g.R(mean), g.R(0), g.R(0))
		add(pick(odd, left2, left), pick(odd, squares2, squares))
	})
	g.EachVectorAgain([]string{"SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 0)
		g.Op("VSUBPS", g.R(mean), g.R(0), g.R(0))
		g.ClearPast(tail, 0)
		add(left, squares)
	})
	g.Op("VADDPS", g.R(left2), g.R(left), g.R(left))
	g.Op("VADDPS", g.R(squares2), g.R(squares), g.R(squares))
	g.mean(left, count)
	g.mean(squares, count)
	g.Op("VFNMADD231PS", g.R(left), g.R(left), g.R(squares))
	g.Op("VBROADCASTSS", "eps+52(FP)", g.R(inverse))
	g.Op("VADDPS", g.R(inverse), g.R(squares), g.R(squares))
	g.Op("VSQRTPS", g.R(squares), g.R(squares))
	g.Op("VMOVUPS", g.Float(1), g.R(inverse))
	g.Op("VDIVPS", g.R(squares), g.R(inverse), g.R(inverse))
	g.Op("MOVQ", "gamma+16(FP)", "R8")
	g.Op("MOVQ", "beta+24(FP)", "R9")
	g.Op("MOVQ", "R11", "DX")
	g.Op("LEAQ", "(R12)(R11*4)", "R13")
	g.Op("LEAQ", "(DI)(R11*4)", "SI")
	g.EachVectorAgain([]string{"DI", "R12", "R8", "R9"}, func(tail bool) {
		g.Load(tail, "(R12)", 0)
		g.Load(tail, "(R8)", 1)
		g.Load(tail, "(R9)", 2)
		g.Op("VSUBPS", g.R(mean), g.R(0), g.R(0))
		g.Op("VSUBPS", g.R(left), g.R(0), g.R(0))
		g.Op("VMULPS", g.R(inverse), g.R(0), g.R(0))
		g.Op("VFMADD213PS", g.R(2), g.R(1), g.R(0))
		g.Store(tail, 0, "(DI)")
	})
	g.Op("MOVQ", "R13", "R12")
	g.Op("MOVQ", "SI", "DI")
	g.Op("DECQ", "R10")
	g.Op("JNE", "row")
	g.Return()
}

func pick(first bool, a, b int) int {
	if first {
		return a
	}
	return b
}

// mean makes register r, a vector of partial sums, their sum times count in all lanes.
func (g *Gen) mean(r, count int) {
	g.Reduce("VADDPS", r, 0)
	g.Op("VBROADCASTSS", "X"+g.R(r)[1:], g.R(r))
	g.Op("VMULPS", g.R(count), g.R(r), g.R(r))
}

// Divide writes divideRows.
func (g *Gen) Divide() {
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
	g.Op("VBROADCASTSS", "X1", g.R(1))
	g.Op("MOVQ", "R8", "DI")
	g.Op("MOVQ", "R9", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.EachVector([]string{"DI", "SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 0)
		g.Op("VMULPS", g.R(1), g.R(0), g.R(0))
		g.Store(tail, 0, "(DI)")
	})
	g.Op("ADDQ", 4, "AX")
	g.Op("LEAQ", "(R8)(R12*4)", "R8")
	g.Op("LEAQ", "(R9)(R13*4)", "R9")
	g.Op("DECQ", "R10")
	g.Op("JNE", "row")
	g.Return()
}
