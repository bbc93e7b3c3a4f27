package arm64

// sums writes sumsNEON: blocks of 32 halves, each the sum of the bytes under one another
// in so many rows, stride bytes apart.
func (g gen) sums() {
	g.Func("sumsNEON", 40, "(dst *uint16, src *byte, stride, rows, blocks int)")
	g.arguments("dst", "src", "stride", "rows", "blocks")
	g.Label("block")
	g.Op("ADD", "R2", "R1", "R9")
	g.Op("SUB", 1, "R3", "R10")
	g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(0, 1))
	for i := range 2 {
		g.v("uxtl", 4+2*i, i)
		g.v("uxtl2", 5+2*i, i)
	}
	g.Op("CBZ", "R10", "done")
	g.Label("row")
	g.Op("FLDPQ", "(R9)", pair(0, 1))
	g.Op("ADD", "R2", "R9")
	for i := range 2 {
		g.v("uaddw", 4+2*i, 4+2*i, i)
		g.v("uaddw2", 5+2*i, 5+2*i, i)
	}
	g.Op("SUBS", 1, "R10")
	g.Op("BNE", "row")
	g.Label("done")
	g.Op("FSTPQ.P", pair(4, 5), at(2*bytes, "R0"))
	g.Op("FSTPQ.P", pair(6, 7), at(2*bytes, "R0"))
	g.Op("SUBS", 1, "R4")
	g.Op("BNE", "block")
	g.Op("RET")
}

// differing writes differingNEON: how many bytes of blocks of 32, at most 255 of them,
// differ by least or more.
func (g gen) differing() {
	const least, count = 16, 17 // and 18
	g.Func("differingNEON", 36, "(a, b *byte, blocks, least int) uint32")
	g.arguments("a", "b", "blocks", "least")
	g.dupBytes(least, 3)
	g.moviBytes(count, 0)
	g.moviBytes(count+1, 0)
	g.Label("block")
	g.Op("FLDPQ.P", at(2*bytes, "R0"), pair(0, 1))
	g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(2, 3))
	for i := range 2 {
		g.v("uabd b", i, i, 2+i)
		g.v("cmhs b", i, i, least)
		g.v("sub b", count+i, count+i, i)
	}
	g.Op("SUBS", 1, "R2")
	g.Op("BNE", "block")
	g.v("uaddlv", 0, count)
	g.v("uaddlv", 1, count+1)
	g.v("add", 0, 0, 1)
	g.Op("FMOVS", f(0), "ret+32(FP)")
	g.Op("RET")
}

func (g gen) thumbnails() string {
	g.sums()
	g.differing()
	return g.String()
}
