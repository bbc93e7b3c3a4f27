package arm64

import (
	"fmt"
	"slices"
	"strings"
)

// Colour conversions, to the bit those of package preprocess's colour.go, whose fixed
// point has 16 fractional bits and factors of up to 18. A factor is 65536 times some
// integer and a rest that 16 bits hold, or a few times one: what is whole is added after
// the shift, which is the same.

// ycc writes yccNEON: groups of 16 pixels of JFIF's colours.
//
//	r = y + round(91881/65536·(cr-128))
//	g = y + round((-22554·(cb-128) - 46802·(cr-128))/65536)
//	b = y + round(116130/65536·(cb-128))
//
// Red's and blue's terms are round(2·(c-128)·k/32768), for which 22971 and 29033 give all
// 256 results of the definition.
func (g gen) ycc() {
	const luma, cb, cr, factors, centre = 0, 1, 2, 15, 14
	g.Func("yccNEON", 40, "(dst, luma, cb, cr *byte, groups int)")
	g.arguments("dst", "luma", "cb", "cr", "groups")
	g.halves(factors, "ycc", 22971, -22554, -23401, 29033)
	g.moviBytes(centre, 128)
	g.Op("PCALIGN", 16)
	g.Label("convert")
	g.Op("VLD1.P", "16(R1)", list(luma, 1, "B16"))
	g.Op("VLD1.P", "16(R2)", list(cb, 1, "B16"))
	g.Op("VLD1.P", "16(R3)", list(cr, 1, "B16"))
	g.usubl(3, cb, centre)
	g.usubl(5, cr, centre)
	for i := range 2 {
		g.byHalf("smull", 20+2*i, 3+i, factors, 1)
		g.byHalf("smull2", 21+2*i, 3+i, factors, 1)
		g.shift("shl h", 5+i, 5+i, 1)
		g.shift("shl h", 3+i, 3+i, 1)
		g.byHalf("smlal", 20+2*i, 5+i, factors, 2)
		g.byHalf("smlal2", 21+2*i, 5+i, factors, 2)
		g.byHalf("sqrdmulh", 16+i, 5+i, factors, 0)
		g.byHalf("sqrdmulh", 24+i, 3+i, factors, 3)
		g.v("rshrn 16", 20+i, 20+2*i)
		g.v("rshrn2 16", 20+i, 21+2*i)
	}
	for c, terms := range []int{16, 20, 24} {
		g.v("uaddw", terms, terms, luma)
		g.v("uaddw2", terms+1, terms+1, luma)
		g.v("sqxtun", 28+c, terms)
		g.v("sqxtun2", 28+c, terms+1)
	}
	g.Op("VST3.P", list(28, 3, "B16"), "48(R0)")
	g.Op("SUBS", 1, "R4")
	g.Op("BNE", "convert")
	g.Op("RET")
}

// grey writes greyNEON: groups of 16 pixels whose channels are equal.
func (g gen) grey() {
	g.Func("greyNEON", 24, "(dst, src *byte, groups int)")
	g.arguments("dst", "src", "groups")
	g.Label("spread")
	g.Op("VLD1.P", "16(R1)", list(0, 1, "B16"))
	g.move(1, 0)
	g.move(2, 0)
	g.Op("VST3.P", list(0, 3, "B16"), "48(R0)")
	g.Op("SUBS", 1, "R2")
	g.Op("BNE", "spread")
	g.Op("RET")
}

// usubl makes two registers the halves n - m of bytes.
func (g gen) usubl(d, n, m int) {
	g.v("usubl", d, n, m)
	g.v("usubl2", d+1, n, m)
}

// studioBytes are the registers that a conversion of BT.601's limited range finds its
// samples in: 16 even pixels, 16 odd ones, and the chroma of both.
type studioBytes struct{ even, odd, u, v int }

// Its other registers: constants, and each channel's terms of chroma, four of each.
const (
	studioFactors, studioCentre, studioBlack = 15, 14, 13
	studioRed, studioGreen, studioBlue       = 16, 20, 24
)

