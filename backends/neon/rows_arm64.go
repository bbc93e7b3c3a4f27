//go:build !purego

package neon

import (
	"math"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

// convertInt8 writes codes less 128, four to a word, and their zero point less that.
func convertInt8(dst []uint32, src []float32) (scale float32, zero int32) {
	scale, inverse, zero := host.ScaleOf(rowRange, src)
	zero -= 128
	codes := host.Bytes(dst)
	whole := len(src) / 16 * 16
	if whole > 0 {
		_ = codes[whole-1]
		codes8(&dst[0], &src[0], whole, inverse, zero)
	}
	clear(codes[whole:])
	for i, v := range src[whole:] {
		codes[whole+i] = int8(min(int32(math.RoundToEven(float64(v*inverse)))+zero, 127))
	}
	return scale, zero
}

// convertPairs writes bfloat16, two to a word.
func convertPairs(dst []uint32, src []float32, stride, rows, cols int, _ []float32, _ []int32) {
	words := (cols + 1) / 2
	for r := range rows {
		pairsOf(dst[r*words:][:words], src[r*stride:][:cols])
	}
}

// pairsOf is convertPairs of one row.
func pairsOf(dst []uint32, src []float32) {
	whole := len(src) / 8 * 8
	if whole > 0 {
		_ = dst[whole/2-1]
		pairsBF16(&dst[0], &src[0], whole)
	}
	for i := whole; i < len(src); i += 2 {
		w := half(src[i])
		if i+1 < len(src) {
			w |= half(src[i+1]) << 16
		}
		dst[i/2] = w
	}
}

// half is the bits of x as bfloat16.
func half(x float32) uint32 { return math.Float32bits(backends.RoundBF16(x)) >> 16 }
