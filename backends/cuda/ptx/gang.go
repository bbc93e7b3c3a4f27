package ptx

import (
	"slices"
	"strconv"
	"strings"
)

// gang is what lanes of a warp do together, those that are on, once all that take part are there.
type gang func(w *warp, in *instruction)

// ganged makes an instruction one of a warp. Its operand c is the mask of the lanes that
// take part.
func (in *instruction) ganged(g gang) {
	in.gang = g
	in.step = func(w *warp, in *instruction) outcome {
		masks := &w.r[in.c]
		for _, i := range w.on {
			if uint32(masks[i&31]) != w.mask {
				return forWarp
			}
		}
		in.gang(w, in)
		return next
	}
}

// gangs does what lanes that came one after another wait for together, where all whom they name
// are there.
func (w *warp) gangs() (went bool) {
	tried := uint32(0)
	for i := range uint8(w.count) {
		l := &w.lane[i]
		if l.waits != forWarp || tried>>i&1 == 1 {
			continue
		}
		w.pc = l.pc
		in := &w.block.run.kernel.program[l.pc]
		mask := uint32(w.r[in.c][i])
		tried |= mask | 1<<i
		if !w.gather(i, in, mask) {
			continue
		}
		in.gang(w, in)
		for _, j := range w.on {
			w.lane[j].waits = next
			w.lane[j].pc++
		}
		went = true
	}
	return went
}

// gather makes a group of the lanes of a mask, all of which wait at an instruction with that mask;
// false: some are still on their way.
func (w *warp) gather(first uint8, in *instruction, mask uint32) bool {
	if mask>>first&1 == 0 {
		w.fail(first, "the mask %#x does not name the lane itself", mask)
	}
	w.on, w.mask = w.group[:0], mask
	for i := range uint8(lanes) {
		if mask>>i&1 == 0 {
			continue
		}
		l := &w.lane[i]
		switch {
		case int(i) >= w.count || l.waits == returned:
			w.fail(first, "the mask %#x names lane %d, which has returned or never was", mask, i)
		case l.waits == next || l.waits == forWarp && l.pc != w.pc:
			return false
		case l.waits == forBlock:
			w.fail(first, "lane %d waits for its block meanwhile", i)
		case uint32(w.r[in.c][i]) != mask:
			w.fail(first, "lane %d has the mask %#x, this one %#x", i, uint32(w.r[in.c][i]), mask)
		}
		w.on = append(w.on, i)
	}
	return true
}

// meet is bar.warp.sync. It orders what lanes do in memory where it names all of the warp's.
func meet(w *warp, _ *instruction) {
	if len(w.on) == w.count {
		w.passes(w.block.run.memory.nextStamp())
	}
}

// decodeShuffle is shfl.sync, after the pseudocode of the ISA.
func decodeShuffle(b *building, in *instruction, mods, ops []string) (err error) {
	if len(mods) != 4 || mods[1] != "sync" || mods[3] != "b32" || len(ops) != 5 || !slices.Contains([]string{"up", "down", "bfly", "idx"}, mods[2]) {
		return unknown(mods)
	}
	way := mods[2]
	in.ganged(func(w *warp, in *instruction) { w.shuffle(in, way) })
	if in.lists[0], err = b.list(strings.Replace(ops[0], "|", ",", 1)); err == nil {
		in.lists[1], err = b.list(ops[3])
	}
	if err != nil {
		return err
	}
	return b.operandsInto([]string{ops[1], ops[2], ops[4]}, &in.a, &in.b, &in.c)
}

func (w *warp) shuffle(in *instruction, way string) {
	values, by, clamp := w.r[in.a], &w.r[in.b], &w.r[in.lists[1][0]]
	for _, i := range w.on {
		from, within := source(way, int(i), int(by[i&31]&31), int(clamp[i&31]))
		if w.mask>>from&1 == 0 {
			w.fail(i, "reads lane %d, which takes no part", from)
		}
		w.r[in.lists[0][0]][i&31] = values[from&31] & 0xffffffff
		if len(in.lists[0]) > 1 {
			w.r[in.lists[0][1]][i&31] = truth(within)
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
	in.ganged(func(w *warp, in *instruction) {
		var out uint64
		for _, i := range w.on {
			out |= w.r[in.a][i] & 1 << i
		}
		for _, i := range w.on {
			w.r[in.d][i] = out
		}
	})
	return b.operandsInto(ops, &in.d, &in.a, &in.c)
}

// allLanes is the mask of what .aligned instructions need.
func (b *building) allLanes() (int32, error) { return b.operand(strconv.FormatUint(0xffffffff, 10)) }
