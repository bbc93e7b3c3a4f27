package arm64

// Heights of tiles, as package neon's Go code lists them.
var (
	heights     = []int{1, 4, 5, 6}
	heightsLong = []int{1, 4, 5}
	heightsHalf = []int{1, 3, 4}
)

// NEON is the files of package neon by name, as made by command.
func NEON(command string) map[string]string {
	return map[string]string{
		"product_arm64.s": products(newGen(command, "go_asm.h")),
		"rows_arm64.s":    rows(newGen(command)),
		"pack_arm64.s":    packing(newGen(command)),
		"peak_arm64.s":    peaks(newGen(command)),
	}
}

func products(g gen) string {
	g.product(product{name: "mulF32", heights: heights, layout: element{gen.fmla}})
	g.product(product{name: "mulDot", heights: heights, layout: element{gen.sdot}, codes: true})
	g.product(product{name: "mulMatrix", heights: heights, layout: matrix{"smmla"}, codes: true, pairs: true})
	g.product(product{name: "mulMatrixBF16", heights: heights, layout: matrix{"bfmmla"}, pairs: true})
	g.product(product{name: "mulWidening", heights: heights, layout: widening{}})
	g.product(product{name: "mulHalfSums", heights: heightsHalf, layout: halfSums{}})
	g.product(product{name: "mulLong", heights: heightsLong, layout: long{}, codes: true})
	return g.String()
}

func rows(g gen) string {
	g.softmax()
	g.gelu()
	g.norm()
	g.divide()
	g.addRow()
	g.addHeads()
	g.receiveRow()
	g.rowsInt8()
	g.pairsBF16()
	g.roundBF16()
	g.pairsF16()
	return g.String()
}

func packing(g gen) string {
	g.transpose()
	g.packRows()
	g.packBlocks()
	g.packPairs()
	g.packRowsBF16()
	g.packRowsF16()
	g.splitPairs()
	return g.String()
}

func peaks(g gen) string {
	g.peaks()
	return g.String()
}
