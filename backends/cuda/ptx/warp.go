package ptx

import (
	"fmt"
	"math"
)

const lanes = 32 // of a warp

// never is behind all instructions.
const never = math.MaxInt

// warp is lanes, of which those that stand at the same instruction do it together.
type warp struct {
	block *block
	first int // the thread that is lane 0
	count int // of its lanes
	lane  [lanes]lane
	r     [][lanes]uint64 // slots
	stamp stamp           // of accesses

	// The group that runs.
	on    []uint8 // its lanes, those that the instruction's guard lets through, in the order drawn
	mask  uint32  // the same lanes
	pc    int
	until int // where it must wait for others to go on
	done  int // the most instructions that one of its lanes had done when it was made
	steps int // those that it has done since

	order, group, guarded [lanes]uint8
}

// lane is a thread, as it is while it does not run.
type lane struct {
	pc    int
	steps int
	waits outcome // next: for nothing
}

// outcome is how a group goes on, and what a lane waits for.
type outcome uint8

const (
	next     outcome = iota
	jumps            // to the target
	forBlock         // it waits for its block
	forWarp          // for lanes of its warp
	returned
)

// begin sets the warp up for a block. Registers hold what they held.
func (w *warp) begin() {
	w.lane = [lanes]lane{}
	l := w.block.run
	order := w.order[:w.count]
	l.random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	where := l.how.Grid.at(w.block.number)
	for k := range 3 {
		w.fill(6+k, uint64(where[k]))
	}
}

// fill gives all lanes a value.
func (w *warp) fill(slot int, v uint64) {
	for i := range w.r[slot] {
		w.r[slot][i] = v
	}
}

// passes has the warp's accesses be of a number.
func (w *warp) passes(number stamp) { w.stamp = number + stamp(w.first/lanes) }

// goes runs lanes till each waits for other warps, or has returned.
func (w *warp) goes() (went bool) {
	for {
		switch {
		case w.pick():
			w.run()
		case !w.gangs():
			return went
		}
		went = true
	}
}

// pick makes a group of lanes that can go on: those at the lowest instruction, up to where the
// next ones stand, so that lanes that have parted meet again; or, now and then, the next ones.
func (w *warp) pick() bool {
	at, above := never, never
	for i := range w.lane[:w.count] {
		switch l := &w.lane[i]; {
		case l.waits != next || l.pc == at:
		case l.pc < at:
			at, above = l.pc, at
		default:
			above = min(above, l.pc)
		}
	}
	if at == never {
		return false
	}
	w.pc, w.until = at, above
	if above < never && w.block.run.random.Uint32()%16 == 0 {
		w.pc, w.until = above, never
	}
	w.on, w.mask, w.steps, w.done = w.group[:0], 0, 0, 0
	for _, i := range w.order[:w.count] {
		if l := &w.lane[i&31]; l.waits == next && l.pc == w.pc {
			w.on = append(w.on, i)
			w.mask |= 1 << i
			w.done = max(w.done, l.steps)
		}
	}
	return true
}

// run has the group go on till it parts, waits, or meets others.
func (w *warp) run() {
	program, on, mask := w.block.run.kernel.program, w.on, w.mask
	for w.pc < w.until {
		in := &program[w.pc]
		w.steps++
		o := next
		if in.guard < 0 || w.narrow(in) {
			o = in.step(w, in)
		}
		switch {
		case o == next:
			w.pc++
		case o == jumps && len(w.on) == len(on):
			w.bound()
			w.pc = in.target
		default:
			w.part(on, in, o)
			return
		}
		w.on, w.mask = on, mask
	}
	w.leave(on, w.pc)
}

// narrow leaves those of a group on whom the guard lets through; false: there are none.
func (w *warp) narrow(in *instruction) bool {
	p, n, mask := &w.r[in.guard], 0, uint32(0)
	for _, i := range w.on {
		w.guarded[n&31] = i
		if p[i&31]&1 != 0 != in.unless {
			n++
			mask |= 1 << (i & 31)
		}
	}
	w.on, w.mask = w.guarded[:n], mask
	return n > 0
}

// bound fails where a lane of the group has done too much. Only jumps can go on for ever.
func (w *warp) bound() {
	if w.done+w.steps > w.block.run.most {
		w.fail(w.on[0], "more than %d instructions", w.block.run.most)
	}
}

// part ends a group, of which those that are on jump or wait, and the others go on.
func (w *warp) part(all []uint8, in *instruction, o outcome) {
	w.leave(all, w.pc+1)
	to, waits := w.pc, o
	if o == jumps {
		w.bound()
		to, waits = in.target, next
	}
	for _, i := range w.on {
		w.lane[i].pc, w.lane[i].waits = to, waits
	}
	switch o {
	case returned:
		w.block.left -= len(w.on)
	case forBlock:
		w.block.waiting += len(w.on)
	}
}

// leave has all of a group stand at an instruction.
func (w *warp) leave(all []uint8, pc int) {
	for _, i := range all {
		l := &w.lane[i]
		l.pc = pc
		l.steps += w.steps
	}
	w.block.run.stats.Instructions += int64(w.steps * len(all))
}

// wrong is what a lane panics with; the launch makes a Fault of it.
type wrong struct {
	pc, thread int
	what       string
}

func (w *warp) fail(lane uint8, format string, args ...any) {
	panic(wrong{w.pc, w.first + int(lane), fmt.Sprintf(format, args...)})
}
