package ptx

import "fmt"

const lanes = 32 // of a warp

// space is a state space.
type space uint8

const (
	generic space = iota
	global
	shared
)

// waiting is what a thread waits for.
type waiting uint8

const (
	forNothing waiting = iota
	forBlock
	forWarp
)

// thread runs till it waits for others.
type thread struct {
	r      []uint64 // slots
	pc     int
	waits  waiting
	done   bool
	steps  int
	number int // in the block
	block  *block

	epoch, warpsEpoch int
	at                uint32 // its moment; 0: the next access begins one
}

// moment is the number of the thread's present one.
func (t *thread) moment(m *moments) uint32 {
	if t.at == 0 {
		t.at = m.add(moment{t.block.number, t.number, t.epoch, t.warpsEpoch})
	}
	return t.at
}

// past begins another moment.
func (t *thread) past(epochs, warps int) {
	t.epoch += epochs
	t.warpsEpoch += warps
	t.at = 0
}

// run goes on till the thread waits or is done.
func (t *thread) run(program []instruction) {
	from := t.steps
	for {
		in := &program[t.pc]
		t.steps++
		if in.guard >= 0 && (t.r[in.guard]&1 != 0) == in.unless {
			t.pc++
			continue
		}
		switch in.step(t, in) {
		case next:
			t.pc++
		case stops:
			t.block.run.stats.Instructions += int64(t.steps - from)
			return
		default: // only a jump can go on for ever
			if t.steps > t.block.run.most {
				t.fail("more than %d instructions", t.block.run.most)
			}
		}
	}
}

// wrong is what a thread panics with; the launch makes a Fault of it.
type wrong struct {
	t    *thread
	what string
}

func (t *thread) fail(format string, args ...any) {
	panic(wrong{t, fmt.Sprintf(format, args...)})
}

// resolved is the state space of a generic address, and the address there.
func (t *thread) resolved(where space, at uint64) (space, uint64) {
	switch {
	case where != generic:
		return where, at
	case at >= sharedWindow && at < sharedWindow+windowBytes:
		return shared, at - sharedWindow
	}
	return global, at
}

// load reads as many values as the list has slots, as one access.
func (t *thread) load(where space, at uint64, k kind, to []int32) {
	size := k.bytes()
	data := t.access(where, at, size, len(to), false)
	for i, d := range to {
		v := load(data[i*size:], size)
		if k.of == 's' {
			v = uint64(k.signed(v))
		}
		t.r[d] = v
	}
}

func (t *thread) store(where space, at uint64, k kind, from []int32) {
	size := k.bytes()
	data := t.access(where, at, size, len(from), true)
	for i, a := range from {
		store(data[i*size:], size, t.r[a])
	}
}

// access is the bytes of n values, checked.
func (t *thread) access(where space, at uint64, size, n int, writes bool) []byte {
	where, at = t.resolved(where, at)
	all := size * n
	if at%uint64(all) != 0 {
		t.fail("%d bytes at %#x, which is no multiple of that", all, at)
	}
	if where == shared {
		return t.block.shared.access(t, at, all, writes)
	}
	b, i, err := t.block.run.memory.part(at, all)
	if err != nil {
		t.fail("%v", err)
	}
	t.touch(b, i, all, writes, false)
	return b.data[i : i+all]
}

// touch notes an access to global memory.
func (t *thread) touch(b *buffer, i, n int, writes, atomic bool) {
	r := t.block.run
	first := note(t, &b.seen, b.known, i, n, writes, atomic)
	if writes {
		r.stats.Written += int64(n)
		r.stats.DistinctWritten += int64(first)
	} else {
		r.stats.Read += int64(n)
		r.stats.DistinctRead += int64(first)
	}
}

// note checks an access against what others did; it returns how many bytes nobody had
// touched so in this launch.
func note(t *thread, s *shadow, known []bool, i, n int, writes, atomic bool) (first int) {
	if !writes || atomic {
		for j, k := range known[i : i+n] {
			if !k {
				t.fail("reads byte %d of an allocation, which nobody wrote", i+j)
			}
		}
	}
	cells, size := s.span(i, n, len(known))
	m := &t.block.run.memory.moments
	for j := range cells {
		race, fresh := "", false
		if writes {
			race, fresh = cells[j].writing(m, t, atomic)
		} else {
			race, fresh = cells[j].reading(m, t)
		}
		if race != "" {
			t.fail("race: %s, at byte %d of an allocation", race, i+j*size)
		}
		if fresh {
			first += size
		}
	}
	if writes {
		for j := range known[i : i+n] {
			known[i+j] = true
		}
	}
	return first
}

// swap is compare-and-swap; it returns what was there.
func (t *thread) swap(at uint64, k kind, want, set uint64) uint64 {
	n := k.bytes()
	if at%uint64(n) != 0 {
		t.fail("%d bytes at %#x, which is no multiple of that", n, at)
	}
	b, i, err := t.block.run.memory.part(at, n)
	if err != nil {
		t.fail("%v", err)
	}
	t.touch(b, i, n, true, true)
	old := load(b.data[i:], n)
	if old == want&k.mask() {
		store(b.data[i:], n, set)
	}
	return old
}
