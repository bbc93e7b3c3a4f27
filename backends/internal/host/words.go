package host

import "unsafe"

// The four views of operand memory. They share it: nothing is copied.

// Words returns the bits of x.
func Words(x []float32) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// Floats is the inverse of Words.
func Floats(w []uint32) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(w))), len(w))
}

// Bytes returns the four codes of each word, the lowest first on the machines
// that Go's amd64 and arm64 are.
func Bytes(w []uint32) []int8 {
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(w))), 4*len(w))
}

// halves returns the two halves of each word, the lower first.
func halves(w []uint32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(w))), 2*len(w))
}
