package emit

// peakSums hide the latency of the slowest dot product (Zen 4: 6 cycles) and leave
// three registers of AVX2's 16 for its operands.
const peakSums = 12

// Peak writes a loop of dot on registers alone: n rounds of peakSums. The sum is of
// no meaning, but depends on all.
func (g *Gen) Peak(name string, dot func(g *Gen, acc, b, a, t int)) {
	const a, b, t = peakSums, peakSums + 1, peakSums + 2
	g.Func(name, 12, "(n int) float32")
	g.Op("MOVQ", "n+0(FP)", "CX")
	for r := range peakSums + 2 {
		g.Op("VXORPS", g.R(r), g.R(r), g.R(r))
	}
	g.Label("loop")
	for r := range peakSums {
		dot(g, r, b, a, t)
	}
	g.Op("DECQ", "CX")
	g.Op("JNE", "loop")
	for r := 1; r < peakSums; r++ {
		g.Op("VADDPS", g.R(r), g.R(0), g.R(0))
	}
	g.Reduce("VADDPS", 0, 1)
	g.Op("VMOVSS", "X0", "ret+8(FP)")
	g.Return()
}
