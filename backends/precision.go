package backends

import "fmt"

// Precision is a definition of numbers, not an instruction: what the operands
// of a product are rounded to before it is taken. Sums are float32 (int32,
// exact, for Int8). backends/ref defines each to the bit where bits are
// promised.
type Precision uint8

const (
	// F32: operands as they are.
	F32 Precision = iota
	// BF16: both operands rounded to bfloat16, to nearest even.
	BF16
	// F16: both operands rounded to half, to nearest even, saturating at ±65504.
	F16
	// Int8: weights symmetric per output row, activations symmetric per row at
	// run time. m = max|x| of the row; m < 1e-30 gives codes and scale 0;
	// s = m/127, i = 127/m, q = clamp(roundEven(x·i), ±127), all in float32;
	// y = fma(float32(Σ q·qw), s·sw, b). A row with NaN or Inf gives NaN.
	Int8
)

func (p Precision) String() string {
	switch p {
	case F32:
		return "f32"
	case BF16:
		return "bf16"
	case F16:
		return "f16"
	case Int8:
		return "int8"
	}
	return fmt.Sprintf("Precision(%d)", uint8(p))
}

// ParsePrecision is the inverse of String.
func ParsePrecision(s string) (Precision, error) {
	for _, p := range []Precision{F32, BF16, F16, Int8} {
		if s == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("precision %q: want f32, bf16, f16 or int8", s)
}
