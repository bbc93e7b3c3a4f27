//go:build !purego

package preprocess

import "github.com/klauspost/cpuid/v2"

// vectors reports whether the kernels of this file can run.
func vectors() bool { return cpuid.CPU.Supports(cpuid.AVX2) }

// convertAVX2 converts groups of eight pixels, at least one. It reads 16 bytes of
// each source at a time, and writes 4 bytes more than the pixels have.
//
//go:noescape
func convertAVX2(dst, y, u, v *byte, c *conversion, groups int)

// triangleAVX2 makes 32 bytes of each group of 16 samples, at least one group; it
// reads a sample more on both sides.
//
//go:noescape
func triangleAVX2(dst, near, far *byte, groups int, even, odd uint16)

// acrossAVX2 makes pixels of the sources' pixels at the offsets, in two rows: of
// each pair of them times a pair's weights. It reads 2 bytes more than the pairs
// have, and writes a byte more than the pixels.
//
//go:noescape
func acrossAVX2(dst0, dst1, src0, src1 *byte, offsets *int32, weights *[8]int32, pairs, outs int)

// downAVX2 makes blocks of 32 bytes, at least one, of count rows.
//
//go:noescape
func downAVX2(dst, rows *byte, stride int, weights *int32, count, blocks int)
