package ptx

import (
	"slices"
	"strconv"
	"strings"
)

// gang is what lanes of a warp do together, once all of them that take part are there.
type gang func(w *gathered)

// gathered is the lanes that a warp's instruction has, by their number; nil: not taking part.
type gathered struct {
	in   *instruction
	lane [lanes]*thread
}

// ganged makes an instruction one of a warp. Its operand c is the mask of the lanes that
// take part.
func (in *instruction) ganged(g gang) {
	in.gang = g
	in.step = func(t *thread, _ *instruction) outcome {
		t.waits = forWarp
		return stops
	}
}

// gangs does what a warp's lanes wait for together, where all whom they name are there.
func (b *block) gangs(warp []thread) (went bool) {
	tried := uint32(0)
	for i := range warp {
		t := &warp[i]
		if t.waits != forWarp || tried>>i&1 == 1 {
			continue
		}
		in := &b.run.kernel.program[t.pc]
		mask := uint32(t.r[in.c])
		tried |= mask | 1<<i
		if w := b.gather(warp, t, in, mask); w != nil {
			in.gang(w)
			for _, t := range w.lane {
				if t != nil {
					t.waits = forNothing
					t.pc++
				}
			}
			went = true
		}
	}
	return went
}

// gather is the lanes of a mask, all of which wait at an instruction with that mask; nil:
// some are still on their way.
func (b *block) gather(warp []thread, first *thread, in *instruction, mask uint32) *gathered {
	w := &gathered{in: in}
	if mask>>(first.number%lanes)&1 == 0 {
		first.fail("the mask %#x does not name the lane itself", mask)
	}
	for i := range lanes {
		if mask>>i&1 == 0 {
			continue
		}
		if i >= len(warp) || warp[i].done {
			first.fail("the mask %#x names lane %d, which has returned or never was", mask, i)
		}
		t := &warp[i]
		if t.waits == forNothing || t.waits == forWarp && t.pc != first.pc {
			return nil
		}
		if t.waits == forBlock {
			first.fail("lane %d waits for its block meanwhile", i)
		}
		if uint32(t.r[in.c]) != mask {
			first.fail("lane %d has the mask %#x, this one %#x", i, uint32(t.r[in.c]), mask)
		}
		w.lane[i] = t
	}
	return w
}

// meet is bar.warp.sync.
func meet(w *gathered) {
	for _, t := range w.lane {
		if t != nil {
			t.past(0, 1)
		}
	}
}

// decodeShuffle is shfl.sync, after the pseudocode of the ISA.
func decodeShuffle(b *building, in *instruction, mods, ops []string) (err error) {
	if len(mods) != 4 || mods[1] != "sync" || mods[3] != "b32" || len(ops) != 5 || !slices.Contains([]string{"up", "down", "bfly", "idx"}, mods[2]) {
		return unknown(mods)
	}
	way := mods[2]
	in.ganged(func(w *gathered) { shuffle(w, way) })
	if in.lists[0], err = b.list(strings.Replace(ops[0], "|", ",", 1)); err == nil {
		in.lists[1], err = b.list(ops[3])
	}
	if err != nil {
		return err
	}
	return b.operandsInto([]string{ops[1], ops[2], ops[4]}, &in.a, &in.b, &in.c)
}

func shuffle(w *gathered, way string) {
	var values [lanes]uint64
	for i, t := range w.lane {
		if t != nil {
			values[i] = t.r[w.in.a] & 0xffffffff
		}
	}
	for i, t := range w.lane {
		if t == nil {
			continue
		}
		from, within := source(way, i, int(t.r[w.in.b]&31), int(t.r[w.in.lists[1][0]]))
		if w.lane[from] == nil {
			t.fail("reads lane %d, which takes no part", from)
		}
		t.r[w.in.lists[0][0]] = values[from]
		if len(w.in.lists[0]) > 1 {
			t.r[w.in.lists[0][1]] = truth(within)
		}
	}
}

// source is the lane that one reads, itself where the wanted one lies outside its segment.
func source(way string, lane, by, clamp int) (from int, within bool) {
	segment := clamp >> 8 & 31
	last := lane&segment | clamp&31&^segment
	switch way {
	case "up":
		from = lane - by
		within = from >= last
	case "down":
		from = lane + by
		within = from <= last
	case "bfly":
		from = lane ^ by
		within = from <= last
	default:
		from = lane&segment | by&^segment
		within = from <= last
	}
	if !within {
		from = lane
	}
	return from, within
}

// decodeVote is vote.sync.ballot: a bit a lane.
func decodeVote(b *building, in *instruction, mods, ops []string) error {
	if !slices.Equal(mods[1:], []string{"sync", "ballot", "b32"}) {
		return unknown(mods)
	}
	in.ganged(func(w *gathered) {
		var out uint64
		for i, t := range w.lane {
			if t != nil {
				out |= t.r[w.in.a] & 1 << i
			}
		}
		for _, t := range w.lane {
			if t != nil {
				t.r[w.in.d] = out
			}
		}
	})
	return b.operandsInto(ops, &in.d, &in.a, &in.c)
}

// allLanes is the mask of what .aligned instructions need.
func (b *building) allLanes() (int32, error) { return b.operand(strconv.FormatUint(0xffffffff, 10)) }
