package backends

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// nearest rounds x to bits of significand at exponents from least on, ties to even,
// in arbitrary precision.
func nearest(x float32, bits, least int) float64 {
	if x == 0 {
		return 0
	}
	exp := max(math.Ilogb(float64(x)), least)
	return math.Ldexp(math.RoundToEven(math.Ldexp(float64(x), bits-1-exp)), exp-bits+1)
}

func TestRounding(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200_000 {
		x := math.Float32frombits(rng.Uint32())
		if x-x != 0 || math.Abs(float64(x)) > 3e38 {
			continue
		}
		if got, want := RoundBF16(x), nearest(x, 8, -126); float64(got) != want {
			t.Fatalf("bf16 of %g: %g, want %g", x, got, want)
		}
		want := math.Max(-65504, math.Min(65504, nearest(x, 11, -14)))
		if got := RoundF16(x); float64(got) != want {
			t.Fatalf("f16 of %g: %g, want %g", x, got, want)
		}
	}
	for _, tie := range []struct{ x, bf16 float32 }{
		{1 + 1.0/256, 1}, {1 + 3.0/256, 1 + 1.0/64}, // halfway: to even
	} {
		if got := RoundBF16(tie.x); got != tie.bf16 {
			t.Errorf("bf16 of %v: %v, want %v", tie.x, got, tie.bf16)
		}
	}
	if v := RoundBF16(float32(math.NaN())); v == v {
		t.Error("bf16 of NaN is a number")
	}
	if got := RoundF16(float32(math.Inf(-1))); got != -65504 {
		t.Errorf("f16 of -Inf: %v, want saturation", got)
	}
}

// TestFMA32 compares with one rounding of the exact result, also where two
// roundings would differ.
func TestFMA32(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	exact := func(x, y, z float32) float32 {
		f := func(v float32) *big.Float { return new(big.Float).SetPrec(2000).SetFloat64(float64(v)) }
		sum := new(big.Float).SetPrec(2000).Mul(f(x), f(y))
		r, _ := sum.Add(sum, f(z)).Float32()
		return r
	}
	check := func(x, y, z float32) {
		if got, want := FMA32(x, y, z), exact(x, y, z); got != want {
			t.Fatalf("fma(%g, %g, %g): %g, want %g", x, y, z, got, want)
		}
	}
	// 1 + 2^-24 is a tie; the tiny product must break it, which float64 alone loses.
	check(0x1p-40, 0x1p-40, 1)
	check(1+0x1p-12, 1+0x1p-12, 0x1p-60)
	check(0x1p-24, 1+0x1p-23, 1)
	check(-0x1p-60, 0x1p-20, 1+0x1p-23)
	for range 100_000 {
		x := float32(int32(rng.Uint32()) >> 4)
		check(x, float32(rng.NormFloat64()*1e-4), float32(rng.NormFloat64()))
	}
}

func TestQuantizeInput(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		row   []float32
		codes []uint8
		scale float32
		zero  uint8
		ok    bool
	}{
		{[]float32{0.5, 1.5, 255}, []uint8{0, 2, 255}, 1, 0, true},                       // ties to even
		{[]float32{-100.5, 154.5, 0}, []uint8{0, 254, 100}, 1, 100, true},                // the ends, too
		{[]float32{-153.5, 101.5, -1}, []uint8{0, 255, 153}, 1, 154, true},               // 256 is clamped
		{[]float32{-255, -127.5, -2.5}, []uint8{0, 127, 253}, 1, 255, true},              // none above 0
		{[]float32{1e-31, -1e-31}, []uint8{0, 0}, 0, 0, true},                            // a row of nothing
		{[]float32{1, inf}, []uint8{0, 0}, 0, 0, false},                                  //
		{[]float32{-inf, 1}, []uint8{0, 0}, 0, 0, false},                                 //
		{[]float32{float32(math.NaN()), 2, 1}, []uint8{0, 0, 0}, 0, 0, false},            //
		{[]float32{math.MaxFloat32, -1e38}, []uint8{0, 0}, 0, 0, false},                  // no range in float32
		{[]float32{math.MaxFloat32, 0}, []uint8{255, 0}, math.MaxFloat32 / 255, 0, true}, //
	} {
		codes := slices.Repeat([]uint8{7}, len(c.row))
		scale, zero, ok := QuantizeInput(codes, c.row)
		if !slices.Equal(codes, c.codes) || scale != c.scale || zero != c.zero || ok != c.ok {
			t.Errorf("%v: codes %v scale %v zero %v %v, want %v %v %v %v", c.row, codes, scale, zero, ok, c.codes, c.scale, c.zero, c.ok)
		}
	}
}

func TestQuantizeRow(t *testing.T) {
	codes := make([]int8, 5)
	scale, ok := QuantizeRow(codes, []float32{0.5, 1.5, -2.5, 127, -127})
	if want := [5]int8{0, 2, -2, 127, -127}; !ok || scale != 1 || [5]int8(codes) != want {
		t.Errorf("%v scale %v %v, want %v", codes, scale, ok, want)
	}
	if scale, ok := QuantizeRow(codes, []float32{1e-31, 0, 0, 0, 0}); !ok || scale != 0 || codes[0] != 0 {
		t.Error("a row of nothing has codes")
	}
	if _, ok := QuantizeRow(codes, []float32{1, float32(math.Inf(1)), 0, 0, 0}); ok {
		t.Error("Inf passes")
	}
}

