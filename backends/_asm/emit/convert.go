package emit

// MaxAbs writes maxAbs: the largest |x| as bits, which order NaN above all.
func (g *Gen) MaxAbs() {
	g.Func("maxAbs", 20, "(src *float32, n int) uint32")
	g.Op("MOVQ", "src+0(FP)", "SI")
	g.Op("MOVQ", "n+8(FP)", "DX")
	g.Op("VMOVUPS", g.Word(0x7fffffff), g.R(2))
	g.Op("VXORPS", g.R(0), g.R(0), g.R(0))
	g.EachVector([]string{"SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 1)
		g.Op("VANDPS", g.R(2), g.R(1), g.R(1))
		g.Op("VPMAXUD", g.R(1), g.R(0), g.R(0))
	})
	g.Reduce("VPMAXUD", 0, 1)
	g.Op("VMOVD", "X0", "AX")
	g.Op("MOVL", "AX", "ret+16(FP)")
	g.Return()
}

// Codes8 writes codes8: bytes round(src·inverse)+128, n of them. On AVX2 n is a
// multiple of 8.
func (g *Gen) Codes8() {
	g.Func("codes8", 28, "(dst *uint32, src *float32, n int, inverse float32)")
	g.codesArguments()
	if !g.Wide {
		g.Op("VMOVUPS", g.Word(128<<16|128), g.R(2))
		g.narrowCodes(1, func(pair bool) {
			g.Op("VPADDW", g.R(2), g.R(0), g.R(0))
			if !pair {
				g.Op("VPACKUSWB", "X0", "X0", "X0")
				g.Op("VMOVQ", "X0", "(DI)")
				return
			}
			g.Op("VEXTRACTI128", 1, "Y0", "X1")
			g.Op("VPACKUSWB", "X1", "X0", "X0")
			g.Op("VMOVUPS", "X0", "(DI)")
		})
		g.Return()
		return
	}
	g.Op("VMOVUPS", g.Word(128), g.R(2))
	g.EachVector([]string{"SI"}, func(tail bool) {
		g.code(tail)
		g.Op("VPADDD", g.R(2), g.R(0), g.R(0))
		if tail {
			g.Op("VPMOVDB", g.R(0), "K1", "(DI)")
			return
		}
		g.Op("VPMOVDB", g.R(0), "(DI)")
		g.Op("ADDQ", g.Lanes(), "DI")
	})
	g.Return()
}

// Codes16 writes codes16: int16 round(src·inverse), n of them.
func (g *Gen) Codes16() {
	g.Func("codes16", 28, "(dst *uint32, src *float32, n int, inverse float32)")
	g.codesArguments()
	g.EachVector([]string{"SI"}, func(tail bool) {
		g.code(tail)
		if tail {
			g.Op("VPMOVDW", g.R(0), "K1", "(DI)")
			return
		}
		g.Op("VPMOVDW", g.R(0), "(DI)")
		g.Op("ADDQ", 2*g.Lanes(), "DI")
	})
	g.Return()
}

// Codes16Crossed writes codes16, for AVX2: int16 round(src·inverse), n of them, a
// multiple of 8. It returns the sum of the products of the words' codes with those
// of the next word, of every two words.
func (g *Gen) Codes16Crossed() {
	const sum, t = 4, 1
	g.Func("codes16", 36, "(dst *uint32, src *float32, n int, inverse float32) (crossed int32)")
	g.codesArguments()
	g.Op("VPXOR", g.R(sum), g.R(sum), g.R(sum))
	g.narrowCodes(2, func(pair bool) {
		const swapped = 0xb1
		g.Op("VPSHUFD", swapped, g.R(0), g.R(t))
		g.Op("VPMADDWD", g.R(0), g.R(t), g.R(t)) // every product twice
		g.Op("VPADDD", g.R(t), g.R(sum), g.R(sum))
		if pair {
			g.Op("VMOVUPS", "Y0", "(DI)")
			return
		}
		g.Op("VMOVUPS", "X0", "(DI)")
	})
	g.Reduce("VPADDD", sum, t)
	g.Op("VMOVD", "X4", "AX")
	g.Op("SARL", 1, "AX")
	g.Op("MOVL", "AX", "crossed+32(FP)")
	g.Return()
}