// studio writes a conversion of groups of 32 pixels, of which two share their chroma. load
// reads the samples; sources are what they are called.
//
//	r = (76309·(y-16)                  + 104597·(v-128) + half) >> 16
//	g = (76309·(y-16) -  25675·(u-128) -  53279·(v-128) + half) >> 16
//	b = (76309·(y-16) + 132201·(u-128)                  + half) >> 16
func (g gen) studio(name string, in studioBytes, load func(), sources ...string) {
	names := slices.Concat([]string{"dst"}, sources, []string{"groups"})
	g.Func(name, 8*len(names), "("+strings.Join(names[:len(names)-1], ", ")+" *byte, groups int)")
	g.arguments(names...)
	g.halves(studioFactors, "studio", 76309-65536, 26149, -13320, -25675, 16525)
	g.moviBytes(studioBlack, 16)
	g.moviBytes(studioCentre, 128)
	g.Op("PCALIGN", 16)
	g.Label("convert")
	load()
	g.studioChroma(in.u, in.v)
	g.studioLuma(in.even, 28)
	g.studioLuma(in.odd, 10)
	for c := range 3 {
		g.v("zip1 b", c, 28+c, 10+c)
		g.v("zip2 b", 3+c, 28+c, 10+c)
	}
	g.Op("VST3.P", list(0, 3, "B16"), "48(R0)")
	g.Op("VST3.P", list(3, 3, "B16"), "48(R0)")
	g.Op("SUBS", 1, fmt.Sprintf("R%d", len(names)-1))
	g.Op("BNE", "convert")
	g.Op("RET")
}

// studioChroma makes each channel's term of 16 chroma samples.
func (g gen) studioChroma(fromU, fromV int) {
	const u, v = 0, 2
	g.usubl(u, fromU, studioCentre)
	g.usubl(v, fromV, studioCentre)
	for i := range 2 {
		const u8, v4 = 4, 5
		red, green, blue := studioRed+2*i, studioGreen+2*i, studioBlue+2*i
		g.shift("shl h", v4, v+i, 2)
		g.shift("shl h", u8, u+i, 3)
		for half, two := range []string{"", "2"} { // 4·26149 + 1, -4·13320 + 1, 8·16525 + 1
			g.byHalf("smull"+two, red+half, v4, studioFactors, 1)
			g.byHalf("smull"+two, green+half, v4, studioFactors, 2)
			g.byHalf("smull"+two, blue+half, u8, studioFactors, 4)
			g.byHalf("smlal"+two, green+half, u+i, studioFactors, 3)
			g.v("saddw"+two, red+half, red+half, v+i)
			g.v("saddw"+two, green+half, green+half, v+i)
			g.v("saddw"+two, blue+half, blue+half, u+i)
		}
	}
}

// studioLuma makes the bytes of three channels, in registers from to on, of 16 lumas.
func (g gen) studioLuma(luma, to int) {
	const y, rest = 0, 2 // 0 and 1; 2 to 5
	g.usubl(y, luma, studioBlack)
	for i := range 2 {
		g.byHalf("smull", rest+2*i, y+i, studioFactors, 0)
		g.byHalf("smull2", rest+2*i+1, y+i, studioFactors, 0)
	}
	for c, terms := range []int{studioRed, studioGreen, studioBlue} {
		low, high := to+c, luma // the lumas are not needed any more
		g.v("raddhn", low, rest, terms)
		g.v("raddhn2", low, rest+1, terms+1)
		g.v("raddhn", high, rest+2, terms+2)
		g.v("raddhn2", high, rest+3, terms+3)
		g.v("add h", low, low, y)
		g.v("add h", high, high, y+1)
		g.v("sqxtun", low, low)
		g.v("sqxtun2", low, high)
	}
}

func (g gen) colours() string {
	g.grey()
	g.ycc()
	interleaved, planes := studioBytes{even: 6, u: 7, odd: 8, v: 9}, studioBytes{even: 6, odd: 7, u: 8, v: 9}
	g.studio("yuyvNEON", interleaved, func() { g.Op("VLD4.P", "64(R1)", list(6, 4, "B16")) }, "line")
	g.studio("nv12NEON", planes, func() {
		g.Op("VLD2.P", "32(R1)", list(6, 2, "B16"))
		g.Op("VLD2.P", "32(R2)", list(8, 2, "B16"))
	}, "luma", "uv")
	g.studio("i420NEON", planes, func() {
		g.Op("VLD2.P", "32(R1)", list(6, 2, "B16"))
		g.Op("VLD1.P", "16(R2)", list(8, 1, "B16"))
		g.Op("VLD1.P", "16(R3)", list(9, 1, "B16"))
	}, "luma", "u", "v")
	return g.String()
}