// TestQuantizeRowRounds holds codes to the definition, number by number: rows of every magnitude, halves on the way between
// two codes and what is a bit beside them, and the largest of a row where 127/m is rounded up.
func TestQuantizeRowRounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	for range 20000 {
		row, codes := make([]float32, 33), make([]int8, 33)
		most := float32(math.Ldexp(1+rng.Float64(), rng.IntN(220)-95))
		for i := range row {
			row[i] = most * (2*rng.Float32() - 1)
			if i%3 == 0 {
				row[i] = (float32(rng.IntN(254)-127) + 0.5) * (most / 127)
			}
			if i%5 == 0 {
				row[i] = math.Nextafter32(row[i], float32(1-2*rng.IntN(2))*math.MaxFloat32)
			}
		}
		row[rng.IntN(len(row))] = most
		scale, ok := QuantizeRow(codes, row)
		m := float32(0)
		for _, v := range row {
			m = max(m, v, -v)
		}
		inverse := 127 / m
		if !ok || scale != m/127 {
			t.Fatalf("%v: scale %v %v, want %v", row, scale, ok, m/127)
		}
		for i, v := range row {
			if want := int8(max(-127, min(127, math.RoundToEven(float64(v*inverse))))); codes[i] != want {
				t.Fatalf("%v of %v: code %d, want %d", v, m, codes[i], want)
			}
		}
	}
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), -float32(math.NaN())} {
		codes := []int8{1, 2, 3}
		if scale, ok := QuantizeRow(codes, []float32{1, v, 2}); ok || scale != 0 || codes[0] != 0 || codes[2] != 0 {
			t.Errorf("%v: codes %v scale %v %v", v, codes, scale, ok)
		}
	}
}

func BenchmarkQuantizeRow(b *testing.B) {
	rng := rand.New(rand.NewPCG(8, 2))
	row, codes := make([]float32, 1536), make([]int8, 1536)
	for i := range row {
		row[i] = float32(rng.NormFloat64())
	}
	b.SetBytes(int64(4 * len(row)))
	for b.Loop() {
		QuantizeRow(codes, row)
	}
}

// TestDotHalves compares each rounding of a sum with one of the exact one, also where the
// product is a part in 2^60 of the sum, and where halves end below.
func TestDotHalves(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	half := func() float32 {
		return RoundF16(float32(math.Ldexp(1+rng.Float64(), rng.IntN(34)-26))) * float32(1-2*rng.IntN(2))
	}
	for range 100_000 {
		x, w := []float32{half(), half()}, []float32{half(), half()}
		want := exactHalf(0, x[0], w[0])
		want = exactHalf(want, x[1], w[1])
		if got := DotHalves(0, x, w); float64(got) != want && (got == got || want == want) {
			t.Fatalf("%g·%g + %g·%g is %g, want %g", x[0], w[0], x[1], w[1], got, want)
		}
	}
	for _, c := range []struct {
		n    int
		x    float32 // times 1
		want float32
	}{
		{HalfSpan, 4097, float32(math.Inf(1))},      // beyond 65504
		{HalfSpan, 2047, 65504},                     // from 32768 on halves are multiples of 32
		{2 * HalfSpan, 2000, 2 * (32000 + 16*1984)}, // of 2000, a tie, they take 1984; the second half sum begins anew
	} {
		x, w := slices.Repeat([]float32{RoundF16(c.x)}, c.n), slices.Repeat([]float32{1}, c.n)
		if got := DotHalves(0, x, w); got != c.want {
			t.Errorf("%d times %v: %v, want %v", c.n, c.x, got, c.want)
		}
	}
}

// exactHalf is sum + x·w rounded once to half, in arbitrary precision.
func exactHalf(sum float64, x, w float32) float64 {
	f := func(v float64) *big.Float { return new(big.Float).SetPrec(2000).SetFloat64(v) }
	if math.IsInf(sum, 0) {
		return sum + float64(x)*float64(w)
	}
	y := f(float64(x))
	y.Mul(y, f(float64(w))).Add(y, f(sum))
	if y.Sign() == 0 {
		return 0
	}
	unit := max(y.MantExp(nil)-1, -14) - 10
	scaled, _ := y.SetMantExp(y, -unit).Int(nil)
	rest, _ := new(big.Float).SetPrec(2000).Sub(y, new(big.Float).SetPrec(2000).SetInt(scaled)).Float64()
	n, _ := new(big.Float).SetInt(scaled).Float64()
	if away := math.Copysign(1, rest); math.Abs(rest) > 0.5 || math.Abs(rest) == 0.5 && scaled.Bit(0) == 1 {
		n += away
	}
	if v := math.Ldexp(n, unit); math.Abs(v) <= 65504 {
		return v
	}
	return math.Copysign(math.Inf(1), n)
}
