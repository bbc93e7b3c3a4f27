//go:build !purego

package avx2

import (
	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

const (
	lanes    = 8 // words of a vector
	tileCols = 2 * lanes
	sumStep  = 8 // numbers that the kernels of sums take at a time
)

// Tiles' heights that kernels are written for: 6 rows by two vectors keep 12 sums in
// registers and leave four for operands, mulInt16's 4 rows eight. Others gain nothing
// (docs/performance.md).
var (
	heights      = []int{1, 5, 6}
	heightsInt16 = []int{1, 4}
)

// common is what every processor with AVX2 runs.
var common = host.Assembly{
	Lanes: lanes, Heights: heights,
	Rows: host.Rows{
		Softmax: softmaxRows, GELU: geluRows, Norm: normRows, Divide: divideRows,
		Add: addRow, AddHeads: addHeads, Receive: receiveRow, Step: sumStep,
	},
	Packing: host.Packing{Lanes: lanes, Transpose: transpose, Rows: packRows},
	MulF32:  mulF32, PeakF32: peakF32, RoundBF16: roundBF16, RoundF16: roundF16,
}

func open(o backends.Options) (backends.Backend, error) {
	k, why := table(o)
	return host.Open(backends.AVX2, k, why, o)
}

// table is what this processor does best without the disabled features.
func table(o backends.Options) (host.Kernels, string) {
	t := common.Table()
	t.Products[backends.BF16].Kept = host.Halved(t.Products[backends.BF16], widenBF16)
	why := pickInt8(t, host.Require(o, cpuid.AVXVNNI) == nil)
	return t.Kernels, why
}

// pickInt8 takes VPDPBUSD where it is there.
func pickInt8(t *host.Table, vnni bool) (why string) {
	p := host.Product{Cols: tileCols, Codes: true}
	const perWord = 4 // of mulInt16, by Winograd, too
	if !vnni {
		p.Heights, p.Group, p.Lead, p.First = heightsInt16, 2, 1, crossed
		p.Convert = host.EachRow(2, 1, convertInt16)
		t.Carry(backends.Int8, host.Narrow(p, mulInt16, widen), peakInt16, perWord)
		return "int8 by VPMADDWD: no AVX-VNNI"
	}
	p.Heights, p.Group = heights, 4
	p.Convert, p.Pack = host.EachRow(4, 0, convertInt8), host.Headed(tileCols, common.Packing.Pack)
	t.Carry(backends.Int8, host.Checked(p, 1, mulInt8), peakInt8, perWord)
	return "int8 by VPDPBUSD"
}
