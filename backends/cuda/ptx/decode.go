package ptx

import (
	"fmt"
	"slices"
	"strings"
)

// instruction is one, ready to be done: its operands are slots of a thread.
type instruction struct {
	guard   int32 // slot of the predicate that decides; -1: always
	unless  bool
	step    step
	d       int32      // result
	a, b, c int32      // operands
	lists   [4][]int32 // those in braces
	offset  int64      // of an address behind slot a
	target  int        // of a jump
	of      kind
	gang    gang // what lanes do together; nil: each alone
	line    int
	code    string
}

// step has the lanes of a group that are on do an instruction.
type step func(w *warp, in *instruction) outcome

// decoder reads the modifiers and operands of an instruction's kind.
type decoder func(b *building, in *instruction, mods, ops []string) error

var decoders = map[string]decoder{
	"mov": decodeMove, "ld": decodeAccess, "st": decodeAccess, "cvta": decodeAddress, "cvt": decodeConvert,
	"add": decodeTwo, "sub": decodeTwo, "mul": decodeTwo, "div": decodeTwo, "rem": decodeTwo, "min": decodeTwo, "max": decodeTwo,
	"and": decodeTwo, "or": decodeTwo, "xor": decodeTwo, "shl": decodeTwo, "shr": decodeTwo,
	"fma": decodeThree, "mad": decodeThree, "bfi": decodeFour, "prmt": decodeThree,
	"not": decodeOne, "neg": decodeOne, "abs": decodeOne, "popc": decodeOne, "ex2": decodeOne, "rcp": decodeOne, "sqrt": decodeOne,
	"setp": decodeCompare, "selp": decodeSelect, "bra": decodeJump, "ret": decodeLeave,
	"atom": decodeAtomic, "bar": decodeBarrier, "shfl": decodeShuffle, "vote": decodeVote, "wmma": decodeMatrix,
	"mma": decodeProduct, "ldmatrix": decodeMatrices,
}

func (b *building) decode(in *instruction, name string, mods, ops []string) error {
	d, ok := decoders[name]
	if !ok {
		return fmt.Errorf("unknown instruction")
	}
	return d(b, in, append([]string{name}, mods...), ops)
}

// operandsInto reads operands into the instruction's fields, of which it must have as many.
func (b *building) operandsInto(ops []string, to ...*int32) error {
	if len(ops) != len(to) {
		return fmt.Errorf("%d operands, want %d", len(ops), len(to))
	}
	for i, s := range ops {
		slot, err := b.operand(s)
		if err != nil {
			return err
		}
		*to[i] = slot
	}
	return nil
}

// typed is the type that a name ends in, and the modifiers between.
func typed(mods []string) (between []string, k kind, err error) {
	if len(mods) < 2 {
		return nil, kind{}, unknown(mods)
	}
	k, err = parseKind(mods[len(mods)-1])
	return mods[1 : len(mods)-1], k, err
}

func unknown(mods []string) error { return fmt.Errorf("unknown form %s", strings.Join(mods, ".")) }

func decodeMove(b *building, in *instruction, mods, ops []string) (err error) {
	between, k, err := typed(mods)
	if err != nil || len(between) > 0 || len(ops) != 2 {
		return unknown(mods)
	}
	in.of = k
	switch {
	case strings.HasPrefix(ops[0], "{"):
		in.step = unpack
		if in.lists[0], err = b.list(ops[0]); err == nil {
			in.a, err = b.operand(ops[1])
		}
		return err
	case strings.HasPrefix(ops[1], "{"):
		in.step = pack
		if in.lists[0], err = b.list(ops[1]); err == nil {
			in.d, err = b.operand(ops[0])
		}
		return err
	}
	in.step = move
	return b.operandsInto(ops, &in.d, &in.a)
}

func move(w *warp, in *instruction) outcome {
	d, a, m := &w.r[in.d], &w.r[in.a], in.of.mask()
	for _, i := range w.on {
		d[i&31] = a[i&31] & m
	}
	return next
}

