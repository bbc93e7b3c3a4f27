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
	step    func(t *thread, in *instruction) outcome
	d       int32      // result
	a, b, c int32      // operands
	lists   [4][]int32 // those in braces
	offset  int64      // of an address behind slot a
	target  int        // of a jump
	of      kind
	gang    gang // what a warp does as one; nil: a thread alone
	line    int
	code    string
}

// outcome is how a thread goes on.
type outcome uint8

const (
	next   outcome = iota
	jumped         // pc is set
	stops          // it waits, or is done
)

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

func move(t *thread, in *instruction) outcome {
	t.r[in.d] = t.r[in.a] & in.of.mask()
	return next
}

// unpack gives each of a list its part of the bits, the lowest first.
func unpack(t *thread, in *instruction) outcome {
	l := in.lists[0]
	part := kind{'b', in.of.bits / len(l)}
	for i, d := range l {
		t.r[d] = t.r[in.a] >> (i * part.bits) & part.mask()
	}
	return next
}

func pack(t *thread, in *instruction) outcome {
	l := in.lists[0]
	part := kind{'b', in.of.bits / len(l)}
	var v uint64
	for i, a := range l {
		v |= t.r[a] & part.mask() << (i * part.bits)
	}
	t.r[in.d] = v
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
	list, address, do := ops[0], ops[1], (*thread).load
	if mods[0] == "st" {
		list, address, do = ops[1], ops[0], (*thread).store
	}
	if in.lists[0], err = b.list(list); err != nil {
		return err
	}
	where, err := memoryForm(between, len(in.lists[0]))
	if err != nil {
		return unknown(mods)
	}
	in.step = func(t *thread, in *instruction) outcome {
		do(t, where, t.r[in.a]+uint64(in.offset), in.of, in.lists[0])
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
	in.step = func(t *thread, in *instruction) outcome {
		t.r[in.d] = t.r[in.a] + base
		return next
	}
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
	in.of, in.step = k, func(t *thread, in *instruction) outcome {
		t.r[in.d] = f(t.r[in.a], t.r[in.b])
		return next
	}
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
	in.of, in.step = k, func(t *thread, in *instruction) outcome {
		t.r[in.d] = f(t.r[in.a], t.r[in.b], t.r[in.c])
		return next
	}
	if k == (kind{'f', 32}) {
		in.step = func(t *thread, in *instruction) outcome {
			t.block.run.stats.Products++
			t.r[in.d] = f(t.r[in.a], t.r[in.b], t.r[in.c])
			return next
		}
	}
	return b.operandsInto(ops, &in.d, &in.a, &in.b, &in.c)
}

// decodeFour is bfi: bits of a put into b.
func decodeFour(b *building, in *instruction, mods, ops []string) error {
	between, k, err := typed(mods)
	if err != nil || len(between) > 0 || k.of != 'b' || len(ops) != 5 {
		return unknown(mods)
	}
	in.of, in.step = k, func(t *thread, in *instruction) outcome {
		at, n := t.r[in.c]&255, t.r[in.lists[0][0]]&255
		field := (uint64(1)<<n - 1) << at
		t.r[in.d] = (t.r[in.b]&^field | t.r[in.a]<<at&field) & in.of.mask()
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
	in.of, in.step = k, func(t *thread, in *instruction) outcome {
		t.r[in.d] = f(t.r[in.a])
		return next
	}
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
	in.step = func(t *thread, in *instruction) outcome {
		t.r[in.d] = f(t.r[in.a])
		return next
	}
	return b.operandsInto(ops, &in.d, &in.a)
}

func decodeCompare(b *building, in *instruction, mods, ops []string) error {
	between, k, err := typed(mods)
	if err != nil || len(between) != 1 {
		return unknown(mods)
	}
	f := comparison(between[0], k)
	if f == nil {
		return unknown(mods)
	}
	in.step = func(t *thread, in *instruction) outcome {
		t.r[in.d] = truth(f(t.r[in.a], t.r[in.b]))
		return next
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
	in.of, in.step = k, func(t *thread, in *instruction) outcome {
		v := t.r[in.b]
		if t.r[in.c]&1 != 0 {
			v = t.r[in.a]
		}
		t.r[in.d] = v & in.of.mask()
		return next
	}
	return b.operandsInto(ops, &in.d, &in.a, &in.b, &in.c)
}

func decodeJump(b *building, in *instruction, mods, ops []string) error {
	if len(ops) != 1 || len(mods) > 1 && !slices.Equal(mods[1:], []string{"uni"}) {
		return unknown(mods)
	}
	b.jumps[len(b.program)] = ops[0]
	in.step = func(t *thread, in *instruction) outcome {
		t.pc = in.target
		return jumped
	}
	return nil
}

func decodeLeave(_ *building, in *instruction, mods, ops []string) error {
	if len(mods) > 1 || len(ops) > 0 {
		return unknown(mods)
	}
	in.step = leave
	return nil
}

func leave(t *thread, _ *instruction) outcome {
	t.done = true
	return stops
}

// decodeAtomic is compare-and-swap on global memory.
func decodeAtomic(b *building, in *instruction, mods, ops []string) error {
	between, k, err := typed(mods)
	if err != nil || !slices.Equal(between, []string{"global", "cas"}) || k.of != 'b' || k.bits < 32 || len(ops) != 4 {
		return unknown(mods)
	}
	in.of, in.step = k, func(t *thread, in *instruction) outcome {
		t.r[in.d] = t.swap(t.r[in.a]+uint64(in.offset), in.of, t.r[in.b], t.r[in.c])
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
		in.step = func(t *thread, _ *instruction) outcome {
			t.waits = forBlock
			return stops
		}
		return nil
	case slices.Equal(mods[1:], []string{"warp", "sync"}):
		in.ganged(meet)
		return b.operandsInto(ops, &in.c)
	}
	return unknown(mods)
}
