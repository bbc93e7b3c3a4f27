package amd64

// transpose writes transpose: a square of words, Lanes by Lanes, from rows srcStep
// bytes apart to rows dstStep bytes apart.
func (g *gen) transpose() {
	g.Func("transpose", 32, "(dst, src *uint32, dstStep, srcStep int)")
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "dstStep+16(FP)", "R8")
	g.Op("MOVQ", "srcStep+24(FP)", "R9")
	n := g.lanes()
	for i := range n {
		g.Op("VMOVUPS", "(SI)", g.r(i))
		if i < n-1 {
			g.Op("ADDQ", "R9", "SI")
		}
	}
	for i := 0; i < n; i += 2 { // pairs of rows, word by word
		g.Op("VUNPCKLPS", g.r(i+1), g.r(i), g.r(n+i))
		g.Op("VUNPCKHPS", g.r(i+1), g.r(i), g.r(n+i+1))
	}
	for i := 0; i < n; i += 4 { // four rows: register i+k has word k of each of its lanes
		g.Op("VUNPCKLPD", g.r(n+i+2), g.r(n+i), g.r(i))
		g.Op("VUNPCKHPD", g.r(n+i+2), g.r(n+i), g.r(i+1))
		g.Op("VUNPCKLPD", g.r(n+i+3), g.r(n+i+1), g.r(i+2))
		g.Op("VUNPCKHPD", g.r(n+i+3), g.r(n+i+1), g.r(i+3))
	}
	if g.wide {
		g.lanes512()
	} else {
		for k := range 4 {
			g.Op("VPERM2F128", 0x20, g.r(4+k), g.r(k), g.r(8+k))
			g.Op("VPERM2F128", 0x31, g.r(4+k), g.r(k), g.r(12+k))
		}
	}
	for i := range n {
		g.Op("VMOVUPS", g.r(n+i), "(DI)")
		if i < n-1 {
			g.Op("ADDQ", "R8", "DI")
		}
	}
	g.ret()
}

// lanes512 transposes the 128-bit lanes of registers k, 4+k, 8+k and 12+k.
func (g *gen) lanes512() {
	const even, odd = 0x88, 0xdd
	for k := range 4 {
		g.Op("VSHUFF32X4", even, g.r(4+k), g.r(k), g.r(16+k))
		g.Op("VSHUFF32X4", even, g.r(12+k), g.r(8+k), g.r(20+k))
		g.Op("VSHUFF32X4", odd, g.r(4+k), g.r(k), g.r(24+k))
		g.Op("VSHUFF32X4", odd, g.r(12+k), g.r(8+k), g.r(28+k))
	}
	for k := range 4 {
		g.Op("VSHUFF32X4", even, g.r(20+k), g.r(16+k), g.r(k))
		g.Op("VSHUFF32X4", even, g.r(28+k), g.r(24+k), g.r(4+k))
		g.Op("VSHUFF32X4", odd, g.r(20+k), g.r(16+k), g.r(8+k))
		g.Op("VSHUFF32X4", odd, g.r(28+k), g.r(24+k), g.r(12+k))
	}
	for i := range 16 {
		g.Op("VMOVAPS", g.r(i), g.r(16+i))
	}
}

// packRows writes packRows: rows of two vectors, one behind the other.
func (g *gen) packRows() {
	g.Func("packRows", 32, "(panel *uint32, src *float32, step, rows int)")
	g.packArguments("rows")
	g.Label("row")
	for j := range 2 {
		g.Op("VMOVUPS", at(j*g.bytes(), "SI"), g.r(j))
		g.Op("VMOVUPS", g.r(j), at(j*g.bytes(), "DI"))
	}
	g.Op("ADDQ", "R8", "SI")
	g.Op("ADDQ", 2*g.bytes(), "DI")
	g.Op("DECQ", "CX")
	g.Op("JNE", "row")
	g.ret()
}

