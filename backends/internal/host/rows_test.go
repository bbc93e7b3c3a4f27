package host

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"dynvit/backends"
)

// TestSoftmaxExp measures the exponential over its range: the largest entry is 1,
// the other e^x.
func TestSoftmaxExp(t *testing.T) {
	worst := 0.0
	for x := float32(0); x >= -86; x -= 1.0 / 4096 {
		s := []float32{x, 0}
		softmaxRow(s, 1)
		want := math.Exp(float64(x))
		worst = max(worst, math.Abs(float64(s[0])-want)/want)
	}
	t.Logf("exp differs by %.2g of its value", worst)
	if worst > 1e-7 {
		t.Errorf("exp differs by %.2g of its value, want at most 1e-7", worst)
	}
}

func TestGELU(t *testing.T) {
	worst := 0.0
	for v := -8.0; v <= 8; v += 1.0 / 4096 {
		x := []float32{float32(v)}
		gelu(x, 1, 1, 1)
		worst = max(worst, math.Abs(float64(x[0])-v/2*(1+math.Erf(v/math.Sqrt2)))/max(1, math.Abs(v)))
	}
	t.Logf("GELU differs by %.2g of max(1, |x|)", worst)
	if worst > 1.2e-7 {
		t.Errorf("GELU differs by %.2g of max(1, |x|), want at most 1.2e-7", worst)
	}
}

// strange are the values that rounding must get right.
func strange() []float32 {
	inf := float32(math.Inf(1))
	x := []float32{0, float32(math.Copysign(0, -1)), 1, 1 + 1.0/256, 1 + 3.0/256, 1 + 1.0/2048, 1 + 3.0/2048, 65504, 65519, 65520,
		1e5, -1e9, inf, -inf, 0x1p-14, 0x1p-24, 0x1p-25, 0x1.8p-25, 0x1p-126, 0x1p-149, math.MaxFloat32, float32(math.NaN())}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		x = append(x, math.Float32frombits(rng.Uint32()), float32(rng.NormFloat64()))
	}
	return x
}

func TestRound(t *testing.T) {
	x := strange()
	for _, p := range []backends.Precision{backends.BF16, backends.F16} {
		got := make([]float32, len(x))
		Portable().Products[p].Convert(Words(got), x, len(x), 1, len(x), nil, nil)
		for i, v := range x {
			want := p.Round(v)
			if math.Float32bits(got[i]) != math.Float32bits(want) && !(want != want && got[i] != got[i]) {
				t.Fatalf("%v of %g: %g, want %g", p, v, got[i], want)
			}
		}
	}
}

// TestQuantize compares with the definition, bit by bit.
func TestQuantize(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for trial := range 2000 {
		row := make([]float32, 1+trial%97)
		size := math.Exp(rng.NormFloat64() * 20)
		for i := range row {
			row[i] = float32(rng.NormFloat64() * size)
			if trial%5 == 0 { // many ties
				row[i] = float32(math.Round(rng.NormFloat64()*100) / 2)
			}
		}
		checkQuantize(t, row)
	}
	inf := float32(math.Inf(1))
	for _, row := range [][]float32{
		{0, 0}, {1e-31, -1e-31}, {1e-30, 5e-31}, {1, inf}, {-inf, 1}, {float32(math.NaN()), 2}, {math.MaxFloat32, -1, 1e38}, {math.MaxFloat32, -1e38}, {-1, -2, -255}, {-153.5, 101.5, -1}, {127, 0.5, 1.5, -2.5},
	} {
		checkQuantize(t, row)
	}
}

func checkQuantize(t *testing.T, row []float32) {
	t.Helper()
	got, want, less := make([]int8, len(row)), make([]uint8, len(row)), make([]int8, len(row))
	scale, zero := quantize(got, row)
	wantScale, wantZero, ok := backends.QuantizeInput(want, row)
	for i, c := range want {
		less[i] = int8(int(c) - 128)
	}
	if ok != (scale == scale) || ok && (scale != wantScale || zero != int32(wantZero)-128) || !slices.Equal(got, less) {
		t.Fatalf("%v: codes %v scale %v zero %v, want %v %v %v (finite %v)", row, got, scale, zero, less, wantScale, wantZero, ok)
	}
}

func TestSoftmax(t *testing.T) {
	s := []float32{-3, 20, 5, 20, -1000}
	total := softmaxRow(s, 0.25)
	want := []float64{math.Exp(-23. / 4), 1, math.Exp(-15. / 4), 1, 0}
	sum := 0.0
	for i, w := range want {
		sum += w
		if math.Abs(float64(s[i])-w) > 3e-7*w {
			t.Errorf("weight %d: %v, want %v", i, s[i], w)
		}
	}
	if math.Abs(float64(total)-sum) > 3e-7*sum {
		t.Errorf("sum %v, want %v", total, sum)
	}
	for _, row := range [][]float32{{1, float32(math.NaN()), 2}, {1, float32(math.Inf(1))}} {
		if total := softmaxRow(row, 1); total == total {
			t.Errorf("softmax of %v has a sum", row)
		}
	}
}
