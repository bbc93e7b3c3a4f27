//go:build !purego

package preprocess

import "math"

//go:generate go -C ../backends/_asm run . preprocess

func assembled() bool { return true } // Go needs NEON itself

// conversion is a kernel that converts groups of pixels: how many one has, and how many
// bytes of each source, 0 of those that it doesn't read.
type conversion struct {
	group   int
	y, u, v int
	convert func(dst, y, u, v *byte, groups int)
}

var (
	convertYCC  = &conversion{16, 16, 16, 16, yccNEON}
	convertYUYV = &conversion{32, 64, 0, 0, func(dst, line, _, _ *byte, groups int) { yuyvNEON(dst, line, groups) }}
	convertNV12 = &conversion{32, 32, 32, 0, func(dst, y, uv, _ *byte, groups int) { nv12NEON(dst, y, uv, groups) }}
	convertI420 = &conversion{32, 32, 16, 16, i420NEON}
)

// pixels converts as many of n pixels as the kernel can, the last ones twice where
// they don't fill a group, and returns how many.
func (c *conversion) pixels(dst []byte, n int, y, u, v []byte) int {
	n = min(n, len(dst)/3, c.room(y, c.y), c.room(u, c.u), c.room(v, c.v))
	if !inAssembly || n < c.group {
		return 0
	}
	whole := n / c.group * c.group
	c.from(0, whole/c.group, dst, y, u, v)
	last := (n - c.group) &^ 1 // two pixels share their chroma
	if last+c.group <= whole {
		return whole
	}
	c.from(last, 1, dst, y, u, v)
	return last + c.group
}

// room is how many pixels' samples a source has, of whose bytes a group takes so many.
func (c *conversion) room(source []byte, bytes int) int {
	if bytes == 0 {
		return math.MaxInt
	}
	return len(source) * c.group / bytes
}

// from converts groups from pixel at on.
func (c *conversion) from(at, groups int, dst, y, u, v []byte) {
	c.convert(&dst[3*at], &y[at*c.y/c.group], &u[at*c.u/c.group], &v[at*c.v/c.group], groups)
}

// spread spreads as many pixels of one byte over the channels as the kernel can, and
// returns how many.
func spread(dst, src []byte) int {
	const group = 16
	n := min(len(dst)/3, len(src))
	if !inAssembly || n < group {
		return 0
	}
	inGroups(n, group, func(at, groups int) { greyNEON(&dst[3*at], &src[at], groups) })
	return n
}

// triangle interpolates samples from c on, of which dst holds two pixels each, as far as
// the kernel can, and returns for how many samples. It needs one before and one behind.
func triangle(dst, near, far []byte, c int, even, odd uint16) int {
	const group = 16
	n := min(len(dst)/2, min(len(near), len(far))-1-c)
	if !inAssembly || c < 1 || n < group {
		return 0
	}
	inGroups(n, group, func(at, groups int) {
		triangleNEON(&dst[2*at], &near[c+at], &far[c+at], groups, even, odd)
	})
	return n
}

func (a *axis) widen() {}

func (a *axis) behind() int { return 0 }

func (a *axis) across(_, _, _, _ []byte) int { return 0 }

const (
	bandRows = 16 // that are resampled at once
	strip    = 48 // bytes: three channels of a band's rows, or 16 pixels of a row
)

// bands resamples rows as horizontal does, in bands, with the last ones of them twice
// where they don't fill one. It returns how many: all or, where the kernel can't, none.
func (a *axis) bands(dst []byte, stride int, rows []byte, wide, height int, scratch *[]byte) int {
	n := 3 * a.out
	if !inAssembly || height < bandRows || min(wide, n) < bandRows || !bytesAbove(a.weights) {
		return 0
	}
	*scratch = grow(*scratch, bandRows*(wide+n))
	in, out := (*scratch)[:bandRows*wide], (*scratch)[bandRows*wide:]
	last := a.taps[a.out-1] // the ends rise from tap to tap
	_ = in[strip*int(last.first+last.count)-1]
	for i := 0; i < height; i += bandRows {
		top := min(i, height-bandRows)
		turnBand(in, rows[top*wide:], wide)
		tapsNEON(&out[0], &in[0], &a.taps[0], &a.weights[0], a.out)
		turnBack(dst[top*stride:], stride, out, n)
	}
	return height
}

