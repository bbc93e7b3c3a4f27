package calibrate

import (
	"math"
	"testing"
)

// TestMcNemar holds the mid-p value to scipy's: 2·(binom.cdf(k, n, ½) − binom.pmf(k, n, ½)/2) for the lesser k of n
// pictures that one of the two got right, which is statsmodels' exact mcnemar less the probability of what was seen
// (scipy 1.17, statsmodels 0.15).
func TestMcNemar(t *testing.T) {
	for _, c := range []struct {
		b, c int
		want float64
	}{
		{0, 0, 1.0},
		{0, 1, 0.4999999999999999},
		{0, 4, 0.062499999999999986},
		{0, 5, 0.03125000000000003},
		{1, 1, 0.9999999999999998},
		{1, 6, 0.07031250000000001},
		{1, 7, 0.039062500000000014},
		{2, 9, 0.038574218750000014},
		{3, 10, 0.05737304687500002},
		{5, 14, 0.04138946533203125},
		{5, 15, 0.026603698730468753},
		{12, 25, 0.03355243967962451},
		{46, 47, 0.9179230673157426},
		{100, 130, 0.04816305344074456},
		{400, 470, 0.017648493324662496},
		{500, 563, 0.05338391166936778},
		{499, 501, 0.94960031298096},
		{0, 1000, 9.332636185032603e-302},
	} {
		for _, got := range []float64{mcnemar(c.b, c.c), mcnemar(c.c, c.b)} {
			if math.Abs(got-c.want) > 1e-9*c.want {
				t.Errorf("mcnemar(%d, %d) = %v, want %v", c.b, c.c, got, c.want)
			}
		}
	}
}

// TestBits: what was answered right survives the way to a file and back, and is compared picture by picture.
func TestBits(t *testing.T) {
	a, b := newBits(19), newBits(19)
	for i := range 19 {
		a.set(i, i%2 == 0)
		b.set(i, i%3 == 0)
	}
	if n := a.count(); n != 10 {
		t.Errorf("%d of 10 are set", n)
	}
	onlyA, onlyB := a.differing(b)
	if onlyA != 6 || onlyB != 3 { // 2 4 8 10 14 16; 3 9 15
		t.Errorf("%d and %d differ, want 6 and 3", onlyA, onlyB)
	}
	for _, c := range []struct {
		bits Bits
		of   int
		want bool
	}{
		{a, 19, true}, {a, 17, false}, {a, 16, false}, {a, 25, false}, {nil, 0, true}, {nil, 3, false}, {Bits{1}, 1, true}, {Bits{2}, 1, false},
	} {
		if got := c.bits.holds(c.of); got != c.want {
			t.Errorf("%08b holds %d: %v", c.bits, c.of, got)
		}
	}
}
