//go:build !purego

package avx2

import (
	"math"

	"dynvit/backends/internal/host"
)

// convertInt8 writes codes, four to a word.
func convertInt8(dst []uint32, src []float32) (scale float32, zero int32) {
	scale, inverse, zero := host.ScaleOf(rowRange, src)
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
	scale, inverse, zero := host.ScaleOf(rowRange, src)
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