// unpack gives each of a list its part of the bits, the lowest first.
func unpack(w *warp, in *instruction) outcome {
	l := in.lists[0]
	part := kind{'b', in.of.bits / len(l)}
	for _, i := range w.on {
		v := w.r[in.a][i]
		for j, d := range l {
			w.r[d][i] = v >> (j * part.bits) & part.mask()
		}
	}
	return next
}

func pack(w *warp, in *instruction) outcome {
	l := in.lists[0]
	part := kind{'b', in.of.bits / len(l)}
	for _, i := range w.on {
		var v uint64
		for j, a := range l {
			v |= w.r[a][i] & part.mask() << (j * part.bits)
		}
		w.r[in.d][i] = v
	}
	return next
}

// spaces are the state spaces that can be read and written; "" is a generic address.
var spaces = map[string]space{"global": global, "shared": shared}

// decodeAccess is ld list, [address] and st [address], list. Parameters are slots.
func decodeAccess(b *building, in *instruction, mods, ops []string) error {
	between, k, err := typed(mods)
	if err != nil || len(ops) != 2 || k.of == 'p' || k.of == 'h' {
		return unknown(mods)
	}
	in.of = k
	if mods[0] == "ld" && slices.Equal(between, []string{"param"}) {
		in.step = move
		return b.operandsInto(ops, &in.d, &in.a)
	}
	list, address, do := ops[0], ops[1], (*warp).load
	if mods[0] == "st" {
		list, address, do = ops[1], ops[0], (*warp).store
	}
	if in.lists[0], err = b.list(list); err != nil {
		return err
	}
	where, err := memoryForm(between, len(in.lists[0]))
	if err != nil {
		return unknown(mods)
	}
	in.step = func(w *warp, in *instruction) outcome {
		do(w, in, where)
		return next
	}
	in.a, in.offset, err = b.address(address)
	return err
}

// memoryForm reads a state space and a vector's width, which must be that of the list.
func memoryForm(between []string, n int) (space, error) {
	where := generic
	if len(between) > 0 {
		if s, ok := spaces[between[0]]; ok {
			where, between = s, between[1:]
		}
	}
	width := map[int]string{2: "v2", 4: "v4"}[n]
	if width != "" && len(between) == 1 && between[0] == width || n == 1 && len(between) == 0 {
		return where, nil
	}
	return 0, fmt.Errorf("unknown form of access")
}

// decodeAddress is cvta: between a state space's addresses and generic ones.
func decodeAddress(b *building, in *instruction, mods, ops []string) error {
	to := len(mods) == 4 && mods[1] == "to"
	if !to && len(mods) != 3 || mods[len(mods)-1] != "u64" {
		return unknown(mods)
	}
	base, ok := map[string]uint64{"global": 0, "shared": sharedWindow}[mods[len(mods)-2]]
	if !ok {
		return unknown(mods)
	}
	if to {
		base = -base
	}
	in.step = eachOne(func(x uint64) uint64 { return x + base })
	return b.operandsInto(ops, &in.d, &in.a)
}

func decodeTwo(b *building, in *instruction, mods, ops []string) error {
	between, k, err := typed(mods)
	if err != nil {
		return err
	}
	f := two(mods[0], between, k)
	if f == nil {
		return unknown(mods)
	}
	in.of, in.step = k, f
	return b.operandsInto(ops, &in.d, &in.a, &in.b)
}

func decodeThree(b *building, in *instruction, mods, ops []string) error {
	between, k, err := typed(mods)
	if err != nil {
		return err
	}
	f := three(mods[0], between, k)
	if f == nil {
		return unknown(mods)
	}
	in.of, in.step = k, f
	return b.operandsInto(ops, &in.d, &in.a, &in.b, &in.c)
}

// decodeFour is bfi: bits of a put into b.
func decodeFour(b *building, in *instruction, mods, ops []string) error {
	between, k, err := typed(mods)
	if err != nil || len(between) > 0 || k.of != 'b' || len(ops) != 5 {
		return unknown(mods)
	}
	in.of, in.step = k, func(w *warp, in *instruction) outcome {
		for _, i := range w.on {
			at, n := w.r[in.c][i]&255, w.r[in.lists[0][0]][i]&255
			field := (uint64(1)<<n - 1) << at
			w.r[in.d][i] = (w.r[in.b][i]&^field | w.r[in.a][i]<<at&field) & in.of.mask()
		}
		return next
	}
	if in.lists[0], err = b.list(ops[4]); err != nil {
		return err
	}
	return b.operandsInto(ops[:4], &in.d, &in.a, &in.b, &in.c)
}

