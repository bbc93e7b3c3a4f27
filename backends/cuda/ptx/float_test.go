package ptx

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// anyFloat has all exponents, and now and then few bits, so that sums lie halfway.
func anyFloat(r *rand.Rand) float32 {
	b := r.Uint32()
	if r.IntN(2) == 0 {
		b &= 0xff80ffff << r.IntN(16)
	}
	if r.IntN(2) == 0 {
		b = b&0x807fffff | uint32(120+r.IntN(16))<<23
	}
	return math.Float32frombits(b)
}

// TestFused holds fma, rounded to nearest and down, to exact arithmetic.
func TestFused(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300_000 {
		a, b, c := anyFloat(r), anyFloat(r), anyFloat(r)
		if special(a) || special(b) || special(c) {
			continue
		}
		for _, way := range []struct {
			mode big.RoundingMode
			f    func(a, b, c float32) float32
		}{{big.ToNearestEven, fma}, {big.ToNegativeInf, fmaDown}} {
			want := exact(a, b, c, way.mode)
			if got := way.f(a, b, c); got != want {
				t.Fatalf("%v: %x·%x+%x: %x, want %x", way.mode, a, b, c, got, want)
			}
		}
	}
	// Halfway but for what float64 cannot hold: rounded twice, this would be a unit too low.
	a, c := float32(1+0x1p-12), float32(0x1p-60)
	if got := fma(a, a, c); got != 1+0x1p-11+0x1p-23 {
		t.Errorf("%x", got)
	}
}

func special(f float32) bool { return f != f || math.IsInf(float64(f), 0) }

func exact(a, b, c float32, mode big.RoundingMode) float32 {
	f := func(x float32) *big.Float { return new(big.Float).SetPrec(700).SetFloat64(float64(x)) }
	sum := f(a)
	sum.Mul(sum, f(b)).Add(sum, f(c))
	if sum.Sign() == 0 {
		return 0
	}
	if mode == big.ToNearestEven {
		v, _ := sum.Float32()
		return v
	}
	v, accuracy := sum.Float32()
	if accuracy == big.Above {
		v = math.Nextafter32(v, float32(math.Inf(-1)))
	}
	return v
}

// TestHalves: every half is its own rounding, and what lies between goes to the nearer,
// or the even one.
func TestHalves(t *testing.T) {
	for _, c := range []struct {
		name  string
		value func(uint64) float32
		bits  func(float32) uint64
		last  uint64 // the greatest number's bits
	}{{"f16", halfValue, halfBits, 0x7bff}, {"bf16", brainValue, brainBits, 0x7f7f}} {
		for b := range c.last {
			lower, upper := c.value(b), c.value(b+1)
			middle := float32((float64(lower) + float64(upper)) / 2)
			even := b + b&1
			for f, want := range map[float32]uint64{
				lower: b, upper: b + 1, middle: even,
				math.Nextafter32(middle, 0):               b,
				math.Nextafter32(middle, math.MaxFloat32): b + 1,
			} {
				if got := c.bits(f); got != want {
					t.Fatalf("%s: %x: %#x, want %#x", c.name, f, got, want)
				}
				if got := c.bits(-f); got != want|0x8000 && f != 0 {
					t.Fatalf("%s: %x: %#x, want %#x", c.name, -f, got, want|0x8000)
				}
			}
		}
		inf := float32(math.Inf(1))
		if nan := c.value(c.bits(float32(math.NaN()))); c.value(c.bits(inf)) != inf || nan == nan {
			t.Errorf("%s: infinity %v, NaN %v", c.name, c.value(c.bits(inf)), nan)
		}
	}
}

// TestPower: within what the ISA allows of ex2.approx, 2 units of 2^-23, and not always exact.
func TestPower(t *testing.T) {
	off := 0
	for i := range 100_000 {
		x := float32(i-60_000) / 1000
		got, want := float64(power(x)), math.Exp2(float64(x))
		if math.Abs(got/want-1) > 0x1p-22 {
			t.Fatalf("2^%v: %v, want %v", x, got, want)
		}
		if float32(want) != float32(got) {
			off++
		}
	}
	if off < 10_000 {
		t.Errorf("%d of 100000 differ: a kernel that relies on the last bit would pass", off)
	}
	if power(-200) != 0 || power(0) != 1 || !math.IsInf(float64(power(200)), 1) {
		t.Errorf("%v %v %v", power(-200), power(0), power(200))
	}
}

// TestReciprocal: within a unit in the last place, which the ISA allows, and not always exact.
func TestReciprocal(t *testing.T) {
	off := 0
	for i := range 100_000 {
		x := float32(i-50_000) / 7
		got, want := reciprocal(x), 1/x
		if math.Abs(float64(got)/float64(want)-1) > 0x1p-23 && x != 0 {
			t.Fatalf("1/%v: %v, want %v", x, got, want)
		}
		if got != want {
			off++
		}
	}
	if off < 10_000 || !math.IsInf(float64(reciprocal(0x1p-127)), 1) || reciprocal(float32(math.Inf(-1))) != 0 {
		t.Errorf("%d of 100000 differ, 1/2^-127 is %v", off, reciprocal(0x1p-127))
	}
}

// TestToInteger: beyond the range the nearest, no number 0.
func TestToInteger(t *testing.T) {
	for _, c := range []struct {
		f    float64
		to   kind
		want uint64
	}{
		{3e9, kind{'s', 32}, math.MaxInt32}, {-3e9, kind{'s', 32}, 1 << 31}, {-1, kind{'u', 32}, 0}, {5e9, kind{'u', 32}, math.MaxUint32},
		{math.NaN(), kind{'s', 32}, 0}, {-2, kind{'s', 32}, 0xfffffffe}, {1e30, kind{'s', 64}, math.MaxInt64}, {300, kind{'s', 8}, 127},
	} {
		if got := toInteger(c.f, c.to); got != c.want {
			t.Errorf("%v to %v: %#x, want %#x", c.f, c.to, got, c.want)
		}
	}
}
