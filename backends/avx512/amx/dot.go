package amx

import (
	"math"

	"dynvit/backends"
)

// dot adds to a word of sums the products of words of a row and of a column.
func (i Instruction) dot(sum uint32, a, b []uint32) uint32 {
	if i.Op == "tdpbf16ps" {
		return math.Float32bits(DotBF16(math.Float32frombits(sum), a, b))
	}
	for k := range a {
		for shift := 0; shift < 32; shift += 8 {
			sum += uint32(extend(a[k]>>shift, i.SignedA) * extend(b[k]>>shift, i.SignedB))
		}
	}
	return sum
}

func extend(code uint32, signed bool) int32 {
	if signed {
		return int32(int8(code))
	}
	return int32(uint8(code))
}

// DotBF16 is TDPBF16PS of one output and up to 16 words, two bfloat16 each: the products of the lower
// halves are summed from 0 on, those of the upper ones apart, each product and its addition rounded once; both sums
// are added, and what that gives to sum. Denormal numbers count as 0, as operands and as results.
func DotBF16(sum float32, a, b []uint32) float32 {
	var lower, upper float32
	for k := range a {
		lower = flushed(backends.FMA32(half(a[k]), half(b[k]), lower))
		upper = flushed(backends.FMA32(half(a[k]>>16), half(b[k]>>16), upper))
	}
	return flushed(flushed(sum) + flushed(lower+upper))
}

// half is the bfloat16 in the lower half of a word.
func half(w uint32) float32 { return flushed(math.Float32frombits(w << 16)) }

// flushed is x, or 0 of its sign where it is denormal.
func flushed(x float32) float32 {
	if math.Abs(float64(x)) < 0x1p-126 {
		return float32(math.Copysign(0, float64(x)))
	}
	return x
}
