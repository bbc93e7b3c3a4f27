//go:build !purego

package avx512

import "dynvit/backends/internal/host"

//go:generate go -C ../_asm run . avx512

// The kernels in assembly. What they do is said where package host takes them.

// call is what product_amd64.s reads, by the offsets that the compiler writes.
type call = host.Call

//go:noescape
func mulF32(c *call)

//go:noescape
func mulBF16(c *call)

//go:noescape
func mulInt8(c *call)

//go:noescape
func mulInt16(c *call)

// mulTilesInt8, mulTilesBF16 and their peaks need AMX, whose tiles the process may use.
//
//go:noescape
func mulTilesInt8(c *call)

//go:noescape
func mulTilesBF16(c *call)

//go:noescape
func peakTilesInt8(n int) float32

//go:noescape
func peakTilesBF16(n int) float32

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
func rowsInt8(dst *uint32, src *float32, stride, rows, n int, scale *float32, zero *int32)

//go:noescape
func codes16(dst *uint32, src *float32, n int, inverse float32, most int32)

//go:noescape
func rowsBF16(dst *uint32, src *float32, stride, rows, n int)

//go:noescape
func roundBF16(dst *uint32, src *float32, n int)

//go:noescape
func roundF16(dst *uint32, src *float32, n int)

//go:noescape
func transpose(dst, src *uint32, dstStep, srcStep int)

//go:noescape
func widen(dst, src *uint32, words int)

//go:noescape
func packRows(panel *uint32, src *float32, step, rows int)

//go:noescape
func packPairs(panel, src *uint32, step, pairs int)

//go:noescape
func packRowsBF16(panel *uint32, src *float32, step, pairs int)

//go:noescape
func peakF32(n int) float32

//go:noescape
func peakBF16(n int) float32

//go:noescape
func peakInt8(n int) float32

//go:noescape
func peakInt16(n int) float32
