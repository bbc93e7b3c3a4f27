package amd64

// The heights of tiles by two vectors of outputs, as the packages' Go code lists them: 14
// rows leave four registers for operands, of 32 with AVX-512; 6 rows of 16 with AVX2, or
// 4 rows eight. Which ones are worth their code was measured (docs/performance.md).
var (
	heights512 = []int{1, 4, 13, 14}
	int16s512  = []int{1, 4, 14}
	heights2   = []int{1, 5, 6}
	int16s2    = []int{1, 4}
)

// AVX512 is the files of package avx512 by name, AVX2 those of avx2, as made by command.
func AVX512(command string) map[string]string {
	return map[string]string{
		"product_amd64.s": products512(newGen(command, true, "go_asm.h")),
		"tile_amd64.s":    tiles(newGen(command, true, "go_asm.h")),
		"rows_amd64.s":    rows(newGen(command, true)),
		"pack_amd64.s":    packing(newGen(command, true)),
		"peak_amd64.s":    peaks512(newGen(command, true)),
	}
}

func AVX2(command string) map[string]string {
	return map[string]string{
		"product_amd64.s": products2(newGen(command, false, "go_asm.h")),
		"rows_amd64.s":    rows(newGen(command, false)),
		"pack_amd64.s":    packing(newGen(command, false)),
		"peak_amd64.s":    peaks2(newGen(command, false)),
	}
}

func products512(g *gen) string {
	g.product(product{name: "mulF32", heights: heights512, dot: dotF32, twoA: true})
	g.product(product{name: "mulBF16", heights: heights512, dot: dotBF16, twoA: true, pairs: true})
	g.product(product{name: "mulInt8", heights: heights512, dot: dotInt8, twoA: true, codes: true, zeros: true, pairs: true})
	g.product(product{name: "mulInt16", heights: int16s512, dot: dotInt16, codes: true, narrow: true})
	return g.String()
}

func tiles(g *gen) string {
	g.tiled(tiled{name: "mulTilesInt8", codes: true, multiply: (*gen).tileInt8, word: wordInt8})
	g.tiled(tiled{name: "mulTilesBF16", multiply: (*gen).tileBF16, word: wordBF16})
	g.peakTiles("peakTilesInt8", (*gen).tileInt8)
	g.peakTiles("peakTilesBF16", (*gen).tileBF16)
	return g.String()
}

func products2(g *gen) string {
	g.product(product{name: "mulF32", heights: heights2, dot: dotF32, twoA: true})
	g.product(product{name: "mulInt8", heights: heights2, dot: dotVEX, twoA: true, codes: true, zeros: true})
	g.product(product{name: "mulInt16", heights: int16s2, dot: dotInt16, codes: true, crossed: true, narrow: true})
	return g.String()
}

func rows(g *gen) string {
	g.softmax()
	g.gelu()
	g.norm()
	g.divide()
	g.add()
	g.addHeads()
	g.receive()
	g.rowRange()
	if g.wide {
		g.codes16()
		g.rowsInt8()
		g.rowsBF16()
	} else {
		g.codes8()
		g.codes16Crossed()
	}
	g.roundBF16()
	g.roundF16()
	return g.String()
}

func packing(g *gen) string {
	g.transpose()
	g.packRows()
	g.widen()
	if g.wide {
		g.packRowsBF16()
		g.packPairs()
	} else {
		g.widenBF16()
	}
	return g.String()
}

func peaks512(g *gen) string {
	g.peak("peakF32", dotF32)
	g.peak("peakBF16", dotBF16)
	g.peak("peakInt8", dotInt8)
	g.peak("peakInt16", dotInt16)
	return g.String()
}

func peaks2(g *gen) string {
	g.peak("peakF32", dotF32)
	g.peak("peakInt8", dotVEX)
	g.peak("peakInt16", dotCrossed)
	return g.String()
}
