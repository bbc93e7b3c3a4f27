package preprocess

// Colour conversions, pixel by pixel. Fixed point with 16 fractional bits, rounded
// to nearest: what is written in the comments, times 65536.
const half = 1 << 15

// studio converts BT.601 with luma 16…235 and chroma 16…240 (ITU-R BT.601-7,
// table 3), as cameras send it:
//
//	r = 255/219·(y-16)                    + 1.596027·(v-128)
//	g = 255/219·(y-16) - 0.391762·(u-128) - 0.812968·(v-128)
//	b = 255/219·(y-16) + 2.017232·(u-128)
func studio(y, u, v int32) (r, g, b byte) {
	luma := 76309*(y-16) + half
	u, v = u-128, v-128
	return clamp((luma + 104597*v) >> 16), clamp((luma - 25675*u - 53279*v) >> 16), clamp((luma + 132201*u) >> 16)
}

// ycc converts JFIF's full-range BT.601 as libjpeg does, whose products are
// rounded before they are added to the luma (jdcolor.c, build_ycc_rgb_table):
//
//	r = y                      + 1.40200·(cr-128)
//	g = y - 0.34414·(cb-128) - 0.71414·(cr-128)
//	b = y + 1.77200·(cb-128)
func ycc(y, cb, cr int32) (r, g, b byte) {
	cb, cr = cb-128, cr-128
	return clamp(y + (91881*cr+half)>>16), clamp(y + (-22554*cb-46802*cr+half)>>16), clamp(y + (116130*cb+half)>>16)
}

// inked is Pillow's cmyk2rgb (Convert.c) for one ink: it takes its share, v of
// 255, of the light that black leaves.
func inked(v, light int32) byte {
	share := v*light + 128
	return clamp(light - (share+share>>8)>>8)
}

func clamp(v int32) byte { return byte(max(0, min(255, v))) }

// greyRow spreads the byte of each pixel over the channels.
func greyRow(dst, src []byte) {
	done := spread(dst, src)
	dst, src = dst[3*done:], src[done:]
	for i := 0; len(dst) >= 3; i++ {
		v := src[i]
		dst[0], dst[1], dst[2] = v, v, v
		dst = dst[3:]
	}
}
