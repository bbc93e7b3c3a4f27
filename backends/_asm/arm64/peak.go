package arm64

// peakSums hide the latency of the slowest multiply-add and leave registers for operands.
const peakSums = 12

// peak writes a loop of multiply-adds on registers alone: n rounds of peakSums. The sum is
// of no meaning, but depends on all.
func (g gen) peak(name string, dot func(acc int)) {
	g.Func(name, 12, "(n int) float32")
	g.Op("MOVD", "n+0(FP)", "R0")
	for r := range 2*peakSums + 2 {
		g.v("movi 0", r)
	}
	g.Label("loop")
	for r := range peakSums {
		dot(r)
	}
	g.Op("SUBS", 1, "R0")
	g.Op("BNE", "loop")
	for r := 1; r < peakSums; r++ {
		g.v("fadd", 0, 0, r)
	}
	g.Op("FMOVS", f(0), "ret+8(FP)")
	g.Op("RET")
}

// Operands of the peaks' loops.
const peakA, peakB = 2 * peakSums, 2*peakSums + 1

func (g gen) peaks() {
	g.peak("peakF32", func(acc int) { g.fmla(acc, peakA, peakB, 0) })
	g.peak("peakDot", func(acc int) { g.sdot(acc, peakA, peakB, 0) })
	g.peak("peakMatrix", func(acc int) { g.v("smmla", acc, peakA, peakB) })
	g.peak("peakMatrixBF16", func(acc int) { g.v("bfmmla", acc, peakA, peakB) })
	g.peak("peakWidening", func(acc int) { g.byHalf("fmlal", acc, peakA, peakSums, 0) })
	g.peak("peakHalfSums", func(acc int) { g.byHalf("fmla h", acc, peakA, peakSums, 0) })
	g.peak("peakLong", func(acc int) {
		g.v("smull h", peakSums+acc, peakA, peakB)
		g.v("smlal2h", peakSums+acc, peakA, peakB)
		g.v("sadalp", acc, peakSums+acc)
	})
}
