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
)

// Tiles' heights that kernels are written for: 6 rows by two vectors keep 12 sums in
// registers and leave four for operands, mulInt16's 4 rows eight. Others gain nothing
// (docs/performance.md).
var (
	heights      = []int{1, 5, 6}
	heightsInt16 = []int{1, 4}
)

// Kernels that the instruction sets have in common.
var (
	rowKernels = host.Rows{Softmax: softmaxRows, GELU: geluRows, Norm: normRows, Divide: divideRows}
	packing    = host.Packing{Lanes: lanes, Transpose: transpose, Rows: packRows}
)

func open(o backends.Options) (backends.Backend, error) {
	k, why := table(o)
	return host.Open(backends.AVX2, k, why, o)
}

// table is what this processor does best without the disabled features.
func table(o backends.Options) (host.Kernels, string) {
	k := host.Kernels{Precisions: []backends.Precision{backends.Int8, backends.F32, backends.BF16, backends.F16}}
	peaks := host.Peaks{Lanes: lanes}
	for p := range k.Products {
		peaks.Loops[p], peaks.PerWord[p] = peakF32, 1
	}
	k.Products[backends.F32] = floats(host.Product{PackRows: packing.PackRows})
	k.Products[backends.BF16] = rounded(roundBF16)
	k.Products[backends.F16] = rounded(roundF16)
	why := pickInt8(&k, &peaks, host.Require(o, cpuid.AVXVNNI) == nil)
	rowKernels.In(&k)
	k.Peak = peaks.Peak
	return k, why
}

// floats completes a product of operands in float32.
func floats(p host.Product) host.Product {
	p.Heights, p.Cols, p.Group, p.Pack = heights, tileCols, 1, packing.Pack
	return host.Checked(p, 0, mulF32)
}

func rounded(r host.Rounding) host.Product {
	return floats(host.Product{Convert: r.Convert, PackRows: r.PackRows(tileCols)})
}

// pickInt8 takes VPDPBUSD where it is there.
func pickInt8(k *host.Kernels, peaks *host.Peaks, vnni bool) (why string) {
	p := host.Product{Cols: tileCols, Codes: true}
	peaks.PerWord[backends.Int8] = 4 // of mulInt16, by Winograd, too
	if !vnni {
		p.Heights, p.Group, p.Lead, p.First = heightsInt16, 2, 1, crossed
		p.Convert, p.Pack = host.EachRow(2, 1, convertInt16), packing.Pack
		k.Products[backends.Int8] = host.Checked(p, 0, mulInt16)
		peaks.Loops[backends.Int8] = peakInt16
		return "int8 by VPMADDWD: no AVX-VNNI"
	}
	p.Heights, p.Group = heights, 4
	p.Convert, p.Pack = host.EachRow(4, 0, convertInt8), packing.PackInt8
	k.Products[backends.Int8] = host.Checked(p, 1, mulInt8)
	peaks.Loops[backends.Int8] = peakInt8
	return "int8 by VPDPBUSD"
}
