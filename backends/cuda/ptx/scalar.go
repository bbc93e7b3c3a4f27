package ptx

import (
	"math"
	"math/bits"
	"slices"
)

// two, one, three and comparison are what an instruction computes; nil: it is unknown.

func two(name string, mods []string, k kind) func(x, y uint64) uint64 {
	switch {
	case k == kind{'f', 32}:
		return twoFloats(name, mods)
	case k.of == 'p', k.of == 'b':
		return twoBits(name, mods, k)
	case k.of == 's', k.of == 'u':
		return twoIntegers(name, mods, k)
	}
	return nil
}

func twoFloats(name string, mods []string) func(x, y uint64) uint64 {
	if len(mods) > 0 && !(slices.Equal(mods, []string{"rn"}) && name != "min" && name != "max") {
		return nil
	}
	switch name {
	case "add":
		return func(x, y uint64) uint64 { return bits32(f32(x) + f32(y)) }
	case "sub":
		return func(x, y uint64) uint64 { return bits32(f32(x) - f32(y)) }
	case "mul":
		return func(x, y uint64) uint64 { return bits32(f32(x) * f32(y)) }
	case "div":
		if len(mods) == 1 { // without .rn it is another instruction
			return func(x, y uint64) uint64 { return bits32(f32(x) / f32(y)) }
		}
	case "min":
		return func(x, y uint64) uint64 { return bits32(smaller(f32(x), f32(y))) }
	case "max":
		return func(x, y uint64) uint64 { return bits32(larger(f32(x), f32(y))) }
	}
	return nil
}

func twoBits(name string, mods []string, k kind) func(x, y uint64) uint64 {
	if len(mods) > 0 {
		return nil
	}
	m := k.mask()
	switch name {
	case "and":
		return func(x, y uint64) uint64 { return x & y & m }
	case "or":
		return func(x, y uint64) uint64 { return (x | y) & m }
	case "xor":
		return func(x, y uint64) uint64 { return (x ^ y) & m }
	case "shl":
		return func(x, y uint64) uint64 { return x << (y & 0xffffffff) & m } // 0 beyond the width
	case "shr":
		return func(x, y uint64) uint64 { return x & m >> (y & 0xffffffff) }
	}
	return nil
}

func twoIntegers(name string, mods []string, k kind) func(x, y uint64) uint64 {
	m := k.mask()
	switch {
	case name == "mul" && len(mods) == 1:
		return product(mods[0], k)
	case len(mods) > 0:
		return nil
	}
	switch name {
	case "add":
		return func(x, y uint64) uint64 { return (x + y) & m }
	case "sub":
		return func(x, y uint64) uint64 { return (x - y) & m }
	case "shr":
		if k.of == 's' {
			return func(x, y uint64) uint64 { return uint64(k.signed(x)>>min(y&0xffffffff, 63)) & m }
		}
		return func(x, y uint64) uint64 { return x & m >> (y & 0xffffffff) }
	case "div", "rem":
		return quotient(name == "rem", k)
	case "min", "max":
		less := comparison("lt", k)
		return func(x, y uint64) uint64 {
			if less(x, y) == (name == "min") {
				return x & m
			}
			return y & m
		}
	}
	return nil
}

// product is mul's, of which lo keeps the low half, wide both.
func product(half string, k kind) func(x, y uint64) uint64 {
	switch {
	case half == "lo":
		return func(x, y uint64) uint64 { return x * y & k.mask() }
	case half == "wide" && k.bits <= 32:
		m := kind{k.of, 2 * k.bits}.mask()
		return func(x, y uint64) uint64 { return uint64(k.integer(x)*k.integer(y)) & m }
	}
	return nil
}

// quotient: what is divided by 0 is all ones on hardware, and unspecified; here too.
func quotient(rem bool, k kind) func(x, y uint64) uint64 {
	m := k.mask()
	return func(x, y uint64) uint64 {
		if y&m == 0 {
			return m
		}
		if k.of == 's' {
			a, b := k.signed(x), k.signed(y)
			if rem {
				return uint64(a%b) & m
			}
			return uint64(a/b) & m
		}
		if rem {
			return x & m % (y & m)
		}
		return x & m / (y & m)
	}
}

func three(name string, mods []string, k kind) func(x, y, z uint64) uint64 {
	only := func(m string) bool { return slices.Equal(mods, []string{m}) }
	switch {
	case name == "fma" && k == kind{'f', 32} && only("rn"):
		return func(x, y, z uint64) uint64 { return bits32(fma(f32(x), f32(y), f32(z))) }
	case name == "fma" && k == kind{'f', 32} && only("rm"):
		return func(x, y, z uint64) uint64 { return bits32(fmaDown(f32(x), f32(y), f32(z))) }
	case name == "mad" && (k.of == 's' || k.of == 'u') && only("lo"):
		return func(x, y, z uint64) uint64 { return (x*y + z) & k.mask() }
	case name == "prmt" && k == kind{'b', 32} && len(mods) == 0:
		return permuted
	}
	return nil
}

// permuted picks each byte of the result out of 8, or its sign.
func permuted(x, y, z uint64) uint64 {
	all := x&0xffffffff | y<<32
	var out uint64
	for i := range 4 {
		pick := z >> (4 * i) & 15
		v := all >> (8 * (pick & 7)) & 255
		if pick&8 != 0 {
			v = v >> 7 * 255
		}
		out |= v << (8 * i)
	}
	return out
}

