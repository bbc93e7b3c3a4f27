//go:build !purego

package avx2

import "dynvit/backends/internal/host"

//go:generate go -C ../_asm run . avx2

// The kernels in assembly. What they do is said where package host takes them.

// call is what product_amd64.s reads, by the offsets that the compiler writes.
type call = host.Call

//go:noescape
func mulF32(c *call)

// mulInt8 needs AVX-VNNI.
//
//go:noescape
func mulInt8(c *call)

//go:noescape
func mulInt16(c *call)

//go:noescape
func softmaxRows(s *float32, stride, rows, n int, scale float32, total *float32)

//go:noescape
func geluRows(x *float32, stride, rows, cols int)

//go:noescape
func normRows(dst, x, gamma, beta *float32, rows, n int, inverseN, eps float32)

//go:noescape
func divideRows(dst *float32, dstStride int, src *float32, srcStride, rows, cols int, total *float32)

//go:noescape
func addRow(sums *float64, x *float32, n int)

//go:noescape
func addHeads(dst, x *float32, n, width, heads int) (squares float64)

//go:noescape
func receiveRow(received *int64, weights *float32, n int, share float32)

//go:noescape
func rowRange(src *float32, n int) (most, least uint32)

//go:noescape
func codes8(dst *uint32, src *float32, n int, inverse float32, zero int32)

//go:noescape
func codes16(dst *uint32, src *float32, n int, inverse float32, most int32) (crossed int32)

//go:noescape
func roundBF16(dst *uint32, src *float32, n int)

//go:noescape
func roundF16(dst *uint32, src *float32, n int)

//go:noescape
func transpose(dst, src *uint32, dstStep, srcStep int)

//go:noescape
func widen(dst, src *uint32, words int)

//go:noescape
func widenBF16(dst, src *uint32, pairs int)

//go:noescape
func packRows(panel *uint32, src *float32, step, rows int)

//go:noescape
func peakF32(n int) float32

// peakInt8 needs AVX-VNNI.
//
//go:noescape
func peakInt8(n int) float32

//go:noescape
func peakInt16(n int) float32
