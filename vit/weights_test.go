package vit

import (
	"testing"

	"dynvit/backends"
)

// TestSidePrecision: bf16 where it is faster than f32, else f32; other precisions stay.
func TestSidePrecision(t *testing.T) {
	const i8, bf, f16, f32 = backends.Int8, backends.BF16, backends.F16, backends.F32
	for _, c := range []struct {
		p, want backends.Precision
		carried []backends.Precision
	}{
		{i8, bf, []backends.Precision{i8, bf, f32, f16}},
		{i8, f32, []backends.Precision{i8, f32, bf, f16}},
		{i8, f32, []backends.Precision{f32, bf, i8}},
		{i8, f32, []backends.Precision{i8}},
		{bf, bf, []backends.Precision{i8, f32, bf}},
		{f32, f32, []backends.Precision{bf, f32}},
	} {
		if got := SidePrecision(c.p, c.carried); got != c.want {
			t.Errorf("%v of %v: %v, want %v", c.p, c.carried, got, c.want)
		}
	}
}
