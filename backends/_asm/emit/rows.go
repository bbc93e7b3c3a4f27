package emit

import "math"

// Softmax writes softmaxRow: see host.Kernels.Softmax. e^x = 2^n·e^r with r within
// ±ln 2/2 and Cephes' polynomial (expf); zero below -87, where the normal
// numbers end.
func (g *Gen) Softmax() {
	const scale, most, total = 1, 0, 8
	g.Func("softmaxRow", 28, "(s *float32, n int, scale float32) float32")
	g.Op("MOVQ", "s+0(FP)", "DI")
	g.Op("MOVQ", "n+8(FP)", "DX")
	g.Op("VBROADCASTSS", "scale+16(FP)", g.R(scale))
	g.Op("VMOVUPS", g.Float(math.Inf(-1)), g.R(most))
	g.Op("VMOVAPS", g.R(most), g.R(9))
	g.Op("MOVQ", "DI", "SI")
	g.Op("MOVQ", "DX", "R8")
	g.EachVector([]string{"SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 2)
		g.FillPast(tail, 2, 9)
		g.Op("VMAXPS", g.R(2), g.R(most), g.R(most))
	})
	g.Reduce("VMAXPS", most, 2)
	g.Op("VBROADCASTSS", "X0", g.R(most))
	g.Op("VMULPS", g.R(scale), g.R(most), g.R(most))
	g.Op("VXORPS", g.R(total), g.R(total), g.R(total))
	g.Op("VMOVUPS", g.Float(-87), g.R(9))
	g.Op("MOVQ", "R8", "DX")
	g.EachVectorAgain([]string{"DI"}, func(tail bool) {
		g.Load(tail, "(DI)", 2)
		g.Op("VFMSUB213PS", g.R(most), g.R(scale), g.R(2))
		g.exp(2, 9)
		g.ClearPast(tail, 5)
		g.Op("VADDPS", g.R(5), g.R(total), g.R(total))
		g.Store(tail, 5, "(DI)")
	})
	g.Reduce("VADDPS", total, 2)
	g.Op("VMOVSS", "X8", "ret+24(FP)")
	g.Return()
}

// exp writes e^x to register 5, through 3, 4, 6 and 7; least is the lowest x whose
// result is not 0.
func (g *Gen) exp(x, least int) {
	const n, r, p = 3, 4, 5
	g.Op("VMULPS", g.Float(math.Log2E), g.R(x), g.R(n))
	g.Op(g.Pick("VRNDSCALEPS", "VROUNDPS"), 8, g.R(n), g.R(n))
	g.Op("VMOVAPS", g.R(x), g.R(r))
	const high = 0.693359375 // few bits: n·high is exact
	g.Op("VFNMADD231PS", g.Float(high), g.R(n), g.R(r))
	g.Op("VFNMADD231PS", g.Float(math.Ln2-high), g.R(n), g.R(r))
	g.Op("VMOVUPS", g.Float(1.9875691500e-4), g.R(p))
	for _, c := range []float64{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		g.Op("VFMADD213PS", g.Float(c), g.R(r), g.R(p))
	}
	g.Op("VMULPS", g.R(r), g.R(r), g.R(6))
	g.Op("VFMADD213PS", g.R(r), g.R(6), g.R(p))
	g.Op("VADDPS", g.Float(1), g.R(p), g.R(p))
	const notLess = 0x15 // NaN counts as not less and stays
	if g.Wide {
		g.Op("VCMPPS", notLess, g.R(least), g.R(x), "K2")
		g.Op("VSCALEFPS.Z", g.R(n), g.R(p), "K2", g.R(p))
		return
	}
	g.Op("VCVTPS2DQ", g.R(n), g.R(7))
	g.Op("VPSLLD", 23, g.R(7), g.R(7))
	g.Op("VPADDD", g.R(7), g.R(p), g.R(p))
	g.Op("VCMPPS", notLess, g.R(least), g.R(x), g.R(7))
	g.Op("VANDPS", g.R(7), g.R(p), g.R(p))
}

