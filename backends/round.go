package backends

import "math"

// RoundBF16 rounds to the nearest bfloat16, ties to even. NaN stays NaN.
func RoundBF16(x float32) float32 {
	bits := math.Float32bits(x)
	if bits&0x7fffffff > 0x7f800000 {
		return x
	}
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

// RoundF16 rounds to the nearest IEEE half, ties to even, and saturates at
// ±65504. NaN stays NaN.
func RoundF16(x float32) float32 {
	abs := math.Float32bits(x) & 0x7fffffff
	switch {
	case abs > 0x7f800000:
		return x
	case abs >= 0x477fe000: // 65504
		return float32(math.Copysign(65504, float64(x)))
	case abs < 0x38800000: // below 2^-14 halves are multiples of 2^-24
		return float32(math.RoundToEven(float64(x)*(1<<24)) / (1 << 24))
	}
	bits := math.Float32bits(x)
	return math.Float32frombits((bits + 0xfff + bits>>13&1) &^ 0x1fff)
}

// Round rounds x to the operands of p; F32 and Int8 leave it alone.
func (p Precision) Round(x float32) float32 {
	switch p {
	case BF16:
		return RoundBF16(x)
	case F16:
		return RoundF16(x)
	}
	return x
}

// QuantizeRow writes the int8 codes of a row and returns their scale: the
// definition in Int8's comment, to the bit. ok is false where the row holds a NaN
// or Inf; codes are then zero.
func QuantizeRow(codes []int8, row []float32) (scale float32, ok bool) {
	var m float32
	for _, v := range row {
		if v-v != 0 {
			clear(codes)
			return 0, false
		}
		m = max(m, v, -v)
	}
	if m < 1e-30 {
		clear(codes)
		return 0, true
	}
	inverse := 127 / m
	for i, v := range row {
		codes[i] = int8(max(-127, min(127, math.RoundToEven(float64(v*inverse)))))
	}
	return m / 127, true
}

// FMA32 is x·y+z rounded once to float32. The product is exact in float64; where
// adding z rounds, the sum is rounded to odd, so that the second rounding to
// float32 sees on which side it lay (Boldo and Melquiond, 2008).
func FMA32(x, y, z float32) float32 {
	p := float64(x) * float64(y)
	s := p + float64(z)
	// The error of the addition, exactly (Knuth's two-sum).
	b := s - p
	e := (p - (s - b)) + (float64(z) - b)
	if e != 0 && math.Float64bits(s)&1 == 0 && !math.IsInf(s, 0) {
		if (e > 0) == (s > 0) {
			s = math.Float64frombits(math.Float64bits(s) + 1)
		} else {
			s = math.Float64frombits(math.Float64bits(s) - 1)
		}
	}
	return float32(s)
}
