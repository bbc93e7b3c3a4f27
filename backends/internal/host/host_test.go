package host

import (
	"math"
	"testing"

	"dynvit/backends/backendtest"
)

func TestConformance(t *testing.T) { backendtest.Run(t, OpenPortable) }

func BenchmarkPortable(b *testing.B) { backendtest.Bench(b, OpenPortable) }

// TestMath compares the fast functions with the library's: erf to 4e-7 (seven
// units of the last bit below 1), exp to 2e-7 of its value.
func TestMath(t *testing.T) {
	worstErf, worstExp := 0.0, 0.0
	for x := -6.0; x <= 6; x += 1.0 / 4096 {
		worstErf = max(worstErf, math.Abs(float64(erf(float32(x)))-math.Erf(float64(float32(x)))))
	}
	for x := 0.0; x >= -86; x -= 1.0 / 4096 {
		want := math.Exp(float64(float32(x)))
		worstExp = max(worstExp, math.Abs(float64(exp(float32(x)))-want)/want)
	}
	t.Logf("erf %.2g absolute, exp %.2g relative", worstErf, worstExp)
	if worstErf > 4e-7 || worstExp > 2e-7 {
		t.Errorf("erf differs by %.2g, exp by %.2g; want at most 4e-7 and 2e-7", worstErf, worstExp)
	}
	if v := exp(float32(math.NaN())); v == v {
		t.Error("exp(NaN) is a number")
	}
}