func one(name string, mods []string, k kind) func(x uint64) uint64 {
	is := func(m ...string) bool { return slices.Equal(mods, m) }
	f := k == kind{'f', 32}
	switch {
	case name == "not" && (k.of == 'b' || k.of == 'p') && is():
		return func(x uint64) uint64 { return ^x & k.mask() }
	case name == "neg" && k.of == 's' && is():
		return func(x uint64) uint64 { return -x & k.mask() }
	case name == "abs" && k.of == 's' && is():
		return func(x uint64) uint64 { return uint64(max(k.signed(x), -k.signed(x))) & k.mask() }
	case name == "popc" && k.of == 'b' && is():
		return func(x uint64) uint64 { return uint64(bits.OnesCount64(x & k.mask())) }
	case name == "neg" && f && is():
		return func(x uint64) uint64 { return x ^ 1<<31 }
	case name == "abs" && f && is():
		return func(x uint64) uint64 { return x &^ (1 << 31) }
	case name == "ex2" && f && is("approx", "ftz"):
		return func(x uint64) uint64 { return bits32(power(f32(x))) }
	case name == "rcp" && f && is("approx", "ftz"):
		return func(x uint64) uint64 { return bits32(reciprocal(f32(x))) }
	case name == "rcp" && f && is("rn"):
		return func(x uint64) uint64 { return bits32(1 / f32(x)) }
	case name == "sqrt" && f && is("rn"):
		return func(x uint64) uint64 { return bits32(float32(math.Sqrt(float64(f32(x))))) }
	}
	return nil
}

// conversion is cvt's. Of its roundings those are known that the kernels use.
func conversion(mods []string, to, from kind) func(x uint64) uint64 {
	is := func(m ...string) bool { return slices.Equal(mods, m) }
	single, half, brain := kind{'f', 32}, kind{'f', 16}, kind{'h', 16}
	switch {
	case to.isInteger() && from.isInteger() && is():
		return func(x uint64) uint64 { return uint64(from.integer(x)) & to.mask() }
	case to == single && (from.of == 's' || from.of == 'u') && is("rn"):
		if from == (kind{'u', 64}) {
			return func(x uint64) uint64 { return bits32(float32(x)) }
		}
		return func(x uint64) uint64 { return bits32(float32(from.integer(x))) }
	case from == single && (to.of == 's' || to.of == 'u'):
		return rounding(mods, to)
	case to == single && from == single && is("rni"):
		return func(x uint64) uint64 { return bits32(float32(math.RoundToEven(float64(f32(x))))) }
	case to == single && from == single && is("sat"):
		return func(x uint64) uint64 { return bits32(larger(smaller(f32(x), 1), 0)) }
	case to == half && from == single && is("rn"):
		return func(x uint64) uint64 { return halfBits(f32(x)) }
	case to == single && from == half && is():
		return func(x uint64) uint64 { return bits32(halfValue(x)) }
	case to == brain && from == single && is("rn"):
		return func(x uint64) uint64 { return brainBits(f32(x)) }
	case to == single && from == brain && is():
		return func(x uint64) uint64 { return bits32(brainValue(x)) }
	}
	return nil
}

// rounding is from float32 to an integer.
func rounding(mods []string, to kind) func(x uint64) uint64 {
	way := map[string]func(float64) float64{"rzi": math.Trunc, "rni": math.RoundToEven}
	if len(mods) != 1 || way[mods[0]] == nil {
		return nil
	}
	round := way[mods[0]]
	return func(x uint64) uint64 { return toInteger(round(float64(f32(x))), to) }
}

// comparison is setp's. With a u in front it holds of what is no number too.
func comparison(name string, k kind) func(x, y uint64) bool {
	if k == (kind{'f', 32}) {
		f, ok := comparisons[name]
		if !ok {
			return nil
		}
		return func(x, y uint64) bool { return f(float64(f32(x)), float64(f32(y))) }
	}
	m := k.mask()
	switch {
	case name == "eq":
		return func(x, y uint64) bool { return x&m == y&m }
	case name == "ne":
		return func(x, y uint64) bool { return x&m != y&m }
	case k.of != 's' && k.of != 'u':
		return nil
	}
	less := func(x, y uint64) bool { return x&m < y&m }
	if k.of == 's' {
		less = func(x, y uint64) bool { return k.signed(x) < k.signed(y) }
	}
	switch name {
	case "lt":
		return less
	case "gt":
		return func(x, y uint64) bool { return less(y, x) }
	case "le":
		return func(x, y uint64) bool { return !less(y, x) }
	case "ge":
		return func(x, y uint64) bool { return !less(x, y) }
	}
	return nil
}

func unordered(x, y float64) bool { return x != x || y != y }

var comparisons = map[string]func(x, y float64) bool{
	"eq":  func(x, y float64) bool { return x == y },
	"ne":  func(x, y float64) bool { return x < y || x > y },
	"lt":  func(x, y float64) bool { return x < y },
	"le":  func(x, y float64) bool { return x <= y },
	"gt":  func(x, y float64) bool { return x > y },
	"ge":  func(x, y float64) bool { return x >= y },
	"equ": func(x, y float64) bool { return x == y || unordered(x, y) },
	"neu": func(x, y float64) bool { return x != y },
	"ltu": func(x, y float64) bool { return !(x >= y) },
	"leu": func(x, y float64) bool { return !(x > y) },
	"gtu": func(x, y float64) bool { return !(x <= y) },
	"geu": func(x, y float64) bool { return !(x < y) },
	"num": func(x, y float64) bool { return !unordered(x, y) },
	"nan": unordered,
}
