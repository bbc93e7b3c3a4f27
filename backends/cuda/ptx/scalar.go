package ptx

import (
	"math"
	"math/bits"
	"slices"
)

// two, one, three, conversion and compared are what an instruction computes of each lane's operands; nil: it
// is unknown. What kernels do most has loops of its own, since a call takes longer than what it does.

// eachTwo, eachOne and eachThree have a function's value in every lane.
func eachTwo(f func(x, y uint64) uint64) step {
	return func(w *warp, in *instruction) outcome {
		on, d, a, b := w.operands(in)
		for _, i := range on {
			d[i&31] = f(a[i&31], b[i&31])
		}
		return next
	}
}

func eachOne(f func(x uint64) uint64) step {
	return func(w *warp, in *instruction) outcome {
		on, d, a, _ := w.operands(in)
		for _, i := range on {
			d[i&31] = f(a[i&31])
		}
		return next
	}
}

func eachThree(f func(x, y, z uint64) uint64) step {
	return func(w *warp, in *instruction) outcome {
		on, d, a, b := w.operands(in)
		c := &w.r[in.c]
		for _, i := range on {
			d[i&31] = f(a[i&31], b[i&31], c[i&31])
		}
		return next
	}
}

// operands are the lanes that are on, and those slots of all lanes that an instruction names.
func (w *warp) operands(in *instruction) (on []uint8, d, a, b *[lanes]uint64) {
	return w.on, &w.r[in.d], &w.r[in.a], &w.r[in.b]
}

