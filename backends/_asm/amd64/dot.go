package amd64

// The dot products: each adds the products of the words in a (one row's, in all lanes) and
// in b to acc; t is a scratch register.

func dotF32(g *gen, acc, b, a, _ int)  { g.Op("VFMADD231PS", g.r(b), g.r(a), g.r(acc)) }
func dotBF16(g *gen, acc, b, a, _ int) { g.dotBF16(a, b, acc) }
func dotInt8(g *gen, acc, b, a, _ int) { g.Op("VPDPBUSD", g.r(b), g.r(a), g.r(acc)) }

// dotVEX is for processors with AVX-VNNI alone, where Go's assembler would write
// the EVEX form, which faults there. Bytes of a are unsigned, of b signed.
func dotVEX(g *gen, acc, b, a, _ int) { g.dotVEX(b, a, acc) }

// dotInt16 is for processors without VNNI.
func dotInt16(g *gen, acc, b, a, t int) {
	g.Op("VPMADDWD", g.r(b), g.r(a), g.r(t))
	g.Op("VPADDD", g.r(t), g.r(acc), g.r(acc))
}

// dotCrossed is dotInt16 on two words at a time, for the peak.
func dotCrossed(g *gen, acc, b, a, t int) {
	g.Op("VPADDW", g.r(b), g.r(a), g.r(t))
	g.Op("VPADDW", g.r(b), g.r(a), g.r(t+1))
	g.Op("VPMADDWD", g.r(t), g.r(t+1), g.r(t))
	g.Op("VPADDD", g.r(t), g.r(acc), g.r(acc))
}
