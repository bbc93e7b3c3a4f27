//go:build !purego

package avx2

import (
	"math"

	"dynvit/backends/internal/host"
)

//go:noescape
func softmaxRow(s *float32, n int, scale float32) float32

//go:noescape
func geluRows(x *float32, stride, rows, cols int)

//go:noescape
func normRow(dst, x, gamma, beta *float32, n int, inverseN, eps float32)

//go:noescape
func scaleRow(dst, src *float32, n int, factor float32)

//go:noescape
func maxAbs(src *float32, n int) uint32

//go:noescape
func codes8(dst *uint32, src *float32, n int, inverse float32)

//go:noescape
func codes16(dst *uint32, src *float32, n int, inverse float32) (crossed int32)

//go:noescape
func roundBF16(dst *uint32, src *float32, n int)

//go:noescape
func roundF16(dst *uint32, src *float32, n int)

// The entries of host.Kernels, checked.

func softmax(s []float32, scale float32) (total float32) {
	if len(s) == 0 {
		return 0
	}
	return softmaxRow(&s[0], len(s), scale)
}

func gelu(x []float32, stride, rows, cols int) {
	if rows > 0 && cols > 0 {
		_ = x[(rows-1)*stride+cols-1]
		geluRows(&x[0], stride, rows, cols)
	}
}

func norm(dst, x, gamma, beta []float32, eps float32) {
	if n := len(x); n > 0 {
		_, _, _ = dst[n-1], gamma[n-1], beta[n-1]
		normRow(&dst[0], &x[0], &gamma[0], &beta[0], n, 1/float32(n), eps)
	}
}

func scale(dst, src []float32, factor float32) {
	if n := len(src); n > 0 {
		_ = dst[n-1]
		scaleRow(&dst[0], &src[0], n, factor)
	}
}

// convertBF16 and convertF16 round operands that stay float32.
func convertBF16(dst []uint32, src []float32) (scale float32) {
	if n := len(src); n > 0 {
		_ = dst[n-1]
		roundBF16(&dst[0], &src[0], n)
	}
	return 1
}

func convertF16(dst []uint32, src []float32) (scale float32) {
	if n := len(src); n > 0 {
		_ = dst[n-1]
		roundF16(&dst[0], &src[0], n)
	}
	return 1
}

// convertInt8 writes codes plus 128, four to a word: VPDPBUSD multiplies unsigned
// with signed bytes, and panels make up for it (packInt8).
func convertInt8(dst []uint32, src []float32) (scale float32) {
	const zero = -128 // the byte of code 0
	scale, inverse := host.CodeScale(maxAbsOf(src))
	bytes := host.Bytes(dst)
	whole := 0
	if inverse != 0 {
		whole = len(src) / lanes * lanes
		_ = bytes[:whole]
		codes8(&dst[0], &src[0], whole, inverse)
	}
	for i := whole; i < len(bytes); i++ {
		bytes[i] = zero
		if inverse != 0 && i < len(src) {
			bytes[i] = int8(code(src[i], inverse) ^ zero)
		}
	}
	return scale
}

// convertInt16 writes codes as int16, two to a word, behind what mulInt16 is to add to the
// row's sums: minus the products of each two words' codes.
func convertInt16(dst []uint32, src []float32) (scale float32) {
	scale, inverse := host.CodeScale(maxAbsOf(src))
	if inverse == 0 {
		clear(dst)
		return scale
	}
	codes := dst[1:]
	codes[len(codes)-1] = 0
	whole := len(src) / lanes * lanes
	_ = codes[:whole/2]
	crossed := codes16(&codes[0], &src[0], whole, inverse)
	for i := whole; i < len(src); i++ {
		shift := i % 2 * 16
		codes[i/2] = codes[i/2]&^(0xffff<<shift) | uint32(uint16(code(src[i], inverse)))<<shift
	}
	for i := whole / 2; i+1 < len(codes); i += 2 {
		a, b := codes[i], codes[i+1]
		crossed += int32(int16(a))*int32(int16(b)) + int32(a)>>16*(int32(b)>>16)
	}
	dst[0] = uint32(-crossed)
	return scale
}

// code is what the assembly computes: no product exceeds 127 by more than its
// rounding error.
func code(v, inverse float32) int { return int(math.RoundToEven(float64(v * inverse))) }

// maxAbsOf returns the largest |x| of a row of at least one; NaN counts most.
func maxAbsOf(src []float32) float32 { return math.Float32frombits(maxAbs(&src[0], len(src))) }
