//go:build !purego

package neon

import "dynvit/backends/internal/host"

// convertPairs writes bfloat16, two to a word.
func convertPairs(dst []uint32, src []float32, stride, rows, cols int, _ []float32, _ []int32) {
	words := (cols + 1) / 2
	for r := range rows {
		pairsOf(dst[r*words:][:words], src[r*stride:][:cols])
	}
}

// convertHalves writes halves likewise.
func convertHalves(dst []uint32, src []float32, stride, rows, cols int, _ []float32, _ []int32) {
	words := (cols + 1) / 2
	for r := range rows {
		halvesOf(dst[r*words:][:words], src[r*stride:][:cols])
	}
}

// halvesOf is convertHalves of one row.
func halvesOf(dst []uint32, src []float32) {
	whole := len(src) / 8 * 8
	if whole > 0 {
		_ = dst[whole/2-1]
		pairsF16(&dst[0], &src[0], whole)
	}
	if whole < len(src) {
		var last [8]float32
		var words [4]uint32
		copy(last[:], src[whole:])
		pairsF16(&words[0], &last[0], len(last))
		copy(dst[whole/2:], words[:])
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
		w := host.BF16(src[i])
		if i+1 < len(src) {
			w |= host.BF16(src[i+1]) << 16
		}
		dst[i/2] = w
	}
}
