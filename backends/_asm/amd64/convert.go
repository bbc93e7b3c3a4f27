package amd64

import "math"

// rowRange writes rowRange: of a row's numbers and 0 the greatest, and the least, as bits.
// As signed integers positive numbers are ordered, and above all negative ones; as
// unsigned ones negative numbers are, upside down, and above all positive ones: with
// none there, least is no negative number. NaN is beyond Inf either way.
func (g *gen) rowRange() {
	g.Func("rowRange", 24, "(src *float32, n int) (most, least uint32)")
	g.Op("MOVQ", "src+0(FP)", "SI")
	g.Op("MOVQ", "n+8(FP)", "DX")
	g.rangeOf("SI")
	g.Op("VMOVD", "X0", "AX")
	g.Op("MOVL", "AX", "most+16(FP)")
	g.Op("VMOVD", "X1", "AX")
	g.Op("MOVL", "AX", "least+20(FP)")
	g.ret()
}

// rangeOf makes words 0 of registers 0 and 1 what rowRange returns, of DX numbers at a
// pointer that is pushed on.
func (g *gen) rangeOf(pointer string) {
	g.Op("VXORPS", g.r(0), g.r(0), g.r(0))
	g.Op("VXORPS", g.r(1), g.r(1), g.r(1))
	g.eachVector([]string{pointer}, func(tail bool) {
		g.load(tail, at(0, pointer), 2)
		g.Op("VPMAXSD", g.r(2), g.r(0), g.r(0))
		g.Op("VPMAXUD", g.r(2), g.r(1), g.r(1))
	})
	g.reduce("VPMAXSD", 0, 2)
	g.reduce("VPMAXUD", 1, 2)
}

// codes8 writes codes8, for AVX2: bytes min(round(src·inverse)+zero, 255), n of them, a
// multiple of 8.
func (g *gen) codes8() {
	g.Func("codes8", 32, "(dst *uint32, src *float32, n int, inverse float32, zero int32)")
	g.codesArguments()
	g.wordOf("zero+28(FP)")
	g.narrowCodes(1, func(pair bool) {
		g.Op("VPADDW", g.r(2), g.r(0), g.r(0))
		if !pair {
			g.Op("VPACKUSWB", "X0", "X0", "X0")
			g.Op("VMOVQ", "X0", "(DI)")
			return
		}
		g.Op("VEXTRACTI128", 1, "Y0", "X1")
		g.Op("VPACKUSWB", "X1", "X0", "X0")
		g.Op("VMOVUPS", "X0", "(DI)")
	})
	g.ret()
}

// wordOf makes every word of Y2 the low half of an argument.
func (g *gen) wordOf(argument string) {
	g.Op("MOVL", argument, "AX")
	g.Op("VMOVD", "AX", "X2")
	g.Op("VPBROADCASTW", "X2", "Y2")
}

// rowsInt8 writes rowsInt8: rows of n codes, one behind the other, a row's last word
// filled up, and their scales and zero points.
func (g *gen) rowsInt8() {
	const inverse, zero = 3, 9
	g.Func("rowsInt8", 56, "(dst *uint32, src *float32, stride, rows, n int, scale *float32, zero *int32)")
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "R8")
	g.Op("MOVQ", "stride+16(FP)", "R9")
	g.Op("MOVQ", "rows+24(FP)", "R10")
	g.Op("MOVQ", "n+32(FP)", "R11")
	g.Op("MOVQ", "scale+40(FP)", "R12")
	g.Op("MOVQ", "zero+48(FP)", "R15")
	g.Op("LEAQ", "3(R11)", "R13") // bytes of a row
	g.Op("ANDQ", -4, "R13")
	g.Label("row")
	g.Op("MOVQ", "R8", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.rangeOf("SI")
	g.codeScale(inverse)
	g.Op("VPBROADCASTW", "BX", g.r(zero))
	g.Op("VPBROADCASTD", "BX", g.r(zero+1))
	g.Op("MOVL", 0, "-4(DI)(R13*1)")
	g.Op("MOVQ", "R8", "SI")
	g.Op("MOVQ", "DI", "R14")
	g.Op("MOVQ", "R11", "DX")
	g.codes64(inverse, zero)
	g.eachVectorAgain([]string{"SI"}, func(tail bool) {
		g.code(tail)
		g.Op("VPADDD", g.r(zero+1), g.r(0), g.r(0))
		if tail {
			g.Op("VPMOVUSDB", g.r(0), "K1", "(R14)")
			return
		}
		g.Op("VPMOVUSDB", g.r(0), "(R14)")
		g.Op("ADDQ", g.lanes(), "R14")
	})
	g.Op("ADDQ", "R13", "DI")
	g.Op("LEAQ", "(R8)(R9*4)", "R8")
	g.Op("ADDQ", 4, "R12")
	g.Op("ADDQ", 4, "R15")
	g.Op("DECQ", "R10")
	g.Op("JNE", "row")
	g.ret()
}

