package ptx

import "math"

// moment is a stretch of a thread's life between two barriers. Numbers of moments only
// grow, launch by launch.
type moment struct {
	block, thread     int
	epoch, warpsEpoch int // barriers of the block, of the warp, that the thread has passed
}

// moments are those of the present launch, numbered from base + 1.
type moments struct {
	base uint32
	all  []moment
}

// begin forgets the last launch, all of which lies before what comes.
func (m *moments) begin() {
	m.base += uint32(len(m.all))
	m.all = m.all[:0]
}

func (m *moments) add(n moment) uint32 {
	if uint64(m.base)+uint64(len(m.all)) >= math.MaxUint32 {
		panic("ptx: more launches than moments can be numbered for: begin with new memory")
	}
	m.all = append(m.all, n)
	return m.base + uint32(len(m.all))
}

// now reports whether a number is one of this launch's.
func (m *moments) now(id uint32) bool { return id > m.base }

func (m *moments) of(id uint32) moment { return m.all[id-m.base-1] }

// before reports whether what was done in a moment is ordered before what t does now.
func (n moment) before(t *thread) bool {
	switch {
	case n.block != t.block.number:
		return false
	case n.thread == t.number, n.epoch != t.epoch:
		return true
	}
	return n.thread/lanes == t.number/lanes && n.warpsEpoch != t.warpsEpoch
}

// cell is who touched a byte or a word in this launch: who wrote last, and since then up
// to three readers of the running block, one of them of another warp than the others where
// there is one, and one of another block. More readers need not be known: a writer that
// races with one that is forgotten races with one that is kept.
type cell struct {
	wrote   uint32
	atomic  bool
	read    [3]uint32
	foreign uint32
	touched uint32 // a moment of a reader, kept for the statistics
}

// shadow is the cells of some memory: one a word, till a smaller access is made.
type shadow struct {
	cells []cell
	fine  bool
}

// span is the cells of n bytes at an offset into memory of size bytes, and the bytes of each.
func (s *shadow) span(offset, n, size int) ([]cell, int) {
	if s.cells == nil {
		s.cells = make([]cell, (size+3)/4)
	}
	if n < 4 && !s.fine {
		cells := make([]cell, 4*len(s.cells))
		for i := range cells {
			cells[i] = s.cells[i/4]
		}
		s.cells, s.fine = cells, true
	}
	if s.fine {
		return s.cells[offset : offset+n], 1
	}
	return s.cells[offset/4 : (offset+n)/4], 4
}

// reading notes that t reads; it returns what it races with, or "". first: nobody had
// touched the cell in this launch.
func (c *cell) reading(m *moments, t *thread) (race string, first bool) {
	me := t.moment(m)
	if c.read[0] == me || c.read[1] == me || c.read[2] == me {
		return "", false // a write since then would have forgotten it
	}
	wrote := m.now(c.wrote)
	if wrote && !m.of(c.wrote).before(t) {
		return "reads what another thread writes, with no barrier between", false
	}
	if first = !wrote && !m.now(c.touched); first {
		c.touched = me
	}
	c.age(m, t)
	free := -1
	for i, r := range c.read {
		switch {
		case r == 0:
			free = i
		case m.of(r).thread == t.number:
			c.read[i] = me
			return "", first
		}
	}
	if free < 0 {
		free = c.least(m, t)
	}
	if free >= 0 {
		c.read[free] = me
	}
	return "", first
}

// age moves readers of other blocks to foreign, and forgets those that a barrier of the
// block, or the end of a launch, has put before t.
func (c *cell) age(m *moments, t *thread) {
	if !m.now(c.foreign) {
		c.foreign = 0
	}
	for i, r := range c.read {
		switch {
		case r == 0:
		case !m.now(r):
			c.read[i] = 0
		case m.of(r).block != t.block.number:
			c.foreign, c.read[i] = r, 0
		case m.of(r).epoch != t.epoch:
			c.read[i] = 0
		}
	}
}

// least is the reader that says the least beside t: an older one of its warp, or, where all
// are of one warp and t is not, any. -1: t says nothing new.
func (c *cell) least(m *moments, t *thread) int {
	warp, same := t.number/lanes, true
	for i, r := range c.read {
		w := m.of(r)
		if w.thread/lanes == warp && w.warpsEpoch != t.warpsEpoch {
			return i
		}
		same = same && w.thread/lanes == m.of(c.read[0]).thread/lanes
	}
	if same && m.of(c.read[0]).thread/lanes != warp {
		return 2
	}
	return -1
}

// writing notes that t writes.
func (c *cell) writing(m *moments, t *thread, atomic bool) (race string, first bool) {
	first = !m.now(c.wrote)
	if !first && !(atomic && c.atomic) && !m.of(c.wrote).before(t) {
		return "writes what another thread writes, with no barrier between", false
	}
	for _, r := range [4]uint32{c.read[0], c.read[1], c.read[2], c.foreign} {
		if m.now(r) && !m.of(r).before(t) {
			return "writes what another thread reads, with no barrier between", false
		}
	}
	*c = cell{wrote: t.moment(m), atomic: atomic}
	return "", first
}
