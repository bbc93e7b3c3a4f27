package ptx

import (
	"slices"
	"strings"
)

// side is the length of a fragment's sides: of wmma's shapes m16n16k16 alone is known.
const side = 16

// part is which fragment of a product it is.
type part byte

// form is how a fragment lies in registers: how many a lane has, and values in each.
type form struct {
	of        kind
	registers int
	each      int // values in a register; halves are there twice, as on hardware
}

var forms = map[string]form{
	"f16": {kind{'f', 16}, 8, 1},
	"s8":  {kind{'s', 8}, 2, 4},
	"f32": {kind{'f', 32}, 8, 1},
	"s32": {kind{'s', 32}, 8, 1},
}

// place is the number in a fragment, row by row, of a lane's value: another order in a, b
// and accumulators, since none is promised.
func place(p part, lane, value int) int {
	i := lane*8 + value
	switch p {
	case 'a':
		return i
	case 'b':
		return side*side - 1 - i
	}
	return (i*5 + 3) % (side * side)
}

// decodeMatrix is wmma.load, wmma.mma and wmma.store.
func decodeMatrix(b *building, in *instruction, mods, ops []string) (err error) {
	if len(mods) < 7 || !slices.Contains(mods, "m16n16k16") {
		return unknown(mods)
	}
	if in.c, err = b.allLanes(); err != nil {
		return err
	}
	switch mods[1] {
	case "load":
		return b.fragmentMoved(in, mods, ops, false)
	case "store":
		return b.fragmentMoved(in, mods, ops, true)
	case "mma":
		return b.multiplied(in, mods, ops)
	}
	return unknown(mods)
}

// fragmentMoved is wmma.load.P.sync.aligned.LAYOUT.SHAPE[.SPACE].TYPE list, [address], stride,
// and store's the same but for the order of its operands.
func (b *building) fragmentMoved(in *instruction, mods, ops []string, writes bool) (err error) {
	if len(mods[2]) != 1 {
		return unknown(mods)
	}
	p, layout, f := part(mods[2][0]), mods[5], forms[mods[len(mods)-1]]
	where := generic
	if len(mods) == 9 {
		s, ok := spaces[mods[7]]
		if !ok {
			return unknown(mods)
		}
		where = s
	}
	known := slices.Equal(mods[3:5], []string{"sync", "aligned"}) && mods[6] == "m16n16k16" && (len(mods) == 8 || len(mods) == 9)
	wide := f.of.bits == 32
	if !known || f.registers == 0 || writes != (p == 'd') || !writes && wide != (p == 'c') || writes && !wide || len(ops) != 3 || layout != "row" && layout != "col" {
		return unknown(mods)
	}
	if writes {
		ops[0], ops[1] = ops[1], ops[0]
	}
	if in.lists[0], err = b.list(ops[0]); err != nil {
		return err
	}
	if len(in.lists[0]) != f.registers {
		return unknown(mods)
	}
	if in.a, in.offset, err = b.address(ops[1]); err != nil {
		return err
	}
	in.ganged(func(w *warp, in *instruction) { w.moveFragment(in, where, p, f, layout == "col", writes) })
	return b.operandsInto(ops[2:], &in.b)
}

// moveFragment has every lane read or write its values, one by one. The first must be
// aligned to 32 bytes and rows be multiples of 16 apart, as CUDA's C++ guide wants it of
// load_matrix_sync, which is this instruction. (The ISA's text wants each row
// aligned to the bytes that a lane has of the fragment, which 8 halves of padding break.)
func (w *warp) moveFragment(in *instruction, where space, p part, f form, columns, writes bool) {
	at, strides := &w.r[in.a], &w.r[in.b]
	base, stride := at[0]+uint64(in.offset), int(int32(strides[0])) // all lanes are there
	size := f.of.bytes()
	if base%32 != 0 || stride*size%16 != 0 {
		w.fail(0, "rows from %#x, %d bytes apart: not aligned to 32 and 16", base, stride*size)
	}
	var m view
	for _, lane := range w.on {
		if at[lane]+uint64(in.offset) != base || int(int32(strides[lane])) != stride {
			w.fail(lane, "lanes have different addresses or strides")
		}
		for v := range 8 {
			i := place(p, int(lane), v)
			major, minor := i/side, i%side
			if columns {
				major, minor = minor, major
			}
			i = w.find(&m, lane, where, base+uint64((major*stride+minor)*size), size)
			if writes {
				w.writes(&m, lane, i, size, false)
				store(m.data[i:], size, w.value(lane, in.lists[0], f, v))
			} else {
				w.reads(&m, 1<<lane, i, size)
				w.setValue(lane, in.lists[0], f, v, load(m.data[i:], size))
			}
		}
	}
}

