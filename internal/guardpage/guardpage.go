// Package guardpage gives tests memory beside a page that can be neither read nor
// written, so that a kernel in assembly that strays by a byte ends the test.
package guardpage

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ending is n zero elements right below such a page: misaligned wherever n is odd. The
// memory goes when the test ends.
func Ending[T any](t testing.TB, n int) []T {
	t.Helper()
	return slice[T](t, n, true)
}

// Beginning is n zero elements right above such a page.
func Beginning[T any](t testing.TB, n int) []T {
	t.Helper()
	return slice[T](t, n, false)
}

// Copied is the elements of src as Ending gives them.
func Copied[T any](t testing.TB, src []T) []T {
	t.Helper()
	dst := Ending[T](t, len(src))
	copy(dst, src)
	return dst
}

func slice[T any](t testing.TB, n int, ending bool) []T {
	t.Helper()
	var zero T
	page := unix.Getpagesize()
	size := n * int(unsafe.Sizeof(zero))
	pages := (size + page - 1) / page * page
	region, err := unix.Mmap(-1, 0, pages+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(region) })
	guard, first := region[:page], page
	if ending {
		guard, first = region[pages:], pages-size
	}
	if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&region[first])), n)
}
