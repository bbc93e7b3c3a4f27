package ptx

import "math"

// stamp is when a warp touches memory: a serial number, and in the lowest 5 bits the warp's in its block. A launch, a block,
// a block's barrier and a warp's each begin a number: one block runs after another, so that an older
// block's stamps are the lesser ones, and those of the block since its last barrier the greatest.
type stamp uint32

// next is the first stamp of a number that begins.
func (m *Memory) nextStamp() stamp {
	if m.stamp > math.MaxUint32-2*lanes {
		panic("ptx: more blocks and barriers in a launch than can be numbered")
	}
	m.stamp += lanes
	return m.stamp
}

// begin forgets the last launch, all of which lies before what comes. Numbers begin anew where few are left.
func (m *Memory) begin() stamp {
	if m.stamp > math.MaxUint32/2 {
		m.stamp = 0
		for _, b := range m.buffers {
			clear(b.seen.cells)
		}
	}
	return m.nextStamp()
}

// cell is who touched a byte or a word in this launch: who wrote last, and who has read since: the first of
// them, the lanes of one warp that did since the block's last barrier, and whether those of another did. More
// readers need not be known: a writer that races with one that is forgotten races with one that
// is kept.
type cell struct {
	wrote   stamp
	touched stamp // the first reader's
	readers stamp
	lanes   uint32
	others  bool
	atomic  bool
	writer  uint8 // its lane
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

// before reports whether what was done at a stamp of this launch, by a lane, is ordered before what lanes do now.
func (w *warp) before(s stamp, lane uint8, mask uint32) bool {
	switch {
	case s < w.block.floor:
		return false // another block's
	case s < w.block.phase:
		return true
	}
	return s%lanes == w.stamp%lanes && (s != w.stamp || mask == 1<<lane)
}

// again reports whether lanes read what others of their warp have read since its last barrier and the last
// write, which was none of theirs, and notes it. There is nothing more to check then.
func (c *cell) again(w *warp, mask uint32) bool {
	if c.readers != w.stamp || c.wrote == w.stamp {
		return false
	}
	c.lanes |= mask
	return true
}

// reading notes that lanes read; it returns what they race with, or "". fresh: nobody had
// touched the cell since floor, where what counts begins.
func (c *cell) reading(w *warp, mask uint32, floor stamp) (race string, fresh bool) {
	wrote := c.wrote >= floor
	if wrote && !w.before(c.wrote, c.writer, mask) {
		return "reads what another thread writes, with no barrier between", false
	}
	if c.touched < floor {
		c.touched = w.stamp
		fresh = !wrote
	}
	if c.readers == w.stamp {
		c.lanes |= mask
		return "", fresh
	}
	c.others = c.readers >= w.block.phase && (c.others || c.readers%lanes != w.stamp%lanes)
	c.readers, c.lanes = w.stamp, mask
	return "", fresh
}

// writing notes that a lane writes, as reading does.
func (c *cell) writing(w *warp, lane uint8, floor stamp, atomic bool) (race string, fresh bool) {
	fresh = c.wrote < floor
	if !fresh && !(atomic && c.atomic) && !w.before(c.wrote, c.writer, 1<<lane) {
		return "writes what another thread writes, with no barrier between", false
	}
	if c.touched >= floor && c.readRaces(w, lane) {
		return "writes what another thread reads, with no barrier between", false
	}
	*c = cell{wrote: w.stamp, writer: lane, atomic: atomic}
	return "", fresh
}

// readRaces reports whether one who has read is not ordered before what a lane does now.
func (c *cell) readRaces(w *warp, lane uint8) bool {
	switch {
	case c.touched < w.block.floor:
		return true // another block's
	case c.readers < w.block.phase:
		return false
	}
	return c.others || c.readers%lanes != w.stamp%lanes || c.readers == w.stamp && c.lanes&^(1<<lane) != 0
}
