package host

import (
	"math"
	"testing"
)

// TestLogistic: GELU's two other forms are within 1e-7 of max(1, |x|) of package math's,
// from where they are nothing to where they are x; infinity stays, NaN too.
func TestLogistic(t *testing.T) {
	for name, form := range map[string]struct {
		row  func(x []float32, stride, rows, cols int)
		want func(x float64) float64
	}{
		"quick": {quickGELU, func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) }},
		"tanh": {tanhGELU, func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}},
	} {
		worst := 0.0
		for x := float32(-60); x < 60; x += 0.0007 {
			y := []float32{x}
			form.row(y, 1, 1, 1)
			worst = max(worst, math.Abs(float64(y[0])-form.want(float64(x)))/max(1, math.Abs(float64(x))))
		}
		if !(worst <= 1e-7) {
			t.Errorf("%s differs by %.2g of max(1, |x|)", name, worst)
		}
		far := []float32{float32(math.Inf(1)), float32(math.NaN()), 1e30, -1e4}
		form.row(far, 4, 1, 4)
		if !math.IsInf(float64(far[0]), 1) || far[1] == far[1] || far[2] != 1e30 || far[3] < -1e-30 || far[3] > 0 {
			t.Errorf("%s of infinity, NaN, 1e30, -1e4: %v", name, far)
		}
	}
}