// widen writes widen: a panel's first two vectors as they are, and words of two vectors of
// int16 from bytes.
func (g *gen) widen() {
	g.Func("widen", 24, "(dst, src *uint32, words int)")
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "words+16(FP)", "CX")
	for j := range 2 {
		g.Op("VMOVUPS", at(j*g.bytes(), "SI"), g.r(j))
		g.Op("VMOVUPS", g.r(j), at(j*g.bytes(), "DI"))
	}
	g.Op("ADDQ", 2*g.bytes(), "SI")
	g.Label("word")
	g.Op("ADDQ", 2*g.bytes(), "DI")
	for j := range 2 {
		g.Op("VPMOVSXBW", at(j*g.bytes()/2, "SI"), g.r(j))
		g.Op("VMOVUPS", g.r(j), at(j*g.bytes(), "DI"))
	}
	g.Op("ADDQ", g.bytes(), "SI")
	g.Op("DECQ", "CX")
	g.Op("JNE", "word")
	g.ret()
}

// widenBF16 writes widenBF16: words of two bfloat16 as two of float32, a vector's worth of
// words a round, which a panel's are a multiple of.
func (g *gen) widenBF16() {
	g.Func("widenBF16", 24, "(dst, src *uint32, pairs int)")
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "pairs+16(FP)", "CX")
	g.Label("pairs")
	for j := range 2 {
		g.Op("VPMOVZXWD", at(j*g.bytes()/2, "SI"), g.r(j))
		g.Op("VPSLLD", 16, g.r(j), g.r(j))
		g.Op("VMOVUPS", g.r(j), at(j*g.bytes(), "DI"))
	}
	g.Op("ADDQ", g.bytes(), "SI")
	g.Op("ADDQ", 2*g.bytes(), "DI")
	g.Op("SUBQ", g.lanes(), "CX")
	g.Op("JNE", "pairs")
	g.ret()
}

// packRowsBF16 writes packRowsBF16: pairs of rows, rounded, side by side in words.
func (g *gen) packRowsBF16() {
	g.Func("packRowsBF16", 32, "(panel *uint32, src *float32, step, pairs int)")
	g.packArguments("pairs")
	g.Label("pair")
	for j := range 2 {
		g.Op("VMOVUPS", at(j*64, "SI"), g.r(0))
		g.Op("VMOVUPS", at(j*64, "SI")+"(R8*1)", g.r(1))
		g.toBF16(0, 2)
		g.toBF16(1, 3)
		g.Op("VPMOVZXWD", "Y2", "Z2")
		g.Op("VPMOVZXWD", "Y3", "Z3")
		g.Op("VPSLLD", 16, "Z3", "Z3")
		g.Op("VPORD", "Z2", "Z3", "Z3")
		g.Op("VMOVUPS", "Z3", at(j*64, "DI"))
	}
	g.Op("LEAQ", "(SI)(R8*2)", "SI")
	g.Op("ADDQ", 128, "DI")
	g.Op("DECQ", "CX")
	g.Op("JNE", "pair")
	g.ret()
}

// packPairs writes packPairs: packRowsBF16 of rows that are bfloat16 already.
func (g *gen) packPairs() {
	g.Func("packPairs", 32, "(panel, src *uint32, step, pairs int)")
	g.packArguments("pairs")
	turns := make([]uint32, 32) // the halves of each word: one of a row, one of the next
	for i := range turns {
		turns[i] = uint32(i | (32+i)<<16)
	}
	symbol := g.Table("turns", turns)
	g.Op("VMOVUPS", symbol+"+0(SB)", "Z4")
	g.Op("VMOVUPS", symbol+"+64(SB)", "Z5")
	g.Label("pair")
	g.Op("VMOVUPS", "(SI)", "Z0")
	g.Op("VMOVUPS", "(SI)(R8*1)", "Z1")
	for j := range 2 {
		g.Op("VMOVAPS", g.r(4+j), g.r(2+j))
		g.Op("VPERMI2W", "Z1", "Z0", g.r(2+j))
		g.Op("VMOVUPS", g.r(2+j), at(64*j, "DI"))
	}
	g.Op("LEAQ", "(SI)(R8*2)", "SI")
	g.Op("ADDQ", 128, "DI")
	g.Op("DECQ", "CX")
	g.Op("JNE", "pair")
	g.ret()
}

// packArguments reads those of the functions that fill a panel from some rows, or pairs of
// them, step bytes apart.
func (g *gen) packArguments(count string) {
	g.Op("MOVQ", "panel+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "step+16(FP)", "R8")
	g.Op("MOVQ", count+"+24(FP)", "CX")
}
