package preprocess

import (
	"fmt"
	"image"
)

// plane is one component of a JPEG at its own resolution.
type plane struct {
	pix           []byte
	stride        int
	width, height int // in samples, as far as the picture reaches
	sx, sy        int // pixels of the picture that a sample covers
}

// newPlane describes samples of a w×h picture.
func newPlane(pix []byte, stride, w, h, sx, sy int) plane {
	return plane{pix, stride, (w + sx - 1) / sx, (h + sy - 1) / sy, sx, sy}
}

// planesOf returns the components of a decoded picture.
func planesOf(img image.Image, h jpegHeader) ([]plane, error) {
	switch m := img.(type) {
	case *image.Gray:
		return []plane{newPlane(m.Pix, m.Stride, h.width, h.height, 1, 1)}, nil
	case *image.YCbCr:
		sx, sy := subsampling(m.SubsampleRatio)
		return []plane{
			newPlane(m.Y, m.YStride, h.width, h.height, 1, 1),
			newPlane(m.Cb, m.CStride, h.width, h.height, sx, sy),
			newPlane(m.Cr, m.CStride, h.width, h.height, sx, sy),
		}, nil
	case *image.CMYK:
		return separate(m, h.halved), nil
	}
	return nil, fmt.Errorf("pixels of kind %T are not read", img)
}

func subsampling(r image.YCbCrSubsampleRatio) (sx, sy int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// separate undoes what image/jpeg does to four components that it takes for
// CMYK: it inverts them, repeats halved ones and interleaves.
func separate(m *image.CMYK, halved bool) []plane {
	size := m.Rect.Size()
	planes := make([]plane, 4)
	for c := range planes {
		step := 1
		if halved && (c == 1 || c == 2) {
			step = 2
		}
		p := newPlane(nil, 0, size.X, size.Y, step, step)
		p.stride, p.pix = p.width, make([]byte, p.width*p.height)
		for i := range p.pix {
			x, y := i%p.width*step, i/p.width*step
			p.pix[i] = 255 - m.Pix[y*m.Stride+4*x+c]
		}
		planes[c] = p
	}
	return planes
}

// row returns the samples for the pixels x0, …, x1-1 of row y, in buf unless
// they lie in the plane as they are. They are what libjpeg-turbo's upsampling
// makes by default (jdsample.c): its triangle filter ("fancy upsampling") where
// a sample covers two pixels, repetition where it covers four or where the
// plane is too narrow.
func (p plane) row(buf *[]byte, x0, x1, y int) []byte {
	fancyX := p.sx == 2 && p.width > 2
	fancyY := p.sy == 2 && (p.sx == 1 || fancyX)
	c0, c1 := x0/p.sx, (x1+p.sx-1)/p.sx
	near := p.line(y / p.sy)
	if p.sx == 1 && !fancyY {
		return near[x0:x1]
	}
	dst := grow(*buf, p.sx*(c1-c0)+slack)[:p.sx*(c1-c0)]
	*buf = dst
	switch {
	case fancyX && fancyY:
		triangleBoth(dst, near, p.line(p.farther(y)), c0)
	case fancyX:
		triangleAcross(dst, near, c0)
	case fancyY:
		triangleDown(dst, near[c0:], p.line(p.farther(y))[c0:], 1+int32(y&1))
	default:
		for i := range dst {
			dst[i] = near[c0+i/p.sx]
		}
	}
	return dst[x0-c0*p.sx:][:x1-x0]
}

func (p plane) line(y int) []byte { return p.pix[y*p.stride:][:p.width] }

// farther is the other sample row that pixel row y lies between; at the edges
// the nearer one again.
func (p plane) farther(y int) int {
	return min(max(y/2+2*(y&1)-1, 0), p.height-1)
}

// triangleAcross is h2v1_fancy_upsample from sample c0 on: 3/4 of the nearer,
// 1/4 of the farther sample; the outermost repeat.
func triangleAcross(dst, row []byte, c0 int) {
	first := unpreceded(dst, c0)
	acrossFrom(dst[:2*first], row, c0)
	done := first + triangle(dst[2*first:], row, row, c0+first, acrossEven, acrossOdd)
	acrossFrom(dst[2*done:], row, c0+done)
}

// unpreceded is for how many samples from c0 on, of which dst holds two pixels each,
// there is none before: 1 or 0.
func unpreceded(dst []byte, c0 int) int { return min(max(1-c0, 0), len(dst)/2) }

func acrossFrom(dst, row []byte, c0 int) {
	before, here := int32(row[max(c0-1, 0)]), int32(row[min(c0, len(row)-1)])
	for c := c0; len(dst) >= 2; c++ {
		after := int32(row[min(c+1, len(row)-1)])
		dst[0], dst[1] = byte((3*here+before+1)>>2), byte((3*here+after+2)>>2)
		before, here = here, after
		dst = dst[2:]
	}
}

// triangleDown is h1v2_fancy_upsample, whose bias is 1 for the upper pixel of a
// sample and 2 for the lower.
func triangleDown(dst, near, far []byte, bias int32) {
	near, far = near[:len(dst)], far[:len(dst)]
	for i, v := range near {
		dst[i] = byte((3*int32(v) + int32(far[i]) + bias) >> 2)
	}
}

// triangleBoth is h2v2_fancy_upsample: both of the above, rounded once.
func triangleBoth(dst, near, far []byte, c0 int) {
	first := unpreceded(dst, c0)
	bothFrom(dst[:2*first], near, far, c0)
	done := first + triangle(dst[2*first:], near, far, c0+first, bothEven, bothOdd)
	bothFrom(dst[2*done:], near, far, c0+done)
}

func bothFrom(dst, near, far []byte, c0 int) {
	sum := func(c int) int32 { return 3*int32(near[c]) + int32(far[c]) }
	before, here := sum(max(c0-1, 0)), sum(min(c0, len(near)-1))
	for c := c0; len(dst) >= 2; c++ {
		after := sum(min(c+1, len(near)-1))
		dst[0], dst[1] = byte((3*here+before+8)>>4), byte((3*here+after+7)>>4)
		before, here = here, after
		dst = dst[2:]
	}
}