// bytesAbove reports that the kernels can take weights, whose upper halves must be
// signed bytes: less than 2, of 22 fractional bits. A filter's are.
func bytesAbove(weights []int32) bool {
	all := int32(0)
	for _, k := range weights {
		all |= k ^ k>>31
	}
	return all < 1<<23
}

// turnBand writes the columns of a band of rows of n bytes, turnBack rows of a band of n
// columns.
func turnBand(dst, rows []byte, n int) {
	_, _ = dst[bandRows*n-1], rows[bandRows*n-1]
	inGroups(n, bandRows, func(at, blocks int) {
		transposeNEON(&dst[at*bandRows], &rows[at], bandRows, n, bandRows*bandRows, bandRows, blocks)
	})
}

func turnBack(dst []byte, stride int, columns []byte, n int) {
	_, _ = dst[(bandRows-1)*stride+n-1], columns[bandRows*n-1]
	inGroups(n, bandRows, func(at, blocks int) {
		transposeNEON(&dst[at], &columns[at*bandRows], stride, bandRows, bandRows, bandRows*bandRows, blocks)
	})
}

// down makes a row of as many rows of its length as there are weights, and reports
// whether the kernel could.
func down(dst, rows []byte, weights []int32) bool {
	n := len(dst)
	if !inAssembly || n < strip || len(weights) == 0 || !bytesAbove(weights) {
		return false
	}
	_ = rows[len(weights)*n-1]
	inGroups(n, strip, func(at, strips int) {
		rowsNEON(&dst[at], &rows[at], n, &weights[0], len(weights), strips)
	})
	return true
}

// sumRows makes sums of the bytes under one another in rows, stride bytes apart, and
// reports whether the kernel could.
func sumRows(dst []uint16, src []byte, stride, rows int) bool {
	const block = 32
	n := len(dst)
	if !inAssembly || n < block || rows < 1 || rows > math.MaxUint16/math.MaxUint8 {
		return false
	}
	_ = src[(rows-1)*stride+n-1]
	inGroups(n, block, func(at, blocks int) { sumsNEON(&dst[at], &src[at], stride, rows, blocks) })
	return true
}

// differing is how many cells differ by least, 1 to 255, or more.
func differing(a, b *Thumbnail, least int) int {
	if !inAssembly {
		return differingCells(a, b, least)
	}
	return int(differingNEON(&a[0], &b[0], len(a)/32, least))
}

// The kernels read and write no byte beyond what they are called with.

// yccNEON converts groups of 16 pixels, at least one, as ycc does.
//
//go:noescape
func yccNEON(dst, luma, cb, cr *byte, groups int)

// yuyvNEON, nv12NEON and i420NEON convert groups of 32 pixels, at least one, as studio
// does.
//
//go:noescape
func yuyvNEON(dst, line *byte, groups int)

//go:noescape
func nv12NEON(dst, luma, uv *byte, groups int)

//go:noescape
func i420NEON(dst, luma, u, v *byte, groups int)

// greyNEON spreads groups of 16 pixels, at least one.
//
//go:noescape
func greyNEON(dst, src *byte, groups int)

// triangleNEON makes 32 bytes of each group of 16 samples, at least one group; it reads a
// sample more on both sides.
//
//go:noescape
func triangleNEON(dst, near, far *byte, groups int, even, odd uint16)

// rowsNEON makes strips side by side, at least one, of count rows, of which there is one
// at least.
//
//go:noescape
func rowsNEON(dst, rows *byte, stride int, weights *int32, count, strips int)

// tapsNEON makes a strip of each of so many taps' strips, at least one. A tap has at least
// one.
//
//go:noescape
func tapsNEON(dst, strips *byte, taps *tap, weights *int32, outs int)

// transposeNEON makes columns of the rows of blocks of 16×16 bytes, at least one. Rows lie
// a step apart, blocks as much as next says.
//
//go:noescape
func transposeNEON(dst, src *byte, dstStep, srcStep, dstNext, srcNext, blocks int)

// sumsNEON makes blocks of 32 sums, at least one, of as many rows, at least one.
//
//go:noescape
func sumsNEON(dst *uint16, src *byte, stride, rows, blocks int)

// differingNEON counts among blocks of 32 bytes, 1 to 255 of them.
//
//go:noescape
func differingNEON(a, b *byte, blocks, least int) uint32
