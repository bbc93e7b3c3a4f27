//go:build !purego

package avx512

import (
	"fmt"
	"time"

	"github.com/klauspost/cpuid/v2"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

// The tile: 14 rows by two vectors keep 28 sums in registers and leave four for
// operands.
const (
	tileRows = 14
	tileCols = 2 * lanes
	lanes    = 16 // words of a vector
)

func open(o backends.Options) (backends.Backend, error) {
	k, why := table(o)
	return host.Open(backends.AVX512, k, why, o)
}

// table is what this processor does best without the disabled features.
func table(o backends.Options) (host.Kernels, string) {
	var products [4]host.Product
	products[backends.F32] = product(1, nil, packRowsF32, mulF32Checked)
	products[backends.F16] = product(1, host.EachRound(convertF16), packRowsF16, mulF32Checked)
	p := peaks{f32: peakF32}
	bf16Why := p.pickBF16(&products[backends.BF16], host.Require(o, cpuid.AVX512BF16) == nil)
	int8Why := p.pickInt8(&products[backends.Int8], host.Require(o, cpuid.AVX512VNNI) == nil)
	return host.Kernels{
		Precisions: p.order(),
		Products:   products,
		Softmax:    softmax,
		GELU:       gelu,
		Norm:       norm,
		Divide:     divide,
		Peak:       p.peak,
	}, bf16Why + ", " + int8Why
}

// product is one of operands in float32 or bfloat16; int8's has a header, see packInt8.
func product(group int, convert func([]uint32, []float32, int, int, int, []float32, []int32),
	rows func([]uint32, []float32, int, int, int), mul func(*host.Call)) host.Product {
	return host.Product{Rows: tileRows, Cols: tileCols, Group: group, Convert: convert, Pack: pack, PackRows: rows, Mul: mul,
		PanelWords: func(in int) int { return (in + group - 1) / group * tileCols }}
}

// peaks holds the register-only loops of what was picked.
type peaks struct {
	f32, bf16, int8 func(n int) float32
	perWord         [4]float64 // multiply-adds of a word, by precision
}

// pickBF16 takes VDPBF16PS where it is there and faster than float32's multiply-adds.
func (p *peaks) pickBF16(k *host.Product, supported bool) (why string) {
	*k, p.bf16 = product(1, host.EachRound(convertBF16), packRowsRounded, mulF32Checked), peakF32
	p.perWord = [4]float64{backends.F32: 1, backends.BF16: 1, backends.F16: 1}
	if !supported {
		return "bf16 by FMA: no AVX512_BF16"
	}
	ratio := 2 * rate(peakBF16) / rate(peakF32)
	if ratio < worthwhile {
		return fmt.Sprintf("bf16 by FMA: VDPBF16PS measured at %.2f times its rate", ratio)
	}
	*k, p.bf16 = product(2, convertPairs, packRowsPairs, mulBF16Checked), peakBF16
	k.PackPairs, k.Pairs = packPairsOf, true
	p.perWord[backends.BF16] = 2
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

func (p *peaks) pickInt8(k *host.Product, vnni bool) (why string) {
	if vnni {
		*k, p.int8, p.perWord[backends.Int8] = product(4, convertInt8, nil, mulInt8Checked), peakInt8, 4
		k.Pack, k.Pairs = packInt8, true
		why = "int8 by VPDPBUSD"
	} else {
		*k, p.int8, p.perWord[backends.Int8] = product(2, host.EachRow(2, 0, convertInt16), nil, mulInt16Checked), peakInt16, 2
		k.Pack = packInt16
		why = "int8 by VPMADDWD: no AVX512_VNNI"
	}
	k.Codes, k.PanelWords = true, func(in int) int { return (1 + k.Words(in)) * tileCols }
	return why
}

// order puts the fastest first.
func (p *peaks) order() []backends.Precision {
	if p.perWord[backends.BF16] > 1 {
		return []backends.Precision{backends.Int8, backends.BF16, backends.F32, backends.F16}
	}
	return []backends.Precision{backends.Int8, backends.F32, backends.BF16, backends.F16}
}

// peakSums is how many vectors of sums a round of the loops adds to.
const peakSums = 12

func (p *peaks) peak(precision backends.Precision, n int) (operations, checksum float64) {
	loop := p.f32
	switch precision {
	case backends.BF16:
		loop = p.bf16
	case backends.Int8:
		loop = p.int8
	}
	return 2 * peakSums * lanes * p.perWord[precision] * float64(n), float64(loop(n))
}
