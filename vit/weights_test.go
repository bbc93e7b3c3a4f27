package vit

import (
	"testing"

	"dynvit/backends"
)

// TestSidePrecision: bf16 or f16 where it is faster than f32 and summed alike, else f32; other
// precisions stay.
func TestSidePrecision(t *testing.T) {
	const i8, bf, f16, f32 = backends.Int8, backends.BF16, backends.F16, backends.F32
	for _, c := range []struct {
		p, want  backends.Precision
		carried  []backends.Precision
		halfSums bool
	}{
		{i8, bf, []backends.Precision{i8, bf, f32, f16}, false},
		{i8, f32, []backends.Precision{i8, f32, bf, f16}, false},
		{i8, f32, []backends.Precision{f32, bf, i8}, false},
		{i8, f32, []backends.Precision{i8}, false},
		{i8, f16, []backends.Precision{i8, f16, f32}, false},
		{i8, f32, []backends.Precision{i8, f16, f32}, true},
		{i8, bf, []backends.Precision{i8, f16, bf, f32}, true},
		{f16, f16, []backends.Precision{i8, f16, f32}, true},
		{bf, bf, []backends.Precision{i8, f32, bf}, false},
		{f32, f32, []backends.Precision{bf, f32}, false},
	} {
		if got := SidePrecision(c.p, backends.Facts{Precisions: c.carried, HalfSums: c.halfSums}); got != c.want {
			t.Errorf("%v of %v, half sums %v: %v, want %v", c.p, c.carried, c.halfSums, got, c.want)
		}
	}
}

// TestLayerPrecision: bf16 in place of f32 under int8 alone, and only where it takes half the memory.
func TestLayerPrecision(t *testing.T) {
	const i8, bf, f16, f32 = backends.Int8, backends.BF16, backends.F16, backends.F32
	for _, c := range []struct {
		p, side, want backends.Precision
		half          bool
	}{
		{i8, f32, bf, true},
		{i8, f32, f32, false},
		{i8, f16, f16, true},
		{i8, bf, bf, true},
		{f32, f32, f32, true},
		{f16, f16, f16, true},
	} {
		if got := layerPrecision(c.p, c.side, backends.Facts{HalfWords: c.half}); got != c.want {
			t.Errorf("%v beside %v, half words %v: %v, want %v", c.p, c.side, c.half, got, c.want)
		}
	}
}
