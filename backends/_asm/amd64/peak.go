package amd64

// peakSums hide the latency of the slowest dot product (Zen 4: 6 cycles) and leave
// three registers of AVX2's 16 for its operands.
const peakSums = 12

// peak writes a loop of dot on registers alone: n rounds of peakSums. The sum is of
// no meaning, but depends on all.
func (g *gen) peak(name string, dot func(g *gen, acc, b, a, t int)) {
	const a, b, t = peakSums, peakSums + 1, peakSums + 2
	g.Func(name, 12, "(n int) float32")
	g.Op("MOVQ", "n+0(FP)", "CX")
	for r := range peakSums + 2 {
		g.Op("VXORPS", g.r(r), g.r(r), g.r(r))
	}
	g.Label("loop")
	for r := range peakSums {
		dot(g, r, b, a, t)
	}
	g.Op("DECQ", "CX")
	g.Op("JNE", "loop")
	for r := 1; r < peakSums; r++ {
		g.Op("VADDPS", g.r(r), g.r(0), g.r(0))
	}
	g.reduce("VADDPS", 0, 1)
	g.Op("VMOVSS", "X0", "ret+8(FP)")
	g.ret()
}
