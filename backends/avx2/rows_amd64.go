//go:build !purego

package avx2

import (
	"math"

	"dynvit/backends/internal/host"
)

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
func codes8(dst *uint32, src *float32, n int, inverse float32, zero int32)

//go:noescape
func codes16(dst *uint32, src *float32, n int, inverse float32, most int32) (crossed int32)

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
func convertInt8(dst []uint32, src []float32) (scale float32, zero int32) {
	scale, inverse, zero := codeScale(src)
	bytes := host.Bytes(dst)
	whole := len(src) / lanes * lanes
	_ = bytes[:whole]
	codes8(&dst[0], &src[0], whole, inverse, zero)
	clear(bytes[whole:])
	for i, v := range src[whole:] {
		bytes[whole+i] = int8(min(code(v, inverse)+zero, 255))
	}
	return scale, zero
}

// convertInt16 writes codes less their zero point as int16, two to a word, behind what
// mulInt16 is to add to the row's sums.
func convertInt16(dst []uint32, src []float32) (scale float32, zero int32) {
	scale, inverse, zero := codeScale(src)
	codes := dst[1:]
	codes[len(codes)-1] = 0
	whole := len(src) / lanes * lanes
	_ = codes[:whole/2]
	first := -codes16(&codes[0], &src[0], whole, inverse, 255-zero)
	for i := whole; i < len(src); i++ {
		shift := i % 2 * 16
		q := min(code(src[i], inverse), 255-zero)
		codes[i/2] = codes[i/2]&^(0xffff<<shift) | uint32(uint16(q))<<shift
	}
	dst[0] = uint32(first) + crossed(codes[whole/2:])
	return scale, 0
}

// crossed is what mulInt16 is to add to the sums of a row: minus the products of each two
// words' codes.
func crossed(codes []uint32) uint32 {
	var sum int32
	for i := 0; i+1 < len(codes); i += 2 {
		a, b := codes[i], codes[i+1]
		sum += int32(int16(a))*int32(int16(b)) + int32(a)>>16*(int32(b)>>16)
	}
	return uint32(-sum)
}

// code is what the assembly computes.
func code(v, inverse float32) int32 { return int32(math.RoundToEven(float64(v * inverse))) }

func codeScale(src []float32) (scale, inverse float32, zero int32) {
	most, least := rowRange(&src[0], len(src))
	return host.CodeScale(host.RangeOf(int32(most), least))
}
