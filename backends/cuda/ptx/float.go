package ptx

import "math"

func f32(v uint64) float32 { return math.Float32frombits(uint32(v)) }

func bits32(f float32) uint64 { return uint64(math.Float32bits(f)) }

// fused is a·b + c, rounded to odd at 53 bits: what float32 is made of then, by whatever
// rounding, is as if it came of the exact sum.
func fused(a, b, c float32) float64 {
	p, q := float64(a)*float64(b), float64(c) // the product is exact
	s := p + q
	if math.IsInf(s, 0) || s != s {
		return s
	}
	back := s - p
	lost := (p - (s - back)) + (q - back) // Knuth's two-sum: s + lost = p + q
	if lost == 0 {
		return s
	}
	if b := math.Float64bits(s); b&1 == 0 {
		if (lost > 0) == (s > 0) {
			return math.Float64frombits(b + 1)
		}
		return math.Float64frombits(b - 1)
	}
	return s
}

// fma rounds to the nearest. Unless the sum in float64 lies halfway between two float32, or is too small to be a
// normal one, what float64 has lost doesn't matter; zero is exact.
func fma(a, b, c float32) float32 {
	s := float64(a)*float64(b) + float64(c)
	if v := math.Float64bits(s); v&(1<<29-1) != 1<<28 && v>>52&0x7ff > 1023-126 || s == 0 {
		return float32(s)
	}
	return float32(fused(a, b, c))
}

// fmaDown rounds towards minus infinity.
func fmaDown(a, b, c float32) float32 {
	s := fused(a, b, c)
	f := float32(s)
	if float64(f) > s {
		f = math.Nextafter32(f, float32(math.Inf(-1)))
	}
	return f
}

// flushed is 0 for a number too small to be normal, as .ftz has it.
func flushed(f float32) float32 {
	if f != 0 && f < 0x1p-126 && f > -0x1p-126 {
		return float32(math.Copysign(0, float64(f)))
	}
	return f
}

// power is ex2.approx.ftz.f32: within a unit in the last place, and off by one for two
// arguments of eight. The ISA allows 2 units of 2^-23.
func power(f float32) float32 {
	y := float32(math.Exp2(float64(flushed(f))))
	if y == 0 || math.IsInf(float64(y), 0) || y != y || y == 1 {
		return flushed(y)
	}
	return flushed(about(y, f))
}

// reciprocal is rcp.approx.ftz.f32: within a unit in the last place, as power is.
func reciprocal(f float32) float32 {
	y := 1 / flushed(f)
	if y == 0 || math.IsInf(float64(y), 0) || y != y {
		return y
	}
	return flushed(about(y, f))
}

// about is y, or for two arguments f of eight a neighbour of it.
func about(y, f float32) float32 {
	switch math.Float32bits(f) * 2654435761 >> 29 {
	case 0:
		return math.Nextafter32(y, 0)
	case 1:
		return math.Nextafter32(y, float32(math.Copysign(math.MaxFloat32, float64(y))))
	}
	return y
}

// smaller and larger are min and max: the number where the other is none.
func smaller(a, b float32) float32 {
	switch {
	case a != a:
		return b
	case b != b:
		return a
	case a == 0 && b == 0:
		return math.Float32frombits(math.Float32bits(a) | math.Float32bits(b))
	}
	return min(a, b)
}

func larger(a, b float32) float32 {
	switch {
	case a != a:
		return b
	case b != b:
		return a
	case a == 0 && b == 0:
		return math.Float32frombits(math.Float32bits(a) & math.Float32bits(b))
	}
	return max(a, b)
}

// halfBits rounds to IEEE's binary16, ties to even.
func halfBits(f float32) uint64 {
	b := math.Float32bits(f)
	sign := uint64(b >> 16 & 0x8000)
	switch a := float64(math.Float32frombits(b &^ (1 << 31))); {
	case f != f:
		return 0x7fff
	case a >= 65520:
		return sign | 0x7c00
	case a < 0x1p-14: // subnormal: a multiple of 2^-24
		return sign | uint64(math.RoundToEven(a*0x1p24))
	}
	b &^= 1 << 31
	b += 0xfff + b>>13&1 // to even; a carry goes into the exponent, as it should
	return sign | uint64(b>>13-(127-15)<<10)
}

func halfValue(v uint64) float32 {
	sign, e, m := uint32(v>>15&1)<<31, uint32(v>>10&31), uint32(v&0x3ff)
	switch e {
	case 0:
		return math.Float32frombits(sign | math.Float32bits(float32(m)*0x1p-24))
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | m<<13)
	}
	return math.Float32frombits(sign | (e+127-15)<<23 | m<<13)
}

// brainBits rounds to bfloat16, ties to even.
func brainBits(f float32) uint64 {
	if f != f {
		return 0x7fff
	}
	b := math.Float32bits(f)
	return uint64((b + 0x7fff + b>>16&1) >> 16)
}

func brainValue(v uint64) float32 { return math.Float32frombits(uint32(v) << 16) }

// toInteger rounds as the ISA converts: what does not fit becomes the nearest that does,
// and what is no number 0.
func toInteger(f float64, to kind) uint64 {
	least, most := 0.0, math.Ldexp(1, to.bits)
	if to.of == 's' {
		least, most = -math.Ldexp(1, to.bits-1), math.Ldexp(1, to.bits-1)
	}
	switch {
	case f != f:
		return 0
	case f < least:
		f = least
	case f >= most:
		if to.of == 's' {
			return to.mask() >> 1
		}
		return to.mask()
	}
	if to.of == 's' {
		return uint64(int64(f)) & to.mask()
	}
	return uint64(f) & to.mask()
}
