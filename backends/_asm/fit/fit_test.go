package fit

import (
	"math"
	"testing"
)

// fma is what a kernel's instruction does, but for one case in 2²⁹ that is rounded twice.
func fma(a, b, c float32) float32 {
	return float32(math.FMA(float64(a), float64(b), float64(c)))
}

// horner evaluates coefficients of 1, x, x², … in float32 as the kernels do.
func horner(coefficients []float64, x float32) float32 {
	sum := float32(0)
	for i := len(coefficients) - 1; i >= 0; i-- {
		sum = fma(sum, x, float32(coefficients[i]))
	}
	return sum
}

// worst is the largest error over n steps from low to high.
func worst(low, high float64, n int, err func(x float32) float64) (most float64) {
	for i := range n + 1 {
		most = max(most, math.Abs(err(float32(low+(high-low)*float64(i)/float64(n)))))
	}
	return most
}

// within holds an error to a bound, and the same fit with less to spend to failing it.
func within(t *testing.T, what string, got, less, bound float64) {
	t.Helper()
	t.Logf("%s: %.3g, with a coefficient less %.3g", what, got, less)
	if got > bound {
		t.Errorf("%s: differs by %.3g, want at most %.3g", what, got, bound)
	}
	if less <= bound {
		t.Errorf("%s: the bound of %.3g does not tell a fit of one coefficient less (%.3g)", what, bound, less)
	}
}

func TestExp2(t *testing.T) {
	err := func(coefficients []float64) float64 {
		return worst(0, 1, 1<<18, func(x float32) float64 {
			want := math.Exp2(float64(x))
			return (float64(horner(coefficients, x)) - want) / want
		})
	}
	c := Exp2()
	within(t, "2^x from 0 to 1", err(c), err(exp2(len(c)-1)), 1.8e-7)
	if float32(c[0]) != 1 {
		t.Errorf("2^0 is %v: the greatest of a softmax's weights must be 1", float32(c[0]))
	}
}

// TestNormal: Φ(t) - ½ from 0 on, as the kernel finds its piece and what is left of t.
func TestNormal(t *testing.T) {
	err := func(piece func(i int) []float64) float64 {
		var pieces [Pieces][]float64
		for i := range pieces {
			pieces[i] = piece(i)
		}
		return worst(0, 8, 1<<18, func(x float32) float64 {
			t := min(x*float32(1/Step), Pieces-1)
			i := math.RoundToEven(float64(t))
			return float64(horner(pieces[int(i)], t-float32(i))) - 0.5*math.Erf(float64(x)/math.Sqrt2)
		})
	}
	table := Normal()
	ofTable := func(piece int) (coefficients []float64) {
		for i := range Degree + 1 {
			coefficients = append(coefficients, float64(table[i*Pieces+piece]))
		}
		return coefficients
	}
	within(t, "Φ(t) - ½", err(ofTable), err(func(i int) []float64 { return normal(i, Degree-1) }), 1.9e-7)
}

func TestErf(t *testing.T) {
	err := func(p []float64) float64 {
		return worst(-6, 6, 1<<18, func(x float32) float64 { return float64(erf(p, x)) - math.Erf(float64(x)) })
	}
	within(t, "erf", err(ErfP), err(ErfP[1:]), 3.8e-7)
}

func erf(p []float64, x float32) float32 {
	y := max(min(x, ErfLimit), -ErfLimit)
	power := func(c []float64) (sum float32) {
		for _, c := range c {
			sum = fma(sum, y*y, float32(c))
		}
		return sum
	}
	return y * power(p) / power(ErfQ)
}
