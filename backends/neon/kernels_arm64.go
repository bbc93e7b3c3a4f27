//go:build !purego

package neon

import "dynvit/backends/internal/host"

//go:generate go -C ../_asm run . neon

// The kernels in assembly. What they do is said where package host takes them.

// call is what product_arm64.s reads, by the offsets that the compiler writes.
type call = host.Call

//go:noescape
func mulF32(c *call)

// mulDot needs ASIMDDP.
//
//go:noescape
func mulDot(c *call)

// mulMatrix needs I8MM, and BF16 to write bfloat16.
//
//go:noescape
func mulMatrix(c *call)

// mulMatrixBF16 needs BF16.
//
//go:noescape
func mulMatrixBF16(c *call)

// mulWidening needs FHM.
//
//go:noescape
func mulWidening(c *call)

// mulHalfSums needs ASIMDHP.
//
//go:noescape
func mulHalfSums(c *call)

//go:noescape
func mulLong(c *call)

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
func rowsInt8(dst *uint32, src *float32, stride, rows, n int, scale *float32, zero *int32)

// pairsBF16 needs BF16.
//
//go:noescape
func pairsBF16(dst *uint32, src *float32, n int)

//go:noescape
func roundBF16(dst *uint32, src *float32, n int)

//go:noescape
func pairsF16(dst *uint32, src *float32, n int)

//go:noescape
func transpose(dst, src *uint32, dstStep, srcStep int)

//go:noescape
func packRows(panel *uint32, src *float32, step, rows int)

//go:noescape
func packBlocks(panel, src *uint32, step, blocks int)

//go:noescape
func packPairs(panel, src *uint32, step, n int)

// packRowsBF16 needs BF16.
//
//go:noescape
func packRowsBF16(panel *uint32, src *float32, step, n int)

//go:noescape
func packRowsF16(panel *uint32, src *float32, step, rows int)

//go:noescape
func splitPairs(panel *uint32, n int)

//go:noescape
func peakF32(n int) float32

// peakDot needs ASIMDDP.
//
//go:noescape
func peakDot(n int) float32

// peakMatrix needs I8MM.
//
//go:noescape
func peakMatrix(n int) float32

// peakMatrixBF16 needs BF16.
//
//go:noescape
func peakMatrixBF16(n int) float32

// peakWidening needs FHM.
//
//go:noescape
func peakWidening(n int) float32

// peakHalfSums needs ASIMDHP.
//
//go:noescape
func peakHalfSums(n int) float32

//go:noescape
func peakLong(n int) float32
