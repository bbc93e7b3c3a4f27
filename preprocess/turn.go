package preprocess

import (
	"slices"

	"dynvit/exif"
)

// heeded is how a picture is turned whose Exif says o.
func (p *Preprocessor) heeded(o exif.Orientation) exif.Orientation {
	if p.spec.AsStored {
		return 0
	}
	return o
}

// seen is the size of a stored picture as it is to be looked at.
func seen(o exif.Orientation, w, h int) (int, int) {
	if o.Sideways() {
		return h, w
	}
	return w, h
}

// stored is where a box of the picture as it is to be looked at lies in the stored
// one, which has w×h pixels.
func stored(o exif.Orientation, b box, w, h int) box {
	if o.Sideways() {
		b = box{b.y0, b.x0, b.y1, b.x1}
	}
	x, y := o.Mirrored()
	if x {
		b.x0, b.x1 = w-b.x1, w-b.x0
	}
	if y {
		b.y0, b.y1 = h-b.y1, h-b.y0
	}
	return b
}

// stored is the region of the stored picture.
func (r Region) stored(o exif.Orientation) Region {
	if o.Sideways() {
		r = Region{r.Y0, r.X0, r.Y1, r.X1}
	}
	x, y := o.Mirrored()
	if x {
		r.X0, r.X1 = 1-r.X1, 1-r.X0
	}
	if y {
		r.Y0, r.Y1 = 1-r.Y1, 1-r.Y0
	}
	return r
}

// upright turns the window's pixels, which are decoded as they are stored.
func (p *Preprocessor) upright(w window) window {
	if w.turn.Upright() {
		return w
	}
	n := len(w.rgb)
	to := grow(p.turned, n+w.plan.x.behind())[:n]
	turn(to, w.rgb, w.box.width(), w.box.height(), w.turn)
	w.rgb, p.turned = to, w.rgb
	w.box.x1, w.box.y1 = seen(w.turn, w.box.width(), w.box.height())
	w.box.x0, w.box.y0 = 0, 0
	return w
}

// turn writes a stored picture, [h, w, 3], as it is to be looked at. It goes by
// bands of so many rows, for which it reads sideways pictures by as many pixels.
func turn(dst, src []byte, w, h int, o exif.Orientation) {
	const band = 16
	at, across, down := 0, 3, 3*w // in src, for the first pixel and the next ones
	x, y := o.Mirrored()
	if x {
		at, across = at+3*(w-1), -across
	}
	if y {
		at, down = at+3*w*(h-1), -down
	}
	if o.Sideways() {
		w, h, across, down = h, w, down, across
	}
	for top := 0; top < h; top += band {
		rows := min(band, h-top)
		for x := range w {
			from, to := at+top*down+x*across, 3*(top*w+x)
			for range rows {
				s, d := src[from:from+3:from+3], dst[to:to+3:to+3]
				d[0], d[1], d[2] = s[0], s[1], s[2]
				from, to = from+down, to+3*w
			}
		}
	}
}

// Mirror turns a rendered input left to right, in place, as if the crop of the picture
// had been.
func (s Spec) Mirror(input []float32) {
	if s.Layout == Pixels {
		for row := range slices.Chunk(input, 3*s.Size) {
			mirror(row, 3)
		}
		return
	}
	rows := s.Size / s.Patch
	for patches := range slices.Chunk(input, rows*3*s.Patch*s.Patch) {
		mirror(patches, 3*s.Patch*s.Patch)
	}
	for row := range slices.Chunk(input, s.Patch) {
		slices.Reverse(row)
	}
}

// mirror reverses the order of groups of n numbers.
func mirror(row []float32, n int) {
	for a, b := 0, len(row)-n; a < b; a, b = a+n, b-n {
		for i := range n {
			row[a+i], row[b+i] = row[b+i], row[a+i]
		}
	}
}