// narrowCodes writes pairs of vectors of codes, then one that is left: AVX2 has no
// stores of part of a vector in bytes. store finds the codes as int16 in Y0, those
// of one vector in X0; a code is size bytes in memory.
func (g *Gen) narrowCodes(size int, store func(pair bool)) {
	loop, one, done := g.NewLabel("loop"), g.NewLabel("one"), g.NewLabel("done")
	g.Op("SUBQ", 2*g.Lanes(), "DX")
	g.Op("JLT", one)
	g.Label(loop)
	for i := range 2 {
		g.Op("VMULPS", at(i*g.Bytes(), "SI"), g.R(3), g.R(i))
		g.Op("VCVTPS2DQ", g.R(i), g.R(i))
	}
	const crossed = 0xd8 // packing takes the halves of both by turns
	g.Op("VPACKSSDW", "Y1", "Y0", "Y0")
	g.Op("VPERMQ", crossed, "Y0", "Y0")
	store(true)
	g.Op("ADDQ", 2*g.Bytes(), "SI")
	g.Op("ADDQ", 2*g.Lanes()*size, "DI")
	g.Op("SUBQ", 2*g.Lanes(), "DX")
	g.Op("JGE", loop)
	g.Label(one)
	g.Op("ADDQ", 2*g.Lanes(), "DX")
	g.Op("JEQ", done)
	g.code(false)
	g.Op("VEXTRACTI128", 1, "Y0", "X1")
	g.Op("VPACKSSDW", "X1", "X0", "X0")
	store(false)
	g.Label(done)
}

func (g *Gen) codesArguments() {
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "n+16(FP)", "DX")
	g.Op("VBROADCASTSS", "inverse+24(FP)", g.R(3))
}

// code makes register 0 the codes of a vector at SI. No product exceeds 127 by
// more than its rounding error: nothing is left to clamp.
func (g *Gen) code(tail bool) {
	g.Load(tail, "(SI)", 0)
	g.Op("VMULPS", g.R(3), g.R(0), g.R(0))
	g.Op("VCVTPS2DQ", g.R(0), g.R(0))
}

// RowBF16 writes rowBF16: n bfloat16, by the instruction that counts denormal numbers
// as 0. n is even or followed by a zero that is written, too.
func (g *Gen) RowBF16() {
	g.Func("rowBF16", 24, "(dst *uint32, src *float32, n int)")
	g.rowArguments()
	g.EachVector([]string{"SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 0)
		g.ToBF16(0, 1)
		if tail { // whole words: the mask's words, halved, rounded up
			g.Op("INCQ", "DX")
			g.Op("SHRQ", 1, "DX")
			g.SetTail()
			g.Op("VMOVDQU32", "Y1", "K1", "(DI)")
			return
		}
		g.Op("VMOVUPS", "Y1", "(DI)")
		g.Op("ADDQ", g.Bytes()/2, "DI")
	})
	g.Return()
}

// RoundBF16 writes roundBF16: backends.RoundBF16 of n numbers.
func (g *Gen) RoundBF16() {
	g.Func("roundBF16", 24, "(dst *uint32, src *float32, n int)")
	g.rowArguments()
	g.EachVector([]string{"DI", "SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 0)
		g.bf16(0, 1, 2)
		g.Store(tail, 1, "(DI)")
	})
	g.Return()
}

// bf16 rounds register x into y, through t: (bits + 0x7fff + bits>>16&1) &^ 0xffff,
// but NaN stays.
func (g *Gen) bf16(x, y, t int) {
	and := g.Pick("VPANDD", "VPAND")
	g.Op("VPSRLD", 16, g.R(x), g.R(y))
	g.Op(and, g.Word(1), g.R(y), g.R(y))
	g.Op("VPADDD", g.R(x), g.R(y), g.R(y))
	g.Op("VPADDD", g.Word(0x7fff), g.R(y), g.R(y))
	g.Op(and, g.Word(0xffff0000), g.R(y), g.R(y))
	const unordered = 3
	if g.Wide {
		g.Op("VCMPPS", unordered, g.R(x), g.R(x), "K2")
		g.Op("VMOVAPS", g.R(x), "K2", g.R(y))
		return
	}
	g.Op("VCMPPS", unordered, g.R(x), g.R(x), g.R(t))
	g.Op("VBLENDVPS", g.R(t), g.R(x), g.R(y), g.R(y))
}

// RoundF16 writes roundF16: backends.RoundF16 of n numbers, by way of half. The
// limits come first in the comparisons, so that NaN, the second, stays.
func (g *Gen) RoundF16() {
	g.Func("roundF16", 24, "(dst *uint32, src *float32, n int)")
	g.rowArguments()
	g.Op("VMOVUPS", g.Float(65504), g.R(3))
	g.Op("VMOVUPS", g.Float(-65504), g.R(4))
	half := g.Pick("Y1", "X1")
	g.EachVector([]string{"DI", "SI"}, func(tail bool) {
		g.Load(tail, "(SI)", 0)
		g.Op("VMINPS", g.R(0), g.R(3), g.R(0))
		g.Op("VMAXPS", g.R(0), g.R(4), g.R(0))
		g.Op("VCVTPS2PH", 0, g.R(0), half)
		g.Op("VCVTPH2PS", half, g.R(1))
		g.Store(tail, 1, "(DI)")
	})
	g.Return()
}

func (g *Gen) rowArguments() {
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "n+16(FP)", "DX")
}
