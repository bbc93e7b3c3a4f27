package host

import (
	"maps"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the larger page of x86, and of Arm where pages have 4 KiB.
const hugePage = 2 << 20

// span is memory from an address on, up to another.
type span struct{ from, to uintptr }

// Settle implements backends.Settler: what was packed moves into huge pages. A core that reads weights from the far cache
// or memory waits for pages of 4 KiB: each ends what the processor fetches ahead, and they are more than its tables
// hold (docs/performance.md).
func (b *driver) Settle() {
	for _, page := range hugePages(b.packed) {
		// What fails stays as it is: the kernel may have no such pages (before Linux 6.1), or none to spare.
		unix.Syscall(unix.SYS_MADVISE, page, hugePage, unix.MADV_COLLAPSE)
	}
	b.packed, b.settled = nil, true
}

// hugePages are the addresses of those that are mostly of the spans, rising. Weights lie beside each other on Go's
// heap, between what loading left behind and was given back.
func hugePages(spans []span) []uintptr {
	covered := map[uintptr]uintptr{}
	for _, s := range spans {
		for page := s.from &^ (hugePage - 1); page < s.to; page += hugePage {
			covered[page] += min(s.to, page+hugePage) - max(s.from, page)
		}
	}
	maps.DeleteFunc(covered, func(_, bytes uintptr) bool { return bytes < hugePage*mostly/100 })
	return slices.Sorted(maps.Keys(covered))
}

// mostly is how many hundredths of a huge page are to be weights: the rest is memory that may have been free.
const mostly = 75

// remember notes where a weight lies, for Settle.
func (b *driver) remember(packed []uint32) {
	if !b.settled {
		from := uintptr(unsafe.Pointer(unsafe.SliceData(packed)))
		b.packed = append(b.packed, span{from, from + uintptr(4*len(packed))})
	}
}