// Norm writes normRow. The first mean is rounded; what is left of it comes out of
// the second pass, so that rows of tiny variance around a large mean lose nothing.
func (g *Gen) Norm() {
	const mean, left, inverse, squares, count = 7, 8, 9, 10, 11
	g.Func("normRow", 48, "(dst, x, gamma, beta *float32, n int, inverseN, eps float32)")
	g.Op("MOVQ", "x+8(FP)", "SI")
	g.Op("MOVQ", "n+32(FP)", "DX")
	g.Op("VBROADCASTSS", "inverseN+40(FP)", g.R(count))
	g.Op("VXORPS", g.R(mean), g.R(mean), g.R(mean))
	g.EachVector([]string{"SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 0)
		g.Op("VADDPS", g.R(0), g.R(mean), g.R(mean))
	})
	g.mean(mean, count)
	g.Op("VXORPS", g.R(left), g.R(left), g.R(left))
	g.Op("VXORPS", g.R(squares), g.R(squares), g.R(squares))
	g.Op("MOVQ", "x+8(FP)", "SI")
	g.Op("MOVQ", "n+32(FP)", "DX")
	g.EachVectorAgain([]string{"SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 0)
		g.Op("VSUBPS", g.R(mean), g.R(0), g.R(0))
		g.ClearPast(tail, 0)
		g.Op("VADDPS", g.R(0), g.R(left), g.R(left))
		g.Op("VFMADD231PS", g.R(0), g.R(0), g.R(squares))
	})
	g.mean(left, count)
	g.mean(squares, count)
	g.Op("VFNMADD231PS", g.R(left), g.R(left), g.R(squares))
	g.Op("VBROADCASTSS", "eps+44(FP)", g.R(inverse))
	g.Op("VADDPS", g.R(inverse), g.R(squares), g.R(squares))
	g.Op("VSQRTPS", g.R(squares), g.R(squares))
	g.Op("VMOVUPS", g.Float(1), g.R(inverse))
	g.Op("VDIVPS", g.R(squares), g.R(inverse), g.R(inverse))
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "x+8(FP)", "SI")
	g.Op("MOVQ", "gamma+16(FP)", "R8")
	g.Op("MOVQ", "beta+24(FP)", "R9")
	g.Op("MOVQ", "n+32(FP)", "DX")
	g.EachVectorAgain([]string{"DI", "SI", "R8", "R9"}, func(tail bool) {
		g.Load(tail, "(SI)", 0)
		g.Load(tail, "(R8)", 1)
		g.Load(tail, "(R9)", 2)
		g.Op("VSUBPS", g.R(mean), g.R(0), g.R(0))
		g.Op("VSUBPS", g.R(left), g.R(0), g.R(0))
		g.Op("VMULPS", g.R(inverse), g.R(0), g.R(0))
		g.Op("VFMADD213PS", g.R(2), g.R(1), g.R(0))
		g.Store(tail, 0, "(DI)")
	})
	g.Return()
}

// mean makes register r, a vector of partial sums, their sum times count in all lanes.
func (g *Gen) mean(r, count int) {
	g.Reduce("VADDPS", r, 0)
	g.Op("VBROADCASTSS", "X"+g.R(r)[1:], g.R(r))
	g.Op("VMULPS", g.R(count), g.R(r), g.R(r))
}

// Scale writes scaleRow.
func (g *Gen) Scale() {
	g.Func("scaleRow", 28, "(dst, src *float32, n int, factor float32)")
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "n+16(FP)", "DX")
	g.Op("VBROADCASTSS", "factor+24(FP)", g.R(1))
	g.EachVector([]string{"DI", "SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 0)
		g.Op("VMULPS", g.R(1), g.R(0), g.R(0))
		g.Store(tail, 0, "(DI)")
	})
	g.Return()
}
