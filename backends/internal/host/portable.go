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
// interleaved in b. Four inputs at a time, through array pointers, leave one bounds
// check for 32 multiply-adds: 1.5 times the speed of the plain loop (Zen 3).
func dot2x4(c *[8]float32, a0, a1, b []float32) {
	var c00, c01, c02, c03, c10, c11, c12, c13 float32
	for len(a0) >= 4 && len(a1) >= 4 && len(b) >= 16 {
		x, y, w := (*[4]float32)(a0), (*[4]float32)(a1), (*[16]float32)(b)
		c00 += x[0] * w[0]
		c10 += y[0] * w[0]
		c01 += x[0] * w[1]
		c11 += y[0] * w[1]
		c02 += x[0] * w[2]
		c12 += y[0] * w[2]
		c03 += x[0] * w[3]
		c13 += y[0] * w[3]
		c00 += x[1] * w[4]
		c10 += y[1] * w[4]
		c01 += x[1] * w[5]
		c11 += y[1] * w[5]
		c02 += x[1] * w[6]
		c12 += y[1] * w[6]
		c03 += x[1] * w[7]
		c13 += y[1] * w[7]
		c00 += x[2] * w[8]
		c10 += y[2] * w[8]
		c01 += x[2] * w[9]
		c11 += y[2] * w[9]
		c02 += x[2] * w[10]
		c12 += y[2] * w[10]
		c03 += x[2] * w[11]
		c13 += y[2] * w[11]
		c00 += x[3] * w[12]
		c10 += y[3] * w[12]
		c01 += x[3] * w[13]
		c11 += y[3] * w[13]
		c02 += x[3] * w[14]
		c12 += y[3] * w[14]
		c03 += x[3] * w[15]
		c13 += y[3] * w[15]
		a0, a1, b = a0[4:], a1[4:], b[16:]
	}
	for i, x := range a0 { // what is left of a width that is no multiple of 4
		w, y := (*[4]float32)(b[4*i:]), a1[i]
		c00 += x * w[0]
		c01 += x * w[1]
		c02 += x * w[2]
		c03 += x * w[3]
		c10 += y * w[0]
		c11 += y * w[1]
		c12 += y * w[2]
		c13 += y * w[3]
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
