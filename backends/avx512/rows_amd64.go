//go:build !purego

package avx512

import "dynvit/backends/internal/host"

//go:noescape
func softmaxRows(s *float32, stride, rows, n int, scale float32, total *float32)

//go:noescape
func geluRows(x *float32, stride, rows, cols int)

//go:noescape
func normRows(dst, x, gamma, beta *float32, rows, n int, inverseN, eps float32)

//go:noescape
func divideRows(dst *float32, dstStride int, src *float32, srcStride, rows, cols int, total *float32)

//go:noescape
func rowRange(src *float32, n int) (most, least uint32)

//go:noescape
func rowsInt8(dst *uint32, src *float32, stride, rows, n int, scale *float32, zero *int32)

//go:noescape
func codes16(dst *uint32, src *float32, n int, inverse float32, most int32)

//go:noescape
func rowsBF16(dst *uint32, src *float32, stride, rows, n int)

//go:noescape
func roundBF16(dst *uint32, src *float32, n int)

//go:noescape
func roundF16(dst *uint32, src *float32, n int)

// The entries of host.Kernels, checked.

func softmax(s []float32, stride, rows, n int, scale float32, total []float32) {
	if rows > 0 && n > 0 {
		_, _ = s[(rows-1)*stride+n-1], total[rows-1]
		softmaxRows(&s[0], stride, rows, n, scale, &total[0])
	}
}

func gelu(x []float32, stride, rows, cols int) {
	if rows > 0 && cols > 0 {
		_ = x[(rows-1)*stride+cols-1]
		geluRows(&x[0], stride, rows, cols)
	}
}

func norm(dst, x, gamma, beta []float32, rows int, eps float32) {
	if n := len(gamma); n > 0 && rows > 0 {
		_, _, _ = dst[rows*n-1], x[rows*n-1], beta[n-1]
		normRows(&dst[0], &x[0], &gamma[0], &beta[0], rows, n, 1/float32(n), eps)
	}
}

func divide(dst []float32, dstStride int, src []float32, srcStride, rows, cols int, total []float32) {
	if rows > 0 && cols > 0 {
		_, _, _ = dst[(rows-1)*dstStride+cols-1], src[(rows-1)*srcStride+cols-1], total[rows-1]
		divideRows(&dst[0], dstStride, &src[0], srcStride, rows, cols, &total[0])
	}
}

// convertPairs writes bfloat16, two to a word.
func convertPairs(dst []uint32, src []float32, stride, rows, cols int, _ []float32, _ []int32) {
	if rows > 0 && cols > 0 {
		_, _ = dst[rows*((cols+1)/2)-1], src[(rows-1)*stride+cols-1]
		rowsBF16(&dst[0], &src[0], stride, rows, cols)
	}
}

// convertBF16 and convertF16 round operands that stay float32.
func convertBF16(dst []uint32, src []float32) {
	if n := len(src); n > 0 {
		_ = dst[n-1]
		roundBF16(&dst[0], &src[0], n)
	}
}

func convertF16(dst []uint32, src []float32) {
	if n := len(src); n > 0 {
		_ = dst[n-1]
		roundF16(&dst[0], &src[0], n)
	}
}

// convertInt8 writes codes, four to a word.
func convertInt8(dst []uint32, src []float32, stride, rows, cols int, scale []float32, zero []int32) {
	if rows > 0 && cols > 0 {
		_, _, _, _ = dst[rows*((cols+3)/4)-1], src[(rows-1)*stride+cols-1], scale[rows-1], zero[rows-1]
		rowsInt8(&dst[0], &src[0], stride, rows, cols, &scale[0], &zero[0])
	}
}

// convertInt16 writes codes less their zero point as int16, two to a word.
func convertInt16(dst []uint32, src []float32) (scale float32, zero int32) {
	most, least := rowRange(&src[0], len(src))
	scale, inverse, zero := host.CodeScale(host.RangeOf(int32(most), least))
	_ = dst[(len(src)-1)/2]
	dst[len(dst)-1] = 0
	codes16(&dst[0], &src[0], len(src), inverse, 255-zero)
	return scale, 0
}