func two(name string, mods []string, k kind) step {
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

func twoFloats(name string, mods []string) step {
	if len(mods) > 0 && !(slices.Equal(mods, []string{"rn"}) && name != "min" && name != "max") {
		return nil
	}
	switch name {
	case "add":
		return addFloats
	case "sub":
		return subtractFloats
	case "mul":
		return multiplyFloats
	case "div":
		if len(mods) == 1 { // without .rn it is another instruction
			return eachTwo(func(x, y uint64) uint64 { return bits32(f32(x) / f32(y)) })
		}
	case "min":
		return eachTwo(func(x, y uint64) uint64 { return bits32(smaller(f32(x), f32(y))) })
	case "max":
		return eachTwo(func(x, y uint64) uint64 { return bits32(larger(f32(x), f32(y))) })
	}
	return nil
}

func addFloats(w *warp, in *instruction) outcome {
	on, d, a, b := w.operands(in)
	for _, i := range on {
		d[i&31] = bits32(f32(a[i&31]) + f32(b[i&31]))
	}
	return next
}

func subtractFloats(w *warp, in *instruction) outcome {
	on, d, a, b := w.operands(in)
	for _, i := range on {
		d[i&31] = bits32(f32(a[i&31]) - f32(b[i&31]))
	}
	return next
}

func multiplyFloats(w *warp, in *instruction) outcome {
	on, d, a, b := w.operands(in)
	for _, i := range on {
		d[i&31] = bits32(f32(a[i&31]) * f32(b[i&31]))
	}
	return next
}

func twoBits(name string, mods []string, k kind) step {
	if len(mods) > 0 {
		return nil
	}
	m := k.mask()
	switch name {
	case "and":
		return and
	case "or":
		return or
	case "xor":
		return eachTwo(func(x, y uint64) uint64 { return (x ^ y) & m })
	case "shl":
		return shiftLeft
	case "shr":
		return shiftRight
	}
	return nil
}

func and(w *warp, in *instruction) outcome {
	on, d, a, b := w.operands(in)
	m := in.of.mask()
	for _, i := range on {
		d[i&31] = a[i&31] & b[i&31] & m
	}
	return next
}

func or(w *warp, in *instruction) outcome {
	on, d, a, b := w.operands(in)
	m := in.of.mask()
	for _, i := range on {
		d[i&31] = (a[i&31] | b[i&31]) & m
	}
	return next
}

// shiftLeft and shiftRight give 0 beyond the width.
func shiftLeft(w *warp, in *instruction) outcome {
	on, d, a, b := w.operands(in)
	m := in.of.mask()
	for _, i := range on {
		d[i&31] = a[i&31] << (b[i&31] & 0xffffffff) & m
	}
	return next
}

func shiftRight(w *warp, in *instruction) outcome {
	on, d, a, b := w.operands(in)
	m := in.of.mask()
	for _, i := range on {
		d[i&31] = a[i&31] & m >> (b[i&31] & 0xffffffff)
	}
	return next
}

func twoIntegers(name string, mods []string, k kind) step {
	m := k.mask()
	switch {
	case name == "mul" && len(mods) == 1:
		return product(mods[0], k)
	case len(mods) > 0:
		return nil
	}
	switch name {
	case "add":
		return add
	case "sub":
		return subtract
	case "shr":
		if k.of == 's' {
			return eachTwo(func(x, y uint64) uint64 { return uint64(k.signed(x)>>min(y&0xffffffff, 63)) & m })
		}
		return shiftRight
	case "div", "rem":
		return eachTwo(quotient(name == "rem", k))
	case "min", "max":
		return eachTwo(func(x, y uint64) uint64 {
			if k.less(x, y) == (name == "min") {
				return x & m
			}
			return y & m
		})
	}
	return nil
}

func add(w *warp, in *instruction) outcome {
	on, d, a, b := w.operands(in)
	m := in.of.mask()
	for _, i := range on {
		d[i&31] = (a[i&31] + b[i&31]) & m
	}
	return next
}

func subtract(w *warp, in *instruction) outcome {
	on, d, a, b := w.operands(in)
	m := in.of.mask()
	for _, i := range on {
		d[i&31] = (a[i&31] - b[i&31]) & m
	}
	return next
}

// product is mul's, of which lo keeps the low half, wide both.
func product(half string, k kind) step {
	switch {
	case half == "lo":
		return eachTwo(func(x, y uint64) uint64 { return x * y & k.mask() })
	case half == "wide" && k.bits <= 32:
		m := kind{k.of, 2 * k.bits}.mask()
		return eachTwo(func(x, y uint64) uint64 { return uint64(k.integer(x)*k.integer(y)) & m })
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

func three(name string, mods []string, k kind) step {
	only := func(m string) bool { return slices.Equal(mods, []string{m}) }
	switch {
	case name == "fma" && k == kind{'f', 32} && only("rn"):
		return multiplyAdd
	case name == "fma" && k == kind{'f', 32} && only("rm"):
		down := eachThree(func(x, y, z uint64) uint64 { return bits32(fmaDown(f32(x), f32(y), f32(z))) })
		return func(w *warp, in *instruction) outcome {
			w.block.run.stats.Products += int64(len(w.on))
			return down(w, in)
		}
	case name == "mad" && (k.of == 's' || k.of == 'u') && only("lo"):
		return eachThree(func(x, y, z uint64) uint64 { return (x*y + z) & k.mask() })
	case name == "prmt" && k == kind{'b', 32} && len(mods) == 0:
		return eachThree(permuted)
	}
	return nil
}

func multiplyAdd(w *warp, in *instruction) outcome {
	w.block.run.stats.Products += int64(len(w.on))
	on, d, a, b := w.operands(in)
	c := &w.r[in.c]
	for _, i := range on {
		d[i&31] = bits32(fma(f32(a[i&31]), f32(b[i&31]), f32(c[i&31])))
	}
	return next
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

// relation is a comparison by the few that are computed: of operands that change places, or its contrary.
type relation struct {
	of                string
	swapped, contrary bool
}

// Of numbers, in which every two are ordered, and of floats: with a u in front it holds of what
// is no number too.
var (
	relations = map[string]relation{
		"eq": {of: "eq"}, "ne": {of: "eq", contrary: true},
		"lt": {of: "lt"}, "ge": {of: "lt", contrary: true},
		"gt": {of: "lt", swapped: true}, "le": {of: "lt", swapped: true, contrary: true},
	}
	floatRelations = map[string]relation{
		"eq": {of: "eq"}, "neu": {of: "eq", contrary: true},
		"ne": {of: "ne"}, "equ": {of: "ne", contrary: true},
		"lt": {of: "lt"}, "geu": {of: "lt", contrary: true},
		"gt": {of: "lt", swapped: true}, "leu": {of: "lt", swapped: true, contrary: true},
		"le": {of: "le"}, "gtu": {of: "le", contrary: true},
		"ge": {of: "le", swapped: true}, "ltu": {of: "le", swapped: true, contrary: true},
		"nan": {of: "nan"}, "num": {of: "nan", contrary: true},
	}
)

// compared is setp's.
func compared(name string, k kind) step {
	r, ok := relations[name]
	loop := integerLoops[r.of]
	switch {
	case k == kind{'f', 32}:
		r, ok = floatRelations[name]
		loop = floatLoops[r.of]
	case r.of == "lt" && k.of == 's':
		loop = lessSigned
	case r.of == "lt" && k.of != 'u':
		return nil
	}
	if !ok {
		return nil
	}
	contrary := truth(r.contrary)
	shift := 64 - k.bits
	return func(w *warp, in *instruction) outcome {
		on, d, a, b := w.operands(in)
		if r.swapped {
			a, b = b, a
		}
		loop(on, d, a, b, shift, contrary)
		return next
	}
}

// comparison sets bits, flipped where flip is 1. Integers are what is left of values shifted left.
type comparison func(on []uint8, d, a, b *[lanes]uint64, shift int, flip uint64)

var integerLoops = map[string]comparison{
	"eq": func(on []uint8, d, a, b *[lanes]uint64, shift int, flip uint64) {
		for _, i := range on {
			d[i&31] = truth((a[i&31]^b[i&31])<<shift == 0) ^ flip
		}
	},
	"lt": func(on []uint8, d, a, b *[lanes]uint64, shift int, flip uint64) {
		for _, i := range on {
			d[i&31] = truth(a[i&31]<<shift < b[i&31]<<shift) ^ flip
		}
	},
}

func lessSigned(on []uint8, d, a, b *[lanes]uint64, shift int, flip uint64) {
	for _, i := range on {
		d[i&31] = truth(int64(a[i&31]<<shift) < int64(b[i&31]<<shift)) ^ flip
	}
}

var floatLoops = map[string]comparison{
	"eq": func(on []uint8, d, a, b *[lanes]uint64, _ int, flip uint64) {
		for _, i := range on {
			d[i&31] = truth(f32(a[i&31]) == f32(b[i&31])) ^ flip
		}
	},
	"ne": func(on []uint8, d, a, b *[lanes]uint64, _ int, flip uint64) {
		for _, i := range on {
			x, y := f32(a[i&31]), f32(b[i&31])
			d[i&31] = truth(x < y || x > y) ^ flip
		}
	},
	"lt": func(on []uint8, d, a, b *[lanes]uint64, _ int, flip uint64) {
		for _, i := range on {
			d[i&31] = truth(f32(a[i&31]) < f32(b[i&31])) ^ flip
		}
	},
	"le": func(on []uint8, d, a, b *[lanes]uint64, _ int, flip uint64) {
		for _, i := range on {
			d[i&31] = truth(f32(a[i&31]) <= f32(b[i&31])) ^ flip
		}
	},
	"nan": func(on []uint8, d, a, b *[lanes]uint64, _ int, flip uint64) {
		for _, i := range on {
			x, y := f32(a[i&31]), f32(b[i&31])
			d[i&31] = truth(x != x || y != y) ^ flip
		}
	},
}
