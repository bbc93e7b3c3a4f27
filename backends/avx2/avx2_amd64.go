//go:build !purego

package avx2

import (
	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

// The tile: 6 rows by two vectors keep 12 sums in registers and leave four for
// operands, 4 rows eight.
const (
	tileRows    = 6
	crossedRows = 4 // mulInt16's
	tileCols    = 2 * lanes
	lanes       = 8 // words of a vector
)

func open(o backends.Options) (backends.Backend, error) {
	k, why := table(o)
	return host.Open(backends.AVX2, k, why, o)
}

// table is what this processor does best without the disabled features.
func table(o backends.Options) (host.Kernels, string) {
	var products [4]host.Product
	products[backends.F32] = product(nil, packRowsF32)
	products[backends.BF16] = product(host.EachRound(convertBF16), packRowsBF16)
	products[backends.F16] = product(host.EachRound(convertF16), packRowsF16)
	p, why := int8Product(host.Require(o, cpuid.AVXVNNI) == nil, &products[backends.Int8])
	return host.Kernels{
		Precisions: []backends.Precision{backends.Int8, backends.F32, backends.BF16, backends.F16},
		Products:   products,
		Softmax:    softmax,
		GELU:       gelu,
		Norm:       norm,
		Divide:     divide,
		Peak:       p.peak,
	}, why
}

func product(convert func([]uint32, []float32, int, int, int, []float32, []int32), rows func([]uint32, []float32, int, int, int)) host.Product {
	return host.Product{Rows: tileRows, Cols: tileCols, Group: 1, Convert: convert, Pack: pack, PackRows: rows, Mul: mulF32Checked,
		PanelWords: func(in int) int { return in * tileCols }}
}

func int8Product(vnni bool, k *host.Product) (p peaks, why string) {
	if vnni {
		*k = host.Product{Rows: tileRows, Cols: tileCols, Group: 4, Codes: true, Convert: host.EachRow(4, 0, convertInt8), Pack: packInt8, Mul: mulInt8Checked,
			PanelWords: func(in int) int { return (1 + k.Words(in)) * tileCols }}
		return peaks{peakInt8, 4}, "int8 by VPDPBUSD"
	}
	*k = host.Product{Rows: crossedRows, Cols: tileCols, Group: 2, Lead: 1, Codes: true, First: crossed,
		Convert: host.EachRow(2, 1, convertInt16), Pack: pack, Mul: mulInt16Checked,
		PanelWords: func(in int) int { return k.Words(in) * tileCols }}
	return peaks{peakInt16, 4}, "int8 by VPMADDWD: no AVX-VNNI"
}

// peaks is the register-only loop of int8, and the multiply-adds that each round of it
// adds to a word of a sum.
type peaks struct {
	int8    func(n int) float32
	perWord float64
}

// peakSums is how many vectors of sums a round of the loops adds to.
const peakSums = 12

func (p peaks) peak(precision backends.Precision, n int) (operations, checksum float64) {
	loop, perWord := peakF32, 1.0
	if precision == backends.Int8 {
		loop, perWord = p.int8, p.perWord
	}
	return 2 * peakSums * lanes * perWord * float64(n), float64(loop(n))
}
