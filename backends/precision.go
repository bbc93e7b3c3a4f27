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
	// BF16: both operands rounded to bfloat16, to nearest even. In which order products are summed
	// in float32 is the backend's, as for F32; denormal ones may count as 0.
	BF16
	// F16: both operands rounded to half, to nearest even, saturating at ±65504. Sums are
	// those of DotHalves where Facts.HalfSums.
	F16
	// Int8: weights are symmetric per output row, m = max|w|: m < 1e-30 gives codes
	// and scale 0, else sw = m/127, i = 127/m, qw = clamp(roundEven(w·i), ±127).
	// Activations have a range of their own per row at run time, of 0 and all x:
	// d = most - least; d < 1e-30 gives codes, zero point and scale 0, else
	// s = d/255, i = 255/d, z = roundEven(-least·i), q = min(roundEven(x·i)+z, 255).
	// All that is in float32, and y = fma(float32(Σ (q-z)·qw), s·sw, b). A row with
	// NaN or Inf, or whose d is none, gives NaN.
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

var precisions = [...]Precision{F32, BF16, F16, Int8}

// PrecisionNames are those that ParsePrecision reads.
func PrecisionNames() []string {
	var names []string
	for _, p := range precisions {
		names = append(names, p.String())
	}
	return names
}

// ParsePrecision is the inverse of String.
func ParsePrecision(s string) (Precision, error) {
	for _, p := range precisions {
		if s == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("precision %q: want f32, bf16, f16 or int8", s)
}
