//go:build !purego

package avx512

import "dynvit/backends/internal/host"

// convertPairs writes bfloat16, two to a word.
func convertPairs(dst []uint32, src []float32, stride, rows, cols int, _ []float32, _ []int32) {
	if rows > 0 && cols > 0 {
		_, _ = dst[rows*((cols+1)/2)-1], src[(rows-1)*stride+cols-1]
		rowsBF16(&dst[0], &src[0], stride, rows, cols)
	}
}

// convertInt16 writes codes less their zero point as int16, two to a word.
func convertInt16(dst []uint32, src []float32) (scale float32, zero int32) {
	scale, inverse, zero := host.ScaleOf(rowRange, src)
	_ = dst[(len(src)-1)/2]
	dst[len(dst)-1] = 0
	codes16(&dst[0], &src[0], len(src), inverse, 255-zero)
	return scale, 0
}
