package heif

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// memory is a program's, outside of Go's heap: it grows without being copied, takes of
// the machine what is touched alone, and is gone at once when it is freed.
type memory struct {
	all   []byte
	taken int  // as large as it has grown
	short bool // more was asked for
}

// reserve takes addresses for so many bytes.
func (m *memory) reserve(limit int64) (err error) {
	m.all, err = unix.Mmap(-1, 0, int(limit), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return fmt.Errorf("reserve %d MiB: %w", limit>>20, err)
	}
	return nil
}

// Reallocate makes the memory as large as asked for; nil where that is beyond its limit.
func (m *memory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		m.short = true
		return nil
	}
	m.taken = max(m.taken, int(size))
	return m.all[:size]
}

// Free gives it back; more than once does nothing.
func (m *memory) Free() {
	if m.all != nil {
		unix.Munmap(m.all) // fails only on what is not mapped
		m.all = nil
	}
}
