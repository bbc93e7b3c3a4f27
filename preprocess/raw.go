package preprocess

import (
	"fmt"

	"dynvit/camera"
)

// decodeRaw takes the formats of cameras as they are: convert makes RGB of what is rendered
// here. Chroma is repeated for the pixels that share it, not interpolated.
func (p *Preprocessor) decodeRaw(f *camera.Frame, r Region) (window, error) {
	w, err := p.aim(f.Width, f.Height, 0, r, 0)
	if err != nil {
		return w, fmt.Errorf("%v frame: %w", f.Format, err)
	}
	if need := f.Format.Bytes(f.Width, f.Height); len(f.Data) < need {
		return w, fmt.Errorf("%v frame of %d×%d has %d bytes, want %d", f.Format, f.Width, f.Height, len(f.Data), need)
	}
	w.raw = *f
	return w, nil
}

// convert makes RGB of a raw frame's pixels.
func (w *window) convert() {
	if w.raw.Data == nil {
		return
	}
	for i := range w.box.height() {
		rawRow(w.row(i), &w.raw, w.box.x0, w.box.y0+i)
	}
	w.raw = camera.Frame{}
}

// rawRow writes the pixels from (x0, y) on to dst.
func rawRow(dst []byte, f *camera.Frame, x0, y int) {
	w, h := f.Width, f.Height
	half := (w + 1) / 2
	switch f.Format {
	case camera.RGB24:
		copy(dst, f.Data[3*(y*w+x0):])
	case camera.GREY:
		greyRow(dst, f.Data[y*w+x0:])
	case camera.YUYV:
		line := f.Data[4*half*y:][:4*half]
		studioRow(dst, line, 2, line[1:], line[3:], 4, x0, convertYUYV)
	case camera.NV12:
		uv := f.Data[w*h+2*half*(y/2):][:2*half]
		studioRow(dst, f.Data[y*w:], 1, uv, uv[1:], 2, x0, convertNV12)
	case camera.I420:
		u := f.Data[w*h+half*(y/2):][:half]
		v := f.Data[w*h+half*((h+1)/2)+half*(y/2):][:half]
		studioRow(dst, f.Data[y*w:], 1, u, v, 1, x0, convertI420)
	}
}

// studioRow converts the pixels from x0 on of a row of BT.601's limited range:
// luma every stepY bytes, chroma every stepC bytes for two pixels, as bulk takes
// them eight at a time.
func studioRow(dst, luma []byte, stepY int, u, v []byte, stepC, x0 int, bulk *conversion) {
	x := x0
	if x%2 == 0 {
		c := x / 2 * stepC
		done := bulk.pixels(dst, len(dst)/3, luma[x*stepY:], u[c:], v[c:])
		x, dst = x+done, dst[3*done:]
	}
	for ; len(dst) >= 3; x++ {
		c := x / 2 * stepC
		dst[0], dst[1], dst[2] = studio(int32(luma[x*stepY]), int32(u[c]), int32(v[c]))
		dst = dst[3:]
	}
}
