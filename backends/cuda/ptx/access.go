package ptx

import (
	"encoding/binary"
	"math/bits"
)

// space is a state space.
type space uint8

const (
	generic space = iota
	global
	shared
)

// view is an allocation, or a block's shared memory, as addresses see it. The next lane's lies mostly
// in that of the last.
type view struct {
	*tracked
	start  uint64
	floor  stamp // where what counts begins: a launch, or a block
	global bool
}

// find is where n bytes, a power of two, at a lane's address lie, checked, in a view that is changed where they lie in
// none or another.
func (w *warp) find(v *view, lane uint8, where space, at uint64, n int) int {
	if v.tracked != nil && at&uint64(n-1) == 0 {
		if off := at - v.start; off < uint64(len(v.data)) && off+uint64(n) <= uint64(len(v.data)) {
			return int(off)
		}
	}
	return w.look(v, lane, where, at, n)
}

func (w *warp) look(v *view, lane uint8, where space, at uint64, n int) int {
	start := uint64(0)
	if where == generic && at >= sharedWindow && at < sharedWindow+windowBytes {
		where, start = shared, sharedWindow
	}
	if at%uint64(n) != 0 {
		w.fail(lane, "%d bytes at %#x, which is no multiple of that", n, at-start)
	}
	if where != shared {
		b, i, err := w.block.run.memory.part(at, n)
		if err != nil {
			w.fail(lane, "%v", err)
		}
		*v = view{&b.tracked, b.start, w.block.run.floor, true}
		return i
	}
	s := &w.block.shared
	if off := at - start; off+uint64(n) > uint64(len(s.data)) || off > uint64(len(s.data)) {
		w.fail(lane, "%d bytes at %d of %d of shared memory", n, off, len(s.data))
	}
	*v = view{s, start, w.block.floor, false}
	return int(at - start)
}

// same is lanes that read at one address.
type same struct {
	at   uint64
	mask uint32
}

// addresses are those of the lanes that are on, behind which n bytes are read, each once unless others come
// between.
func (w *warp) addresses(in *instruction, n int, to *[lanes]same) []same {
	var last [lanes]uint8 // of an address's low bits, the number in to, from 1
	shift, at, count := bits.TrailingZeros(uint(n)), &w.r[in.a], uint8(0)
	for _, l := range w.on {
		a := at[l&31] + uint64(in.offset)
		k := &last[a>>(shift&31)%lanes]
		if *k == 0 || to[(*k-1)&31].at != a {
			to[count&31] = same{at: a}
			count++
			*k = count
		}
		to[(*k-1)&31].mask |= 1 << (l & 31)
	}
	return to[:count]
}

// load has each lane read as many values as the list has slots, as one access.
func (w *warp) load(in *instruction, where space) {
	var v view
	var all [lanes]same
	size, list := in.of.bytes(), in.lists[0]
	n := size * len(list)
	for _, one := range w.addresses(in, n, &all) {
		i := w.find(&v, first(one.mask), where, one.at, n)
		w.reads(&v, one.mask, i, n)
		data := v.data[i : i+n]
		for j, d := range list {
			x := load(data[j*size:], size)
			if in.of.of == 's' {
				x = uint64(in.of.signed(x))
			}
			set(&w.r[d], one.mask, x)
		}
	}
}

func first(mask uint32) uint8 { return uint8(bits.TrailingZeros32(mask)) }

// set gives lanes a value.
func set(to *[lanes]uint64, mask uint32, v uint64) {
	for ; mask != 0; mask &= mask - 1 {
		to[first(mask)&31] = v
	}
}

func (w *warp) store(in *instruction, where space) {
	var v view
	size, list, at := in.of.bytes(), in.lists[0], &w.r[in.a]
	n := size * len(list)
	for _, l := range w.on {
		i := w.find(&v, l, where, at[l&31]+uint64(in.offset), n)
		w.writes(&v, l, i, n, false)
		for j, a := range list {
			store(v.data[i+j*size:], size, w.r[a][l&31])
		}
	}
}

// reads notes that lanes read n bytes of a view, and checks that somebody wrote them, and none who is not
// ordered before them.
func (w *warp) reads(v *view, mask uint32, i, n int) {
	if v.global {
		w.block.run.stats.Read += int64(n * bits.OnesCount32(mask))
	}
	cells, size := v.seen.span(i, n, len(v.data))
	for j := range cells {
		if c := &cells[j]; !c.again(w, mask) {
			w.readsAnew(v, c, mask, i+j*size, size)
		}
	}
}

func (w *warp) readsAnew(v *view, c *cell, mask uint32, i, n int) {
	w.wantKnown(v, first(mask), i, n)
	race, fresh := c.reading(w, mask, v.floor)
	if race != "" {
		if others := mask &^ (1 << c.writer); others != 0 {
			mask = others
		}
		w.fail(first(mask), "race: %s, at byte %d of an allocation", race, i)
	}
	if fresh && v.global {
		w.block.run.stats.DistinctRead += int64(n)
	}
}

// wantKnown fails where nobody wrote what a lane reads.
func (w *warp) wantKnown(v *view, lane uint8, i, n int) {
	if n == 4 && binary.LittleEndian.Uint32(v.known[i:]) == allKnown || n == 1 && v.known[i] == 1 {
		return
	}
	if j := v.unknown(i, n); j >= 0 {
		w.fail(lane, "reads byte %d of an allocation, which nobody wrote", i+j)
	}
}

// writes notes that a lane writes n bytes of a view, and checks that nobody who is not ordered before it has
// touched them.
func (w *warp) writes(v *view, lane uint8, i, n int, atomic bool) {
	cells, size := v.seen.span(i, n, len(v.data))
	for j := range cells {
		race, fresh := cells[j].writing(w, lane, v.floor, atomic)
		if race != "" {
			w.fail(lane, "race: %s, at byte %d of an allocation", race, i+j*size)
		}
		if fresh && v.global {
			w.block.run.stats.DistinctWritten += int64(size)
		}
	}
	if v.global {
		w.block.run.stats.Written += int64(n)
	}
	v.know(i, n)
}

// swap is compare-and-swap on global memory; it returns what was there.
func (w *warp) swap(lane uint8, at uint64, k kind, want, set uint64) uint64 {
	var v view
	n := k.bytes()
	i := w.find(&v, lane, global, at, n)
	w.wantKnown(&v, lane, i, n)
	w.writes(&v, lane, i, n, true)
	old := load(v.data[i:], n)
	if old == want&k.mask() {
		store(v.data[i:], n, set)
	}
	return old
}
