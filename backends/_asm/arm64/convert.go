package arm64

import "math"

// rowsInt8 writes rowsInt8: rows of n codes less 128, one behind the other, a row's last
// word filled up with 0, their scales, and their zero points less 128.
func (g gen) rowsInt8() {
	const infinite = 0x7f800000
	g.Func("rowsInt8", 56, "(dst *uint32, src *float32, stride, rows, n int, scale *float32, zero *int32)")
	g.Op("MOVD", "dst+0(FP)", "R0")
	g.Op("MOVD", "src+8(FP)", "R8")
	g.Op("MOVD", "stride+16(FP)", "R9")
	g.Op("MOVD", "rows+24(FP)", "R10")
	g.Op("MOVD", "n+32(FP)", "R11")
	g.Op("MOVD", "scale+40(FP)", "R12")
	g.Op("MOVD", "zero+48(FP)", "R13")
	g.constant(codes255, 255)
	g.Op("MOVD", int(math.Float32bits(1e-30)), "R3")
	g.Op("MOVD", infinite, "R4")
	g.Label("row")
	g.Op("MOVD", "R8", "R1")
	g.Op("MOVD", "R11", "R2")
	g.rowRange()
	g.codeScale()
	g.Op("MOVD", "R8", "R1")
	g.Op("MOVD", "R11", "R2")
	g.eachSome(8, g.codes32)
	g.eachVector(func(tail bool) {
		g.loadNext(tail, "R1", 0)
		g.v("fmul", 0, 0, codesInverse)
		g.v("fcvtns", 0, 0)
		g.v("add", 0, 0, codesZero+1)
		g.clearPast(tail, 0)
		g.v("sqxtn", 0, 0)
		g.v("sqxtn b", 0, 0)
		g.Op("FMOVS.P", f(0), at(4, "R0"))
	})
	g.Op("ADD", "R9<<2", "R8")
	g.Op("SUBS", 1, "R10")
	g.Op("BNE", "row")
	g.Op("RET")
}

// Registers of rowsInt8: the inverse, the zero point in halves and, behind it, in words,
// and 255.
const codesInverse, codesZero, codes255 = 20, 21, 23

// rowRange makes registers 0 and 1 the greatest and the least of R2 numbers from R1 on and
// 0. As signed integers positive numbers are ordered, and above all negative ones; as
// unsigned ones negative numbers are, upside down, and above all positive ones: with none
// there, least is no negative number. NaN is beyond Inf either way.
func (g gen) rowRange() {
	const most, least, zero = 0, 1, 10 // and two more of every other vector
	for r := range 4 {
		g.v("movi 0", r)
	}
	g.v("movi 0", zero)
	g.eachSome(8, func() {
		g.loadMore(12, 8)
		for i := range 8 {
			g.v("smax", most+i%2*2, most+i%2*2, 12+i)
			g.v("umax", least+i%2*2, least+i%2*2, 12+i)
		}
	})
	g.v("smax", most, most, most+2)
	g.v("umax", least, least, least+2)
	g.eachVector(func(tail bool) {
		g.loadNext(tail, "R1", 2)
		g.v("smax", most, most, 2)
		g.v("umax", least, least, 2)
	})
	g.v("smaxv", most, most)
	g.v("umaxv", least, least)
	g.v("smin", least, least, zero)
}

// codeScale is host.codeScale of what rowRange left: the scale goes to R12, the zero point
// to R13 and into a register, the inverse into another. R3 and R4 are the bits of the
// least difference and of Inf.
func (g gen) codeScale() {
	const most, least, quotient = 0, 1, 2
	normal, done := g.NewLabel("normal"), g.NewLabel("done")
	g.Op("FSUBS", f(least), f(most), f(most))
	g.Op("FMOVS", f(most), "R14")
	g.v("movi 0", codesInverse)
	g.Op("MOVD", "ZR", "R15")
	g.Op("MOVD", "ZR", "R16")
	g.Op("CMPW", "R3", "R14")
	g.Op("BLO", done)
	g.Op("CMPW", "R4", "R14")
	g.Op("BLO", normal)
	g.Op("MOVD", int(math.Float32bits(float32(math.NaN()))), "R15")
	g.Op("B", done)
	g.Label(normal)
	g.Op("FDIVS", f(codes255), f(most), f(quotient))
	g.Op("FMOVS", f(quotient), "R15")
	g.Op("FDIVS", f(most), f(codes255), f(codesInverse))
	g.Op("FMULS", f(codesInverse), f(least), f(quotient))
	g.v("fcvtns", quotient, quotient)
	g.Op("FMOVS", f(quotient), "R16")
	g.Op("NEG", "R16", "R16")
	g.v("dup", codesInverse, codesInverse)
	g.Label(done)
	g.Op("SUB", 128, "R16")
	g.Op("MOVW.P", "R15", at(4, "R12"))
	g.Op("MOVW.P", "R16", at(4, "R13"))
	g.dupHalves(codesZero, 16)
	g.dupWords(codesZero+1, 16)
}

// codes32 writes the codes of 32 numbers. They are within 16 bits, and end at a byte's
// greatest.
func (g gen) codes32() {
	g.loadMore(0, 8)
	for i := range 8 {
		g.v("fmul", i, i, codesInverse)
	}
	for i := range 8 {
		g.v("fcvtns", i, i)
	}
	for i := 0; i < 8; i += 2 {
		g.v("uzp1 h", i, i, i+1)
	}
	for i := 0; i < 8; i += 2 {
		g.v("add h", i, i, codesZero)
	}
	for i := 0; i < 8; i += 4 {
		g.v("sqxtn b", i, i)
		g.v("sqxtn2b", i, i+2)
	}
	g.Op("FSTPQ.P", pair(0, 4), at(2*bytes, "R0"))
}

// pairsBF16 writes pairsBF16: n numbers, a multiple of 8 and more than 0, as bfloat16 two
// to a word.
func (g gen) pairsBF16() {
	g.Func("pairsBF16", 24, "(dst *uint32, src *float32, n int)")
	g.arguments("dst", "src", "n")
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
	g.arguments("dst", "src", "n")
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
