package pictures

import "image"

// studioRows converts a key frame of VP8 as libwebp does: BT.601 with luma 16…235 and
// chroma 16…240, whose samples are spread over four pixels each by a triangle filter
// (src/dsp/upsampling.c, "fancy"). Package image would take them for JPEG's.
func studioRows(m *image.YCbCr) Rows {
	var cb, cr []byte
	return func(dst []byte, x, y int) {
		width := m.Rect.Dx()
		near, far := y/2, min(max(y/2+2*(y&1)-1, 0), (m.Rect.Dy()+1)/2-1)
		cb = spread(cb[:0], m.Cb[near*m.CStride:], m.Cb[far*m.CStride:], width)
		cr = spread(cr[:0], m.Cr[near*m.CStride:], m.Cr[far*m.CStride:], width)
		luma := m.Y[y*m.YStride:]
		for ; len(dst) >= 3; x++ {
			dst[0], dst[1], dst[2] = studio(int32(luma[x]), int32(cb[x]), int32(cr[x]))
			dst = dst[3:]
		}
	}
}

// spread makes a row of width pixels of the nearer and the farther row of samples. Each
// pixel lies between four of them; the sum is rounded twice, as in libwebp.
func spread(dst, near, far []byte, width int) []byte {
	outer := func(c int) byte { return byte((3*uint32(near[c]) + uint32(far[c]) + 2) >> 2) }
	dst = append(dst, outer(0))
	for c := 1; c <= (width-1)/2; c++ {
		n0, n1, f0, f1 := uint32(near[c-1]), uint32(near[c]), uint32(far[c-1]), uint32(far[c])
		sum := n0 + n1 + f0 + f1 + 8
		dst = append(dst, byte(((sum+2*(n1+f0))>>3+n0)>>1), byte(((sum+2*(n0+f1))>>3+n1)>>1))
	}
	if width%2 == 0 {
		dst = append(dst, outer((width-1)/2))
	}
	return dst
}

// studio is libwebp's VP8YUVToRGB (src/dsp/yuv.h): the products lose 8 bits, their sum 6.
func studio(y, u, v int32) (r, g, b byte) {
	luma := y * 19077 >> 8
	return clip(luma + v*26149>>8 - 14234), clip(luma - u*6419>>8 - v*13320>>8 + 8708), clip(luma + u*33050>>8 - 17685)
}

func clip(v int32) byte { return byte(max(0, min(255, v>>6))) }
