package emit

import "math"

// Transpose writes transpose: a square of words, Lanes by Lanes, from rows srcStep
// bytes apart to rows dstStep bytes apart.
func (g *Gen) Transpose() {
	g.Func("transpose", 32, "(dst, src *uint32, dstStep, srcStep int)")
	g.Op("MOVQ", "dst+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "dstStep+16(FP)", "R8")
	g.Op("MOVQ", "srcStep+24(FP)", "R9")
	n := g.Lanes()
	for i := range n {
		g.Op("VMOVUPS", "(SI)", g.R(i))
		if i < n-1 {
			g.Op("ADDQ", "R9", "SI")
		}
	}
	for i := 0; i < n; i += 2 { // pairs of rows, word by word
		g.Op("VUNPCKLPS", g.R(i+1), g.R(i), g.R(n+i))
		g.Op("VUNPCKHPS", g.R(i+1), g.R(i), g.R(n+i+1))
	}
	for i := 0; i < n; i += 4 { // four rows: register i+k has word k of each of its lanes
		g.Op("VUNPCKLPD", g.R(n+i+2), g.R(n+i), g.R(i))
		g.Op("VUNPCKHPD", g.R(n+i+2), g.R(n+i), g.R(i+1))
		g.Op("VUNPCKLPD", g.R(n+i+3), g.R(n+i+1), g.R(i+2))
		g.Op("VUNPCKHPD", g.R(n+i+3), g.R(n+i+1), g.R(i+3))
	}
	if g.Wide {
		g.lanes512()
	} else {
		for k := range 4 {
			g.Op("VPERM2F128", 0x20, g.R(4+k), g.R(k), g.R(8+k))
			g.Op("VPERM2F128", 0x31, g.R(4+k), g.R(k), g.R(12+k))
		}
	}
	for i := range n {
		g.Op("VMOVUPS", g.R(n+i), "(DI)")
		if i < n-1 {
			g.Op("ADDQ", "R8", "DI")
		}
	}
	g.Return()
}

// lanes512 transposes the 128-bit lanes of registers k, 4+k, 8+k and 12+k.
func (g *Gen) lanes512() {
	const even, odd = 0x88, 0xdd
	for k := range 4 {
		g.Op("VSHUFF32X4", even, g.R(4+k), g.R(k), g.R(16+k))
		g.Op("VSHUFF32X4", even, g.R(12+k), g.R(8+k), g.R(20+k))
		g.Op("VSHUFF32X4", odd, g.R(4+k), g.R(k), g.R(24+k))
		g.Op("VSHUFF32X4", odd, g.R(12+k), g.R(8+k), g.R(28+k))
	}
	for k := range 4 {
		g.Op("VSHUFF32X4", even, g.R(20+k), g.R(16+k), g.R(k))
		g.Op("VSHUFF32X4", even, g.R(28+k), g.R(24+k), g.R(4+k))
		g.Op("VSHUFF32X4", odd, g.R(20+k), g.R(16+k), g.R(8+k))
		g.Op("VSHUFF32X4", odd, g.R(28+k), g.R(24+k), g.R(12+k))
	}
	for i := range 16 {
		g.Op("VMOVAPS", g.R(i), g.R(16+i))
	}
}

// PackRows writes packRows: rows of two vectors, one behind the other.
func (g *Gen) PackRows() {
	g.Func("packRows", 32, "(panel *uint32, src *float32, step, rows int)")
	g.Op("MOVQ", "panel+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "step+16(FP)", "R8")
	g.Op("MOVQ", "rows+24(FP)", "CX")
	g.Label("row")
	for j := range 2 {
		g.Op("VMOVUPS", at(j*g.Bytes(), "SI"), g.R(j))
		g.Op("VMOVUPS", g.R(j), at(j*g.Bytes(), "DI"))
	}
	g.Op("ADDQ", "R8", "SI")
	g.Op("ADDQ", 2*g.Bytes(), "DI")
	g.Op("DECQ", "CX")
	g.Op("JNE", "row")
	g.Return()
}

// PackRowsBF16 writes packRowsBF16: pairs of rows, rounded, side by side in words.
func (g *Gen) PackRowsBF16() {
	g.Func("packRowsBF16", 32, "(panel *uint32, src *float32, step, pairs int)")
	g.Op("MOVQ", "panel+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "step+16(FP)", "R8")
	g.Op("MOVQ", "pairs+24(FP)", "CX")
	g.Label("pair")
	for j := range 2 {
		g.Op("VMOVUPS", at(j*64, "SI"), g.R(0))
		g.Op("VMOVUPS", at(j*64, "SI")+"(R8*1)", g.R(1))
		g.ToBF16(0, 2)
		g.ToBF16(1, 3)
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
	g.Return()
}

// PackPairs writes packPairs: packRowsBF16 of rows that are bfloat16 already.
func (g *Gen) PackPairs() {
	g.Func("packPairs", 32, "(panel, src *uint32, step, pairs int)")
	g.Op("MOVQ", "panel+0(FP)", "DI")
	g.Op("MOVQ", "src+8(FP)", "SI")
	g.Op("MOVQ", "step+16(FP)", "R8")
	g.Op("MOVQ", "pairs+24(FP)", "CX")
	turns := make([]float32, 32) // the halves of each word: one of a row, one of the next
	for i := range turns {
		turns[i] = math.Float32frombits(uint32(i | (32+i)<<16))
	}
	symbol := g.Table("turns", turns)
	g.Op("VMOVUPS", symbol+"+0(SB)", "Z4")
	g.Op("VMOVUPS", symbol+"+64(SB)", "Z5")
	g.Label("pair")
	g.Op("VMOVUPS", "(SI)", "Z0")
	g.Op("VMOVUPS", "(SI)(R8*1)", "Z1")
	for j := range 2 {
		g.Op("VMOVAPS", g.R(4+j), g.R(2+j))
		g.Op("VPERMI2W", "Z1", "Z0", g.R(2+j))
		g.Op("VMOVUPS", g.R(2+j), at(64*j, "DI"))
	}
	g.Op("LEAQ", "(SI)(R8*2)", "SI")
	g.Op("ADDQ", 128, "DI")
	g.Op("DECQ", "CX")
	g.Op("JNE", "pair")
	g.Return()
}