func decodeOne(b *building, in *instruction, mods, ops []string) error {
	between, k, err := typed(mods)
	if err != nil {
		return err
	}
	f := one(mods[0], between, k)
	if f == nil {
		return unknown(mods)
	}
	in.of, in.step = k, eachOne(f)
	return b.operandsInto(ops, &in.d, &in.a)
}

func decodeConvert(b *building, in *instruction, mods, ops []string) error {
	if len(mods) < 3 {
		return unknown(mods)
	}
	to, err1 := parseKind(mods[len(mods)-2])
	from, err2 := parseKind(mods[len(mods)-1])
	if err1 != nil || err2 != nil {
		return unknown(mods)
	}
	f := conversion(mods[1:len(mods)-2], to, from)
	if f == nil {
		return unknown(mods)
	}
	in.step = eachOne(f)
	return b.operandsInto(ops, &in.d, &in.a)
}

func decodeCompare(b *building, in *instruction, mods, ops []string) error {
	between, k, err := typed(mods)
	if err != nil || len(between) != 1 {
		return unknown(mods)
	}
	if in.step = compared(between[0], k); in.step == nil {
		return unknown(mods)
	}
	return b.operandsInto(ops, &in.d, &in.a, &in.b)
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func decodeSelect(b *building, in *instruction, mods, ops []string) error {
	between, k, err := typed(mods)
	if err != nil || len(between) > 0 {
		return unknown(mods)
	}
	in.of, in.step = k, selected
	return b.operandsInto(ops, &in.d, &in.a, &in.b, &in.c)
}

func selected(w *warp, in *instruction) outcome {
	d, a, b, p, m := &w.r[in.d], &w.r[in.a], &w.r[in.b], &w.r[in.c], in.of.mask()
	for _, i := range w.on {
		v := b[i&31]
		if p[i&31]&1 != 0 {
			v = a[i&31]
		}
		d[i&31] = v & m
	}
	return next
}

func decodeJump(b *building, in *instruction, mods, ops []string) error {
	if len(ops) != 1 || len(mods) > 1 && !slices.Equal(mods[1:], []string{"uni"}) {
		return unknown(mods)
	}
	b.jumps[len(b.program)] = ops[0]
	in.step = results(jumps)
	return nil
}

func decodeLeave(_ *building, in *instruction, mods, ops []string) error {
	if len(mods) > 1 || len(ops) > 0 {
		return unknown(mods)
	}
	in.step = results(returned)
	return nil
}

func results(o outcome) step { return func(*warp, *instruction) outcome { return o } }

// decodeAtomic is compare-and-swap on global memory.
func decodeAtomic(b *building, in *instruction, mods, ops []string) error {
	between, k, err := typed(mods)
	if err != nil || !slices.Equal(between, []string{"global", "cas"}) || k.of != 'b' || k.bits < 32 || len(ops) != 4 {
		return unknown(mods)
	}
	in.of, in.step = k, func(w *warp, in *instruction) outcome {
		for _, i := range w.on {
			w.r[in.d][i] = w.swap(i, w.r[in.a][i]+uint64(in.offset), in.of, w.r[in.b][i], w.r[in.c][i])
		}
		return next
	}
	if in.a, in.offset, err = b.address(ops[1]); err != nil {
		return err
	}
	return b.operandsInto([]string{ops[0], ops[2], ops[3]}, &in.d, &in.b, &in.c)
}

// decodeBarrier is bar.sync 0, a block's, and bar.warp.sync.
func decodeBarrier(b *building, in *instruction, mods, ops []string) error {
	switch {
	case slices.Equal(mods[1:], []string{"sync"}) && slices.Equal(ops, []string{"0"}):
		in.step = results(forBlock)
		return nil
	case slices.Equal(mods[1:], []string{"warp", "sync"}):
		in.ganged(meet)
		return b.operandsInto(ops, &in.c)
	}
	return unknown(mods)
}
