//go:build !purego

package preprocess

import (
	"slices"

	"github.com/klauspost/cpuid/v2"
)

func assembled() bool { return cpuid.CPU.Supports(cpuid.AVX2) }

// conversion is a colour conversion as convertAVX2 reads it: which bytes of 16
// are the eight pixels' samples, how far the next eight lie, and the factors of
//
//	r = (luma·(y-black)              + rv·(v-128) + half) >> 16
//	g = (luma·(y-black) + gu·(u-128) + gv·(v-128) + half) >> 16
//	b = (luma·(y-black) + bu·(u-128)              + half) >> 16
type conversion struct {
	y, u, v             [16]byte
	stepY, stepC        int64
	black, luma         [8]int32
	rv, gu, gv, bu      [8]int32
	half, centre, white [8]int32
	pack                [32]byte // the three bytes of each four, lane by lane
}

// factors of a conversion.
type factors struct{ black, luma, rv, gu, gv, bu int32 }

var (
	jfifFactors   = factors{0, 1 << 16, 91881, -22554, -46802, 116130}
	studioFactors = factors{16, 76309, 104597, -25675, -53279, 132201}
)

// Samples in the order of pixels: one after another, every other, and each for
// two pixels, one, two or four bytes apart.
var (
	each      = [16]byte{0, 1, 2, 3, 4, 5, 6, 7}
	everyTwo  = [16]byte{0, 2, 4, 6, 8, 10, 12, 14}
	halved    = [16]byte{0, 0, 1, 1, 2, 2, 3, 3}
	halvedTwo = [16]byte{0, 0, 2, 2, 4, 4, 6, 6}
	halved4   = [16]byte{0, 0, 4, 4, 8, 8, 12, 12}
)

var (
	convertYCC  = newConversion(jfifFactors, each, each, 8, 8)
	convertYUYV = newConversion(studioFactors, everyTwo, halved4, 16, 16)
	convertNV12 = newConversion(studioFactors, each, halvedTwo, 8, 8)
	convertI420 = newConversion(studioFactors, each, halved, 8, 4)
)

func newConversion(f factors, y, c [16]byte, stepY, stepC int64) *conversion {
	return &conversion{
		y: y, u: c, v: c, stepY: stepY, stepC: stepC,
		black: eight(f.black), luma: eight(f.luma), rv: eight(f.rv), gu: eight(f.gu), gv: eight(f.gv), bu: eight(f.bu),
		half: eight(half), centre: eight(128), white: eight(255),
		pack: [32]byte{
			0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0x80, 0x80, 0x80, 0x80,
			0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0x80, 0x80, 0x80, 0x80,
		},
	}
}

func eight(v int32) (list [8]int32) {
	for i := range list {
		list[i] = v
	}
	return list
}

// pixels converts as many of n pixels as the kernel can, and returns how many.
// What it needs to read and may spoil beyond its slices lies within their
// capacity; dst is spoilt by up to 4 bytes behind the pixels.
func (c *conversion) pixels(dst []byte, n int, y, u, v []byte) int {
	if !inAssembly || len(y) == 0 || len(u) == 0 || len(v) == 0 {
		return 0
	}
	groups := min(n/8, (cap(dst)-4)/24, (cap(y)-16)/int(c.stepY)+1, (cap(u)-16)/int(c.stepC)+1, (cap(v)-16)/int(c.stepC)+1)
	if groups < 1 || cap(y) < 16 || cap(u) < 16 || cap(v) < 16 {
		return 0
	}
	convertAVX2(&dst[0], &y[0], &u[0], &v[0], c, groups)
	return 8 * groups
}

// triangle interpolates samples from c on, of which dst holds two pixels each,
// as far as the kernel can, and returns for how many samples. It needs one before
// and one behind.
func triangle(dst, near, far []byte, c int, even, odd uint16) int {
	groups := min(len(dst)/32, (min(len(near), len(far))-1-c)/16)
	if !inAssembly || c < 1 || groups < 1 {
		return 0
	}
	triangleAVX2(&dst[0], &near[c], &far[c], groups, even, odd)
	return 16 * groups
}

// mostPairs bounds the memory of an axis's wide weights: 224 outputs of a picture
// 32 times as large.
const mostPairs = 32

// widen makes the weights of acrossAVX2: all taps of as many pairs, and each
// weight once for every channel.
func (a *axis) widen() {
	a.pairs = 0
	most := int32(0)
	for _, t := range a.taps {
		most = max(most, t.count)
	}
	pairs := int(most+1) / 2
	if !inAssembly || a.copied || pairs > mostPairs {
		return
	}
	a.pairs = pairs
	a.offsets = a.offsets[:0]
	a.wide = slices.Grow(a.wide[:0], len(a.taps)*pairs)[:len(a.taps)*pairs]
	for i, t := range a.taps {
		a.offsets = append(a.offsets, 3*t.first)
		list := a.wide[i*pairs:][:pairs]
		clear(list)
		for j, k := range a.weights[t.weights:][:t.count] {
			for c := range 3 {
				list[j/2][j%2*3+c] = k
			}
		}
	}
}

// behind is what rows have behind their end for acrossAVX2 to read.
func (a *axis) behind() int { return slack + 6*a.pairs }

// across resamples as many pixels of two rows as the kernel can, and returns how
// many: all but the last where the rows have the bytes that behind says in their
// capacity.
func (a *axis) across(dst0, dst1, row0, row1 []byte) int {
	n, room := len(a.taps)-1, min(cap(row0), cap(row1))
	if a.pairs == 0 {
		return 0
	}
	for n > 0 && int(a.offsets[n-1])+6*a.pairs+2 > room {
		n--
	}
	if n < 1 {
		return 0
	}
	acrossAVX2(&dst0[0], &dst1[0], &row0[0], &row1[0], &a.offsets[0], &a.wide[0], a.pairs, n)
	return n
}

// down makes a row of as many rows of its length as there are weights, and
// reports whether the kernel could.
func down(dst, rows []byte, weights []int32) bool {
	const block = 32
	n := len(dst)
	if !inAssembly || n < block || len(weights) == 0 {
		return false
	}
	_ = rows[len(weights)*n-1]
	inGroups(n, block, func(at, blocks int) {
		downAVX2(&dst[at], &rows[at], n, &weights[0], len(weights), blocks)
	})
	return true
}

// What there is no kernel for.

func spread(_, _ []byte) int { return 0 }

func (*axis) bands([]byte, int, []byte, int, int, *[]byte) int { return 0 }

func sumRows([]uint16, []byte, int, int) bool { return false }

func differing(a, b *Thumbnail, least int) int { return differingCells(a, b, least) }

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
