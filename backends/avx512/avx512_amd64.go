//go:build !purego

package avx512

import (
	"fmt"
	"time"

	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

const (
	lanes    = 16 // words of a vector
	tileCols = 2 * lanes
	sumStep  = 8 // numbers that the kernels of sums take at a time
)

// Tiles' heights that kernels are written for: 14 rows by two vectors keep 28 sums in
// registers and leave four for operands. Others gain nothing (docs/performance.md).
var (
	heights      = []int{1, 4, 13, 14}
	heightsInt16 = []int{1, 4, 14}
)

// common is what every processor with AVX-512 runs.
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
	k, why := table(o, detect(o))
	return host.Open(backends.AVX512, k, why, o)
}

// table is what this processor does best without the disabled features.
func table(o backends.Options, a matrix) (host.Kernels, string) {
	t := common.Table()
	bf16Why := pickBF16(t, host.Require(o, cpuid.AVX512BF16) == nil, a.bf16)
	int8Why := pickInt8(t, host.Require(o, cpuid.AVX512VNNI) == nil, a.int8)
	return t.Kernels, bf16Why + ", " + int8Why + a.why
}

// pickBF16 takes tiles, or VDPBF16PS where it is there and faster than float32's
// multiply-adds, and puts bf16 ahead of f32 then.
func pickBF16(t *host.Table, supported, tiles bool) (why string) {
	if !supported {
		return "bf16 by FMA: no AVX512_BF16"
	}
	p := host.Product{
		Heights: heights, Cols: tileCols, Group: 2, Pairs: true,
		Convert: convertPairs, Pack: common.Packing.Pack, PackRows: packRowsPairs, PackPairs: packPairsOf,
	}
	if tiles {
		p.Heights, p.Beside = heightsTiles, true
		t.Carry(backends.BF16, host.Checked(p, 0, mulTilesBF16), peakTilesBF16, 2*vectorsOfTiles)
		why = "bf16 by TDPBF16PS"
	} else {
		ratio := 2 * rate(peakBF16) / rate(peakF32)
		if ratio < worthwhile {
			return fmt.Sprintf("bf16 by FMA: VDPBF16PS measured at %.2f times its rate", ratio)
		}
		t.Carry(backends.BF16, host.Checked(p, 0, mulBF16), peakBF16, 2)
		why = fmt.Sprintf("bf16 by VDPBF16PS: %.2f times the rate of FMA", ratio)
	}
	t.Precisions = []backends.Precision{backends.Int8, backends.BF16, backends.F32, backends.F16}
	return why
}

// worthwhile is how much faster than FMA the dot product must be. Measured were 2.0
// (Zen 4 and 5) and 0.5 (Sapphire Rapids): nothing near it.
const worthwhile = 1.1

// rate is rounds a second at best, measured for a millisecond.
func rate(loop func(n int) float32) float64 {
	best := 0.0
	for start := time.Now(); time.Since(start) < time.Millisecond; {
		const n = 2000 // some 7 µs
		before := time.Now()
		loop(n)
		best = max(best, n/time.Since(before).Seconds())
	}
	return best
}

// pickInt8 takes tiles, or VPDPBUSD where it is there. Panels begin with a word an output that
// its sums start from.
func pickInt8(t *host.Table, vnni, tiles bool) (why string) {
	p := host.Product{Heights: heights, Cols: tileCols, Codes: true}
	if !vnni {
		p.Heights, p.Group = heightsInt16, 2
		p.Convert = host.EachRow(2, 0, convertInt16)
		t.Carry(backends.Int8, host.Narrow(p, mulInt16, widen), peakInt16, 2)
		return "int8 by VPMADDWD: no AVX512_VNNI"
	}
	p.Group, p.Pairs = 4, true
	p.Convert, p.Pack = host.Quantising(rowsInt8).Convert, host.Headed(tileCols, common.Packing.Pack)
	if tiles {
		p.Heights, p.Beside = heightsTiles, true
		t.Carry(backends.Int8, host.Checked(p, 1, mulTilesInt8), peakTilesInt8, 4*vectorsOfTiles)
		return "int8 by TDPBUSD"
	}
	t.Carry(backends.Int8, host.Checked(p, 1, mulInt8), peakInt8, 4)
	return "int8 by VPDPBUSD"
}