// codeScale is host.codeScale of what rangeOf left: the scale goes to R12, the zero point
// to R15 and BX, the inverse into all of a register.
func (g *gen) codeScale(inverse int) {
	normal, done := g.NewLabel("normal"), g.NewLabel("done")
	least, infinite := math.Float32bits(1e-30), math.Float32bits(float32(math.Inf(1)))
	g.Op("VXORPS", g.r(inverse), g.r(inverse), g.r(inverse))
	g.Op("VPMINSD", "X3", "X1", "X1") // 0 where it is no negative number
	g.Op("VSUBSS", "X1", "X0", "X0")
	g.Op("VMOVD", "X0", "AX")
	g.Op("XORL", "BX", "BX")
	g.Op("XORL", "CX", "CX")
	g.Op("CMPL", "AX", int(least))
	g.Op("JCS", done)
	g.Op("CMPL", "AX", int(infinite))
	g.Op("JCS", normal)
	g.Op("MOVL", int(math.Float32bits(float32(math.NaN()))), "CX")
	g.Op("JMP", done)
	g.Label(normal)
	g.Op("VMOVSS", g.Float(255), "X4")
	g.Op("VDIVSS", "X4", "X0", "X2")
	g.Op("VMOVD", "X2", "CX")
	g.Op("VDIVSS", "X0", "X4", "X2")
	g.Op("VMULSS", "X2", "X1", "X1")
	g.Op("VCVTSS2SI", "X1", "BX")
	g.Op("NEGL", "BX")
	g.Op("VBROADCASTSS", "X2", g.r(inverse))
	g.Label(done)
	g.Op("MOVL", "CX", "(R12)")
	g.Op("MOVL", "BX", "(R15)")
}

// codes64 writes codes of 64 numbers at a time from SI to R14, as long as DX has so
// many. Packing, which ends what is above 255, leaves four numbers of each vector side
// by side in a lane.
func (g *gen) codes64(inverse, zero int) {
	loop, rest := g.NewLabel("loop"), g.NewLabel("rest")
	order := make([]uint32, 16)
	for i := range order {
		order[i] = uint32(i%4*4 + i/4)
	}
	const lanes = 12
	g.Op("VMOVUPS", g.Table("order", order)+"+0(SB)", g.r(lanes))
	g.Op("SUBQ", 64, "DX")
	g.Op("JLT", rest)
	g.Label(loop)
	for i := range 4 {
		g.Op("VMULPS", at(64*i, "SI"), g.r(inverse), g.r(4+i))
	}
	for i := range 4 {
		g.Op("VCVTPS2DQ", g.r(4+i), g.r(4+i))
	}
	g.Op("VPACKSSDW", g.r(5), g.r(4), g.r(4))
	g.Op("VPACKSSDW", g.r(7), g.r(6), g.r(6))
	g.Op("VPADDW", g.r(zero), g.r(4), g.r(4))
	g.Op("VPADDW", g.r(zero), g.r(6), g.r(6))
	g.Op("VPACKUSWB", g.r(6), g.r(4), g.r(4))
	g.Op("VPERMD", g.r(4), g.r(lanes), g.r(4))
	g.Op("VMOVUPS", g.r(4), "(R14)")
	g.Op("ADDQ", 256, "SI")
	g.Op("ADDQ", 64, "R14")
	g.Op("SUBQ", 64, "DX")
	g.Op("JGE", loop)
	g.Label(rest)
	g.Op("ADDQ", 64, "DX")
}