// value is a lane's number v of a fragment.
func (w *warp) value(lane uint8, list []int32, f form, v int) uint64 {
	return w.r[list[v/f.each]][lane] >> (v % f.each * f.of.bits) & f.of.mask()
}

func (w *warp) setValue(lane uint8, list []int32, f form, v int, x uint64) {
	r := &w.r[list[v/f.each]][lane]
	switch {
	case f.of == kind{'f', 16}:
		*r = x | x<<16
	case f.each == 1:
		*r = x
	default:
		shift := v % f.each * f.of.bits
		*r = *r&^(f.of.mask()<<shift) | x<<shift
	}
}

// multiplied is wmma.mma.sync.aligned.LAYOUT.LAYOUT.SHAPE.TYPES d, a, b, c. The types are d's
// and c's for halves, d's, a's, b's and c's for others.
func (b *building) multiplied(in *instruction, mods, ops []string) (err error) {
	operand, sum := form{}, form{}
	switch strings.Join(mods[7:], ".") {
	case "f32.f32":
		operand, sum = forms["f16"], forms["f32"]
	case "s32.s8.s8.s32":
		operand, sum = forms["s8"], forms["s32"]
	}
	if sum.registers == 0 || !slices.Equal(mods[2:4], []string{"sync", "aligned"}) || mods[6] != "m16n16k16" || len(ops) != 4 {
		return unknown(mods)
	}
	for i, o := range ops {
		if in.lists[i], err = b.list(o); err != nil {
			return err
		}
		want := operand.registers
		if i == 0 || i == 3 {
			want = sum.registers
		}
		if len(in.lists[i]) != want {
			return unknown(mods)
		}
	}
	in.ganged(func(w *warp, in *instruction) { w.multiply(in, operand, sum) })
	return nil
}

// multiply adds the products of two fragments to a third. Those of floats are summed
// exactly enough in float64 and rounded once.
func (w *warp) multiply(in *instruction, operand, sum form) {
	var a, b [side * side]float64
	w.values('a', in.lists[1], operand, &a)
	w.values('b', in.lists[2], operand, &b)
	var c [side * side]float64
	w.values('c', in.lists[3], sum, &c)
	w.block.run.stats.Products += side * side * side
	for lane := range uint8(lanes) {
		for v := range 8 {
			i := place('c', int(lane), v)
			row, col := i/side, i%side
			s := c[i]
			for k := range side {
				s += a[row*side+k] * b[k*side+col]
			}
			w.setValue(lane, in.lists[0], sum, v, summed(sum.of, s))
		}
	}
}

// summed is a sum as a value of its type.
func summed(k kind, s float64) uint64 {
	if k.of == 's' {
		return uint64(uint32(int64(s))) // wraps
	}
	return bits32(float32(s))
}

// values are a whole fragment's, row by row.
func (w *warp) values(p part, list []int32, f form, to *[side * side]float64) {
	for lane := range uint8(lanes) {
		for v := range 8 {
			to[place(p, int(lane), v)] = number64(f.of, w.value(lane, list, f, v))
		}
	}
}

// number64 is a value of a fragment.
func number64(k kind, v uint64) float64 {
	switch {
	case k.of == 's':
		return float64(k.signed(v))
	case k.of == 'h':
		return float64(brainValue(v))
	case k.bits == 16:
		return float64(halfValue(v))
	}
	return float64(f32(v))
}
