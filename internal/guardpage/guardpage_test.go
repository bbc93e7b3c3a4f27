package guardpage

import (
	"runtime/debug"
	"testing"
	"unsafe"
)

// TestGuards: all of the elements can be written, and the byte beside them not read.
func TestGuards(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	for n := 1; n < 9000; n = 2*n + 1 {
		ending, beginning := Ending[uint16](t, n), Beginning[uint16](t, n)
		for i := range n {
			ending[i], beginning[i] = 1, 2
		}
		if !faults(unsafe.Add(unsafe.Pointer(unsafe.SliceData(ending)), 2*n)) {
			t.Errorf("%d elements: the byte behind them can be read", n)
		}
		if !faults(unsafe.Add(unsafe.Pointer(unsafe.SliceData(beginning)), -1)) {
			t.Errorf("%d elements: the byte before them can be read", n)
		}
	}
}

var sink byte // that the read is not left out

func faults(p unsafe.Pointer) (yes bool) {
	defer func() { yes = recover() != nil }()
	sink = *(*byte)(p)
	return false
}