// codes16 writes codes16: int16 min(round(src·inverse), most), n of them.
func (g *gen) codes16() {
	g.Func("codes16", 32, "(dst *uint32, src *float32, n int, inverse float32, most int32)")
	g.codesArguments()
	g.Op("VBROADCASTSS", "most+28(FP)", g.r(2))
	g.eachVector([]string{"SI"}, func(tail bool) {
		g.code(tail)
		g.Op("VPMINSD", g.r(2), g.r(0), g.r(0))
		if tail {
			g.Op("VPMOVDW", g.r(0), "K1", "(DI)")
			return
		}
		g.Op("VPMOVDW", g.r(0), "(DI)")
		g.Op("ADDQ", 2*g.lanes(), "DI")
	})
	g.ret()
}

// codes16Crossed writes codes16, for AVX2: int16 min(round(src·inverse), most), n of
// them, a multiple of 8. It returns the sum of the products of the words' codes with those
// of the next word, of every two words.
func (g *gen) codes16Crossed() {
	const sum, t = 4, 1
	g.Func("codes16", 36, "(dst *uint32, src *float32, n int, inverse float32, most int32) (crossed int32)")
	g.codesArguments()
	g.wordOf("most+28(FP)")
	g.Op("VPXOR", g.r(sum), g.r(sum), g.r(sum))
	g.narrowCodes(2, func(pair bool) {
		const swapped = 0xb1
		g.Op("VPMINSW", g.r(2), g.r(0), g.r(0))
		g.Op("VPSHUFD", swapped, g.r(0), g.r(t))
		g.Op("VPMADDWD", g.r(0), g.r(t), g.r(t)) // every product twice
		g.Op("VPADDD", g.r(t), g.r(sum), g.r(sum))
		if pair {
			g.Op("VMOVUPS", "Y0", "(DI)")
			return
		}
		g.Op("VMOVUPS", "X0", "(DI)")
	})
	g.reduce("VPADDD", sum, t)
	g.Op("VMOVD", "X4", "AX")
	g.Op("SARL", 1, "AX")
	g.Op("MOVL", "AX", "crossed+32(FP)")
	g.ret()
}

// narrowCodes writes pairs of vectors of codes, then one that is left: AVX2 has no
// stores of part of a vector in bytes. store finds the codes as int16 in Y0, those
// of one vector in X0; a code is size bytes in memory.
func (g *gen) narrowCodes(size int, store func(pair bool)) {
	loop, one, done := g.NewLabel("loop"), g.NewLabel("one"), g.NewLabel("done")
	g.Op("SUBQ", 2*g.lanes(), "DX")
	g.Op("JLT", one)
	g.Label(loop)
	for i := range 2 {
		g.Op("VMULPS", at(i*g.bytes(), "SI"), g.r(3), g.r(i))
		g.Op("VCVTPS2DQ", g.r(i), g.r(i))
	}
	const crossed = 0xd8 // packing takes the halves of both by turns
	g.Op("VPACKSSDW", "Y1", "Y0", "Y0")
	g.Op("VPERMQ", crossed, "Y0", "Y0")
	store(true)
	g.Op("ADDQ", 2*g.bytes(), "SI")
	g.Op("ADDQ", 2*g.lanes()*size, "DI")
	g.Op("SUBQ", 2*g.lanes(), "DX")
	g.Op("JGE", loop)
	g.Label(one)
	g.Op("ADDQ", 2*g.lanes(), "DX")
	g.Op("JEQ", done)
	g.code(false)
	g.Op("VEXTRACTI128", 1, "Y0", "X1")
	g.Op("VPACKSSDW", "X1", "X0", "X0")
	store(false)
	g.Label(done)
}

func (g *gen) codesArguments() {
	g.rowArguments()
	g.Op("VBROADCASTSS", "inverse+24(FP)", g.r(3))
}

// code makes register 0 the codes of a vector at SI, from the zero point on.
func (g *gen) code(tail bool) {
	g.load(tail, "(SI)", 0)
	g.Op("VMULPS", g.r(3), g.r(0), g.r(0))
	g.Op("VCVTPS2DQ", g.r(0), g.r(0))
}

