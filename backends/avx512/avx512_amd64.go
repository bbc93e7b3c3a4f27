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
)

// Tiles' heights that kernels are written for: 14 rows by two vectors keep 28 sums in
// registers and leave four for operands. Others gain nothing (docs/performance.md).
var (
	heights      = []int{1, 4, 13, 14}
	heightsInt16 = []int{1, 4, 14}
)

// Kernels that the instruction sets have in common.
var (
	rowKernels = host.Rows{Softmax: softmaxRows, GELU: geluRows, Norm: normRows, Divide: divideRows}
	packing    = host.Packing{Lanes: lanes, Transpose: transpose, Rows: packRows}
)

func open(o backends.Options) (backends.Backend, error) {
	k, why := table(o)
	return host.Open(backends.AVX512, k, why, o)
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
	bf16Why := pickBF16(&k, &peaks, host.Require(o, cpuid.AVX512BF16) == nil)
	int8Why := pickInt8(&k, &peaks, host.Require(o, cpuid.AVX512VNNI) == nil)
	rowKernels.In(&k)
	k.Peak = peaks.Peak
	return k, bf16Why + ", " + int8Why
}

// floats completes a product of operands in float32.
func floats(p host.Product) host.Product {
	p.Heights, p.Cols, p.Group, p.Pack = heights, tileCols, 1, packing.Pack
	return host.Checked(p, 0, mulF32)
}

func rounded(r host.Rounding) host.Product {
	return floats(host.Product{Convert: r.Convert, PackRows: r.PackRows(tileCols)})
}

// pickBF16 takes VDPBF16PS where it is there and faster than float32's multiply-adds,
// and puts bf16 ahead of f32 then.
func pickBF16(k *host.Kernels, peaks *host.Peaks, supported bool) (why string) {
	if !supported {
		return "bf16 by FMA: no AVX512_BF16"
	}
	ratio := 2 * rate(peakBF16) / rate(peakF32)
	if ratio < worthwhile {
		return fmt.Sprintf("bf16 by FMA: VDPBF16PS measured at %.2f times its rate", ratio)
	}
	k.Products[backends.BF16] = host.Checked(host.Product{
		Heights: heights, Cols: tileCols, Group: 2, Pairs: true,
		Convert: convertPairs, Pack: packing.Pack, PackRows: packRowsPairs, PackPairs: packPairsOf,
	}, 0, mulBF16)
	peaks.Loops[backends.BF16], peaks.PerWord[backends.BF16] = peakBF16, 2
	k.Precisions = []backends.Precision{backends.Int8, backends.BF16, backends.F32, backends.F16}
	return fmt.Sprintf("bf16 by VDPBF16PS: %.2f times the rate of FMA", ratio)
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

// pickInt8 takes VPDPBUSD where it is there. Panels begin with a word an output that its
// sums start from.
func pickInt8(k *host.Kernels, peaks *host.Peaks, vnni bool) (why string) {
	p := host.Product{Heights: heights, Cols: tileCols, Codes: true}
	if !vnni {
		p.Heights, p.Group = heightsInt16, 2
		p.Convert, p.Pack = host.EachRow(2, 0, convertInt16), packing.PackInt16
		k.Products[backends.Int8] = host.Checked(p, 1, mulInt16)
		peaks.Loops[backends.Int8], peaks.PerWord[backends.Int8] = peakInt16, 2
		return "int8 by VPMADDWD: no AVX512_VNNI"
	}
	p.Group, p.Convert, p.Pack, p.Pairs = 4, convertInt8, packing.PackInt8, true
	k.Products[backends.Int8] = host.Checked(p, 1, mulInt8)
	peaks.Loops[backends.Int8], peaks.PerWord[backends.Int8] = peakInt8, 4
	return "int8 by VPDPBUSD"
}
