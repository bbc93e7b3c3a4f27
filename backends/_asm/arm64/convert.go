package arm64

// rowRange writes rowRange: of a row's numbers and 0 the greatest, and the least, as bits.
// As signed integers positive numbers are ordered, and above all negative ones; as
// unsigned ones negative numbers are, upside down, and above all positive ones: with
// none there, least is no negative number. NaN is beyond Inf either way.
func (g gen) rowRange() {
	g.Func("rowRange", 24, "(src *float32, n int) (most, least uint32)")
	g.Op("MOVD", "src+0(FP)", "R1")
	g.Op("MOVD", "n+8(FP)", "R2")
	g.v("movi 0", 0)
	g.v("movi 0", 1)
	g.eachFour(func() {
		for i := range 4 {
			g.v("smax", 0, 0, 2+i)
			g.v("umax", 1, 1, 2+i)
		}
	})
	g.eachVector(func(tail bool) {
		g.loadNext(tail, "R1", 2)
		g.v("smax", 0, 0, 2)
		g.v("umax", 1, 1, 2)
	})
	g.v("smaxv", 0, 0)
	g.v("umaxv", 1, 1)
	g.Op("FMOVS", f(0), "most+16(FP)")
	g.Op("FMOVS", f(1), "least+20(FP)")
	g.Op("RET")
}

// codes8 writes codes8: signed bytes min(round(src·inverse)+zero, 127), n of them, a
// multiple of 16, more than 0.
func (g gen) codes8() {
	const inverse, zero = 8, 9
	g.Func("codes8", 32, "(dst *uint32, src *float32, n int, inverse float32, zero int32)")
	g.rowArguments()
	g.Op("FMOVS", "inverse+24(FP)", f(inverse))
	g.v("dup", inverse, inverse)
	g.Op("MOVW", "zero+28(FP)", "R3")
	g.dupHalves(zero, 3)
	g.Label("loop")
	g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(0, 1))
	g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(2, 3))
	for i := range 4 {
		g.v("fmul", i, i, inverse)
	}
	for i := range 4 {
		g.v("fcvtns", i, i)
	}
	for i := 0; i < 4; i += 2 { // codes are within 16 bits, and end at a byte's greatest
		g.v("sqxtn", 4+i, i)
		g.v("sqxtn2", 4+i, i+1)
		g.v("sqadd", 4+i, 4+i, zero)
	}
	g.v("sqxtn b", 4, 4)
	g.v("sqxtn2b", 4, 6)
	g.Op("FMOVQ.P", f(4), at(bytes, "R0"))
	g.Op("SUBS", 16, "R2")
	g.Op("BNE", "loop")
	g.Op("RET")
}

// pairsBF16 writes pairsBF16: n numbers, a multiple of 8 and more than 0, as bfloat16 two
// to a word.
func (g gen) pairsBF16() {
	g.Func("pairsBF16", 24, "(dst *uint32, src *float32, n int)")
	g.rowArguments()
	g.Label("loop")
	g.Op("FLDPQ.P", at(2*bytes, "R1"), pair(0, 1))
	g.v("bfcvtn", 2, 0)
	g.v("bfcvtn2", 2, 1)
	g.Op("FMOVQ.P", f(2), at(bytes, "R0"))
	g.Op("SUBS", 8, "R2")
	g.Op("BNE", "loop")
	g.Op("RET")
}

// roundBF16 writes roundBF16, backends.RoundBF16 of n numbers:
// (bits + 0x7fff + bits>>16&1) &^ 0xffff, but NaN stays.
func (g gen) roundBF16() {
	const one, below, high, x, y, same = 8, 9, 10, 0, 1, 2
	g.Func("roundBF16", 24, "(dst *uint32, src *float32, n int)")
	g.rowArguments()
	g.loadSymbol(one, g.Word(1))
	g.loadSymbol(below, g.Word(0x7fff))
	g.loadSymbol(high, g.Word(0xffff0000))
	g.eachVector(func(tail bool) {
		g.loadNext(tail, "R1", x)
		g.shiftRight(y, x, 16)
		g.v("and", y, y, one)
		g.v("add", y, y, x)
		g.v("add", y, y, below)
		g.v("and", y, y, high)
		g.v("fcmeq", same, x, x)
		g.v("bit", x, y, same)
		g.storeNext(tail, x, "R0")
	})
	g.Op("RET")
}

// roundF16 writes roundF16: backends.RoundF16 of n numbers, by way of half.
func (g gen) roundF16() {
	const least, most = 8, 9
	g.Func("roundF16", 24, "(dst *uint32, src *float32, n int)")
	g.rowArguments()
	g.constant(least, -65504)
	g.constant(most, 65504)
	g.eachVector(func(tail bool) {
		g.loadNext(tail, "R1", 0)
		g.v("fmin", 0, 0, most)
		g.v("fmax", 0, 0, least)
		g.v("fcvtn", 0, 0)
		g.v("fcvtl", 0, 0)
		g.storeNext(tail, 0, "R0")
	})
	g.Op("RET")
}

func (g gen) rowArguments() {
	g.Op("MOVD", "dst+0(FP)", "R0")
	g.Op("MOVD", "src+8(FP)", "R1")
	g.Op("MOVD", "n+16(FP)", "R2")
}