// rowsBF16 writes rowsBF16: rows of n bfloat16, one behind the other, by the
// instruction that counts denormal numbers as 0. An odd row ends in a zero.
func (g *gen) rowsBF16() {
	g.Func("rowsBF16", 40, "(dst *uint32, src *float32, stride, rows, n int)")
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "R8")
	g.Op("MOVQ", "stride+16(FP)", "R9")
	g.Op("MOVQ", "rows+24(FP)", "R10")
	g.Op("MOVQ", "n+32(FP)", "R11")
	g.Label("row")
	g.Op("MOVQ", "R8", "SI")
	g.Op("MOVQ", "R11", "DX")
	g.eachVector([]string{"SI"}, func(tail bool) {
		g.load(tail, "(SI)", 0)
		g.toBF16(0, 1)
		if !tail {
			g.Op("VMOVUPS", "Y1", "(DI)")
			g.Op("ADDQ", g.bytes()/2, "DI")
			return
		}
		g.Op("INCQ", "DX") // whole words: the mask's, halved, rounded up
		g.Op("SHRQ", 1, "DX")
		g.setTail()
		g.Op("VMOVDQU32", "Y1", "K1", "(DI)")
		g.Op("LEAQ", "(DI)(DX*4)", "DI")
	})
	g.Op("LEAQ", "(R8)(R9*4)", "R8")
	g.Op("DECQ", "R10")
	g.Op("JNE", "row")
	g.ret()
}

// roundBF16 writes roundBF16: backends.RoundBF16 of n numbers.
func (g *gen) roundBF16() {
	g.Func("roundBF16", 24, "(dst *uint32, src *float32, n int)")
	g.rowArguments()
	g.eachVector([]string{"DI", "SI"}, func(tail bool) {
		g.load(tail, "(SI)", 0)
		g.bf16(0, 1, 2)
		g.store(tail, 1, "(DI)")
	})
	g.ret()
}

// bf16 rounds register x into y, through t: (bits + 0x7fff + bits>>16&1) &^ 0xffff,
// but NaN stays.
func (g *gen) bf16(x, y, t int) {
	and := g.pick("VPANDD", "VPAND")
	g.Op("VPSRLD", 16, g.r(x), g.r(y))
	g.Op(and, g.Word(1), g.r(y), g.r(y))
	g.Op("VPADDD", g.r(x), g.r(y), g.r(y))
	g.Op("VPADDD", g.Word(0x7fff), g.r(y), g.r(y))
	g.Op(and, g.Word(0xffff0000), g.r(y), g.r(y))
	const unordered = 3
	if g.wide {
		g.Op("VCMPPS", unordered, g.r(x), g.r(x), "K2")
		g.Op("VMOVAPS", g.r(x), "K2", g.r(y))
		return
	}
	g.Op("VCMPPS", unordered, g.r(x), g.r(x), g.r(t))
	g.Op("VBLENDVPS", g.r(t), g.r(x), g.r(y), g.r(y))
}

// roundF16 writes roundF16: backends.RoundF16 of n numbers, by way of half. The
// limits come first in the comparisons, so that NaN, the second, stays.
func (g *gen) roundF16() {
	g.Func("roundF16", 24, "(dst *uint32, src *float32, n int)")
	g.rowArguments()
	g.Op("VMOVUPS", g.Float(65504), g.r(3))
	g.Op("VMOVUPS", g.Float(-65504), g.r(4))
	half := g.pick("Y1", "X1")
	g.eachVector([]string{"DI", "SI"}, func(tail bool) {
		g.load(tail, "(SI)", 0)
		g.Op("VMINPS", g.r(0), g.r(3), g.r(0))
		g.Op("VMAXPS", g.r(0), g.r(4), g.r(0))
		g.Op("VCVTPS2PH", 0, g.r(0), half)
		g.Op("VCVTPH2PS", half, g.r(1))
		g.store(tail, 1, "(DI)")
	})
	g.ret()
}

func (g *gen) rowArguments() {
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "n+16(FP)", "DX")
}
