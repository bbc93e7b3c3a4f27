package ptx

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
)

// Shared memory's window of generic addresses, above which global memory lies.
const (
	sharedWindow = 1 << 36
	windowBytes  = 1 << 32
	globalStart  = 1 << 40
)

// Memory is a device's: allocations, with gaps between them. One goroutine uses it at a time.
type Memory struct {
	buffers []*buffer // by address
	next    uint64
	last    *buffer // found last
	stamp   stamp   // the first of the last number
}

// tracked is memory, and what is known of it.
type tracked struct {
	data  []byte
	known []byte // 1 where somebody wrote
	seen  shadow
}

func newTracked(n int) tracked { return tracked{data: make([]byte, n), known: make([]byte, n)} }

// allKnown is four bytes that somebody wrote.
const allKnown = 0x01010101

func (t *tracked) know(i, n int) {
	known := t.known[i : i+n]
	for ; len(known) >= 4; known = known[4:] {
		binary.LittleEndian.PutUint32(known, allKnown)
	}
	for j := range known {
		known[j] = 1
	}
}

// unknown is the place of the first of n bytes that nobody wrote, from i; -1: there is none.
func (t *tracked) unknown(i, n int) int { return bytes.IndexByte(t.known[i:i+n], 0) }

type buffer struct {
	tracked
	start uint64
}

// Alloc returns memory aligned to 256 bytes, which nobody has written.
func (m *Memory) Alloc(n int) uint64 {
	if m.next == 0 {
		m.next = globalStart
	}
	b := &buffer{newTracked(n), m.next}
	m.next += uint64(n+4096+255) &^ 255
	m.buffers = append(m.buffers, b)
	return b.start
}

// Free forgets an allocation.
func (m *Memory) Free(at uint64) error {
	i := m.index(at)
	if i < 0 || m.buffers[i].start != at {
		return fmt.Errorf("no allocation begins at %#x", at)
	}
	m.buffers = slices.Delete(m.buffers, i, i+1)
	m.last = nil
	return nil
}

// Write copies bytes in.
func (m *Memory) Write(at uint64, data []byte) error {
	b, i, err := m.part(at, len(data))
	if err == nil {
		copy(b.data[i:], data)
		b.know(i, len(data))
	}
	return err
}

// Clear writes zeros.
func (m *Memory) Clear(at uint64, n int) error {
	b, i, err := m.part(at, n)
	if err == nil {
		clear(b.data[i : i+n])
		b.know(i, n)
	}
	return err
}

// Read copies bytes out, which somebody must have written.
func (m *Memory) Read(at uint64, data []byte) error {
	b, i, err := m.part(at, len(data))
	if err != nil {
		return err
	}
	if j := b.unknown(i, len(data)); j >= 0 {
		return fmt.Errorf("copy from %#x of %d bytes: byte %d was never written", at, len(data), j)
	}
	copy(data, b.data[i:])
	return nil
}

// index is the number of the last allocation that begins at or before an address, or -1.
func (m *Memory) index(at uint64) int {
	return sort.Search(len(m.buffers), func(i int) bool { return m.buffers[i].start > at }) - 1
}

// part is the allocation that holds n bytes from an address, and where in it.
func (m *Memory) part(at uint64, n int) (*buffer, int, error) {
	b := m.last
	if b == nil || at < b.start || at-b.start >= uint64(len(b.data)) {
		i := m.index(at)
		if i < 0 {
			return nil, 0, fmt.Errorf("%d bytes at %#x, where nothing is allocated", n, at)
		}
		b = m.buffers[i]
	}
	if off := at - b.start; off+uint64(n) > uint64(len(b.data)) {
		return nil, 0, fmt.Errorf("%d bytes at %#x, %d behind the start of an allocation of %d", n, at, off, len(b.data))
	}
	m.last = b
	return b, int(at - b.start), nil
}

// store and load move n bytes, 1 to 8.
func store(data []byte, n int, v uint64) {
	switch n {
	case 1:
		data[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(data, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(data, uint32(v))
	default:
		binary.LittleEndian.PutUint64(data, v)
	}
}

func load(data []byte, n int) uint64 {
	switch n {
	case 1:
		return uint64(data[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(data))
	case 4:
		return uint64(binary.LittleEndian.Uint32(data))
	default:
		return binary.LittleEndian.Uint64(data)
	}
}
