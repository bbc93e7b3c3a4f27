package preprocess

import "image"

// convertYCbCr writes the box of a JPEG's planes as libjpeg-turbo does: chroma
// upsampled by its triangle filter where it has one ("fancy upsampling",
// jdsample.c; 4:1:1 and 4:1:0 are repeated), then its integer conversion.
func (p *Preprocessor) convertYCbCr(m *image.YCbCr, b box) {
	full := 3 * p.width * p.height
	if cap(p.chroma) < 2*p.width {
		p.chroma = make([]byte, 2*p.width)
	}
	cb, cr := p.chroma[:p.width], p.chroma[p.width:2*p.width]
	up := newUpsampler(m)
	for i, y := 0, b.y0; 3*i*p.width < full; i, y = i+1, y+1 {
		up.row(cb, m.Cb, b.x0, y)
		up.row(cr, m.Cr, b.x0, y)
		luma := m.Y[m.YOffset(b.x0, y):][:p.width]
		dst := p.row(i)
		for x, l := range luma {
			dst[3*x], dst[3*x+1], dst[3*x+2] = ycc(int32(l), int32(cb[x])-128, int32(cr[x])-128)
		}
	}
}

// ycc is libjpeg's full-range BT.601 conversion in 16-bit fixed point
// (jdcolor.c, build_ycc_rgb_table).
func ycc(y, cb, cr int32) (r, g, b byte) {
	const half = 1 << 15
	return clamp(y + (91881*cr+half)>>16),
		clamp(y + (-22554*cb-46802*cr+half)>>16),
		clamp(y + (116130*cb+half)>>16)
}

func clamp(v int32) byte { return byte(max(0, min(255, v))) }

// upsampler reads chroma planes at the picture's resolution.
type upsampler struct {
	sx, sy        int // subsampling
	width, height int // of a chroma plane, as far as the picture reaches
	stride        int
	minX, minY    int // of the picture, a multiple of the subsampling
}

func newUpsampler(m *image.YCbCr) upsampler {
	sx, sy := 1, 1
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		sx = 2
	case image.YCbCrSubsampleRatio420:
		sx, sy = 2, 2
	case image.YCbCrSubsampleRatio440:
		sy = 2
	case image.YCbCrSubsampleRatio411:
		sx = 4
	case image.YCbCrSubsampleRatio410:
		sx, sy = 4, 2
	}
	size := m.Rect.Size()
	return upsampler{sx, sy, (size.X + sx - 1) / sx, (size.Y + sy - 1) / sy, m.CStride, m.Rect.Min.X, m.Rect.Min.Y}
}

// row writes the chroma under the pixels (x0…, y).
func (u upsampler) row(dst, plane []byte, x0, y int) {
	x0, y = x0-u.minX, y-u.minY
	cy := y / u.sy
	near := plane[cy*u.stride:][:u.width]
	fancyX := u.sx == 2 && u.width > 2
	fancyY := u.sy == 2 && (u.sx == 1 || fancyX)
	far := near
	if fancyY { // the other row that this one lies between, the edge repeated
		other := min(max(cy+2*(y&1)-1, 0), u.height-1)
		far = plane[other*u.stride:][:u.width]
	}
	switch {
	case fancyX && fancyY:
		u.both(dst, near, far, x0)
	case fancyX:
		u.across(dst, near, x0)
	case fancyY:
		bias := int32(1 + y&1)
		for i := range dst {
			dst[i] = byte((3*int32(near[x0+i]) + int32(far[x0+i]) + bias) >> 2)
		}
	default:
		for i := range dst {
			dst[i] = near[(x0+i)/u.sx]
		}
	}
}

// across is h2v1_fancy_upsample: 3/4 the nearer, 1/4 the further sample.
func (u upsampler) across(dst, row []byte, x0 int) {
	for i := range dst {
		x := x0 + i
		c := x >> 1
		other := c + 2*(x&1) - 1
		if other < 0 || other >= u.width {
			dst[i] = row[c]
			continue
		}
		dst[i] = byte((3*int32(row[c]) + int32(row[other]) + 1 + int32(x&1)) >> 2)
	}
}

// both is h2v2_fancy_upsample: the triangle filter on both axes.
func (u upsampler) both(dst, near, far []byte, x0 int) {
	for i := range dst {
		x := x0 + i
		c := x >> 1
		other := c + 2*(x&1) - 1
		here := 3*int32(near[c]) + int32(far[c])
		there := here
		if other >= 0 && other < u.width {
			there = 3*int32(near[other]) + int32(far[other])
		}
		dst[i] = byte((3*here + there + 8 - int32(x&1)) >> 4)
	}
}
