package arm64

// triangle writes triangleNEON: of each group of 16 samples, two bytes each, by libjpeg's
// triangle filter both ways, where here = 3·near + far:
//
//	even = (3·here + before + bias of even) >> 4
//	odd  = (3·here + after  + bias of odd) >> 4
//
// Sums are kept 16 times as large, which 16 bits just hold, so that the result is their
// upper byte.
func (g gen) triangle() {
	const last, next, even, odd = 0, 3, 28, 29 // sums; those in between are here's
	const nearBy, farBy = 30, 31
	g.Func("triangleNEON", 36, "(dst, near, far *byte, groups int, even, odd uint16)")
	g.arguments("dst", "near", "far", "groups")
	for i, name := range []string{"even+32(FP)", "odd+34(FP)"} {
		g.Op("MOVHU", name, "R4")
		g.Op("LSL", 4, "R4")
		g.dupHalves(even+i, 4)
	}
	g.moviBytes(nearBy, 48)
	g.moviBytes(farBy, 16)
	g.Op("SUB", 1, "R1", "R5") // the sample before, where ext takes it from
	g.Op("SUB", 1, "R2", "R6")
	g.Op("VLD1", "(R5)", "V4.B[7]")
	g.Op("VLD1", "(R6)", "V5.B[7]")
	g.v("umull h", last, 4, nearBy)
	g.v("umlal h", last, 5, farBy)
	g.Op("PCALIGN", 16)
	g.Label("triangle")
	g.Op("FMOVQ.P", at(16, "R1"), f(4))
	g.Op("FMOVQ.P", at(16, "R2"), f(5))
	g.Op("VLD1", "(R1)", "V6.B[0]")
	g.Op("VLD1", "(R2)", "V7.B[0]")
	g.v("umull h", 1, 4, nearBy)
	g.v("umull2h", 2, 4, nearBy)
	g.v("umull h", next, 6, nearBy)
	g.v("umlal h", 1, 5, farBy)
	g.v("umlal2h", 2, 5, farBy)
	g.v("umlal h", next, 7, farBy)
	for half, two := range []string{"addhn b", "addhn2b"} {
		here, before, after, three := 1+half, 16+half, 18+half, 20+half
		g.ext(before, here-1, here, 14)
		g.ext(after, here, here+1, 2)
		g.shift("shl h", three, here, 1)
		g.v("add h", three, three, here)
		g.v("add h", before, before, three)
		g.v("add h", after, after, three)
		g.v(two, 24, before, even)
		g.v(two, 25, after, odd)
	}
	g.move(last, 2)
	g.Op("VST2.P", list(24, 2, "B16"), "32(R0)")
	g.Op("SUBS", 1, "R3")
	g.Op("BNE", "triangle")
	g.Op("RET")
}
