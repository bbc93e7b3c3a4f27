package preprocess

import (
	"fmt"

	"dynvit/camera"
)

// decodeRaw converts the formats of cameras. Chroma is repeated, not
// interpolated, as it lies; a region may begin at any pixel.
func (p *Preprocessor) decodeRaw(f *camera.Frame, r Region) error {
	b, err := p.size(f.Width, f.Height, r)
	if err != nil {
		return fmt.Errorf("%v frame: %w", f.Format, err)
	}
	if need := rawSize(f.Format, f.Width, f.Height); len(f.Data) < need {
		return fmt.Errorf("%v frame of %d×%d: %d bytes, want %d", f.Format, f.Width, f.Height, len(f.Data), need)
	}
	for i := range p.height {
		rawRow(p.row(i), f, b.x0, b.y0+i)
	}
	return nil
}

// rawSize is the number of bytes of a frame, rows packed, odd sizes rounded up
// for the chroma.
func rawSize(format camera.Format, w, h int) int {
	half := (w + 1) / 2 * ((h + 1) / 2)
	switch format {
	case camera.RGB24:
		return 3 * w * h
	case camera.GREY:
		return w * h
	case camera.YUYV:
		return (w + 1) / 2 * 4 * h
	}
	return w*h + 2*half // NV12, I420
}

func rawRow(dst []byte, f *camera.Frame, x0, y int) {
	w, h := f.Width, f.Height
	half := (w + 1) / 2
	switch f.Format {
	case camera.RGB24:
		copy(dst, f.Data[3*(y*w+x0):])
	case camera.GREY:
		spread(dst, f.Data[y*w+x0:], 1, 0, 0, 0)
	case camera.YUYV:
		line := f.Data[4*half*y:][:4*half]
		studioRow(dst, line, 2, line[1:], line[3:], 4, x0)
	case camera.NV12:
		uv := f.Data[w*h+2*half*(y/2):]
		studioRow(dst, f.Data[y*w:], 1, uv, uv[1:], 2, x0)
	case camera.I420:
		u := f.Data[w*h+half*(y/2):]
		v := f.Data[w*h+half*((h+1)/2)+half*(y/2):]
		studioRow(dst, f.Data[y*w:], 1, u, v, 1, x0)
	}
}

// studioRow converts pixels x0… of a row of BT.601 limited range: luma every
// stepY bytes, chroma every stepC bytes for two pixels.
func studioRow(dst, luma []byte, stepY int, u, v []byte, stepC, x0 int) {
	for i := 0; i < len(dst); i += 3 {
		x := x0 + i/3
		c := x / 2 * stepC
		dst[i], dst[i+1], dst[i+2] = studio(int32(luma[x*stepY]), int32(u[c]), int32(v[c]))
	}
}

// studio is BT.601 with luma in 16…235 and chroma in 16…240, in 16-bit fixed
// point: 255/219 = 1.164384, 1.596027, -0.391762, -0.812968, 2.017232.
func studio(y, u, v int32) (r, g, b byte) {
	l := 76309*(y-16) + 1<<15
	u, v = u-128, v-128
	return clamp((l + 104597*v) >> 16),
		clamp((l - 25675*u - 53279*v) >> 16),
		clamp((l + 132201*u) >> 16)
}
