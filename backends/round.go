package backends

import (
	"fmt"
	"math"

	"dynvit/internal/finite"
)

// RoundBF16 rounds to the nearest bfloat16, ties to even. NaN stays NaN; what
// rounds past the largest bfloat16 becomes Inf.
func RoundBF16(x float32) float32 {
	bits := math.Float32bits(x)
	if bits&0x7fffffff > 0x7f800000 { // the addition below could carry a NaN into Inf
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
	case abs >= 0x477fe000: // 65504, the largest half
		return float32(math.Copysign(65504, float64(x)))
	case abs < 0x38800000: // below 2^-14 halves are multiples of 2^-24
		return float32(math.RoundToEven(float64(x)*(1<<24)) / (1 << 24))
	}
	bits := math.Float32bits(x)
	return math.Float32frombits((bits + 0xfff + bits>>13&1) &^ 0x1fff)
}

// HalfSpan is how many products a half sum is of, at most.
const HalfSpan = 32

// DotHalves adds to sum the products of two rows of halves, as F16's are where
// Facts.HalfSums: those of HalfSpan inputs are added up in half, from 0 on, each product and
// its sum rounded once (to nearest even, beyond 65504 Inf), and such sums are added in
// float32, the first first.
func DotHalves(sum float32, x, w []float32) float32 {
	for len(x) > 0 {
		n, half := min(len(x), HalfSpan), 0.0
		for i, v := range x[:n] {
			half = roundHalf(half + float64(v)*float64(w[i]))
		}
		sum += float32(half)
		x, w = x[n:], w[n:]
	}
	return sum
}

// roundHalf rounds to the nearest half, ties to even. A half plus a product of two is exact
// in float64 where it comes near a tie.
func roundHalf(x float64) float64 {
	const dropped = 42 // bits that float64 has more
	bits := math.Float64bits(x)
	switch abs := math.Abs(x); {
	case abs < 0x1p-14: // halves are multiples of 2^-24
		return math.RoundToEven(x*(1<<24)) / (1 << 24)
	case abs < 65520:
		return math.Float64frombits((bits + 1<<(dropped-1) - 1 + bits>>dropped&1) &^ (1<<dropped - 1))
	}
	return x * math.Inf(1) // NaN stays
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

// QuantizeInput writes the codes of a row of activations (as many as row has) and
// returns their scale and zero point: the definition in Int8's comment, to the bit. ok
// is false where the row gives NaN; all is then zero.
func QuantizeInput(codes []uint8, row []float32) (scale float32, zero uint8, ok bool) {
	var least, most float32
	for _, v := range row {
		least, most = min(least, v), max(most, v) // NaN stays
	}
	d := most - least
	clear(codes)
	if d-d != 0 || d < 1e-30 {
		return 0, 0, d-d == 0
	}
	inverse := 255 / d
	z := math.RoundToEven(float64(-least * inverse))
	for i, v := range row {
		codes[i] = uint8(min(math.RoundToEven(float64(v*inverse))+z, 255))
	}
	return d / 255, uint8(z), true
}

// QuantizeRow writes the int8 codes of a row of weights (as many as row has) and returns
// their scale: the definition in Int8's comment, to the bit. ok is false where the
// row holds a NaN or Inf; codes and scale are then zero.
func QuantizeRow(codes []int8, row []float32) (scale float32, ok bool) {
	most := uint32(0) // of the magnitudes' bits, which are in the numbers' order, Inf and NaN last
	for _, v := range row {
		most = max(most, math.Float32bits(v)&^(1<<31))
	}
	m := math.Float32frombits(most)
	if m-m != 0 || m < 1e-30 {
		clear(codes)
		return 0, m-m == 0
	}
	// A sum with 1.5·2^23 has no fraction: it is rounded to the nearest whole number, ties to even. No product is
	// beyond 127.5, however 127/m was rounded.
	const whole = 3 << 22
	inverse := 127 / m
	codes = codes[:len(row)]
	for i, v := range row {
		codes[i] = int8(math.Float32bits(float32(v*inverse) + whole))
	}
	return m / 127, true
}

// CheckWeight is the error of a Backend's Pack for a weight of in inputs that holds a NaN or Inf.
func CheckWeight(backend string, w []float32, in int) error {
	if i := finite.IndexNot(w); i >= 0 {
		return fmt.Errorf("%s: weight [%d, %d] is %v", backend, i/in, i%in, w[i])
	}
	return nil
}

// FMA32 is x·y+z rounded once to float32. The product is exact in float64. Its sum
// with z, rounded to float64, rounds to the same float32 as the exact sum unless
// it came to lie half-way between two of them (rounding is monotonic); those few
// are decided by roundOdd.
func FMA32(x, y, z float32) float32 {
	product := float64(x) * float64(y)
	sum := product + float64(z)
	const below, half = 1<<29 - 1, 1 << 28 // the bits that float32 drops
	if math.Float64bits(sum)&below == half || math.Abs(sum) < 0x1p-126 {
		return roundOdd(product, float64(z), sum)
	}
	return float32(sum)
}

// roundOdd rounds p+z, of which sum is the nearest float64, to float32. An inexact
// sum is first rounded to odd, so that the second rounding sees on which side
// of it the exact value lies (Boldo and Melquiond, "Emulation of FMA and
// correctly rounded sums", 2008).
//
//go:noinline
func roundOdd(p, z, sum float64) float32 {
	b := sum - p
	e := (p - (sum - b)) + (z - b) // what the addition lost, exactly: Knuth's two-sum
	if e != 0 && math.Float64bits(sum)&1 == 0 {
		step := int64(1)
		if (e > 0) != (sum > 0) {
			step = -1
		}
		sum = math.Float64frombits(uint64(int64(math.Float64bits(sum)) + step))
	}
	return float32(sum)
}
