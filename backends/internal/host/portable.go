package host

import (
	"runtime"

	"dynvit/backends"
)

// The portable tile is 2 rows by 4 outputs for floats and 4 rows by 4 outputs for int8: the
// largest whose sums stay in registers with Go's compiler on amd64 (16
// vector, 14 general registers).
const (
	tileRows = 4 // rows of a tile's buffer; floats take them two at a time
	tileCols = 4
)

// OpenPortable opens the backend that runs anywhere: plain Go.
func OpenPortable(o backends.Options) (backends.Backend, error) {
	threads := o.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return &portable{pool: newPool(threads), threads: threads}, nil
}

// dot2x4 writes the products of two rows with four outputs, whose weights lie
// interleaved in b.
func dot2x4(c *[8]float32, a0, a1, b []float32) {
	var c00, c01, c02, c03, c10, c11, c12, c13 float32
	a1 = a1[:len(a0)]
	for i, x := range a0 {
		w := (*[4]float32)(b)
		y := a1[i]
		c00 += x * w[0]
		c01 += x * w[1]
		c02 += x * w[2]
		c03 += x * w[3]
		c10 += y * w[0]
		c11 += y * w[1]
		c12 += y * w[2]
		c13 += y * w[3]
		b = b[4:]
	}
	*c = [8]float32{c00, c01, c02, c03, c10, c11, c12, c13}
}

// dotInt8 writes the integer products of four rows of codes with four outputs. A weight
// word holds two outputs, w0 + w1·2³², so that one 64-bit multiplication
// advances both sums; pairs splits them.
func dotInt8(c *[16]int32, a0, a1, a2, a3 []int8, b []int64) {
	var s00, s01, s10, s11, s20, s21, s30, s31 int64
	a1, a2, a3 = a1[:len(a0)], a2[:len(a0)], a3[:len(a0)]
	for i, x := range a0 {
		w := (*[2]int64)(b)
		s00 += int64(x) * w[0]
		s01 += int64(x) * w[1]
		s10 += int64(a1[i]) * w[0]
		s11 += int64(a1[i]) * w[1]
		s20 += int64(a2[i]) * w[0]
		s21 += int64(a2[i]) * w[1]
		s30 += int64(a3[i]) * w[0]
		s31 += int64(a3[i]) * w[1]
		b = b[2:]
	}
	for i, s := range [8]int64{s00, s01, s10, s11, s20, s21, s30, s31} {
		c[2*i], c[2*i+1] = pair(s)
	}
}

// pair splits Σ + Σ'·2³² into the two sums, each below 2³¹ in size.
func pair(s int64) (lo, hi int32) {
	lo = int32(s)
	return lo, int32((s - int64(lo)) >> 32)
}
