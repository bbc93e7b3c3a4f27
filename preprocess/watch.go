package preprocess

import "dynvit/camera"

// watch is a thumbnail that falls off as a frame is decoded.
type watch struct {
	dst    *Thumbnail // nil: nobody watches
	seen   bool
	thumbs Thumbnailer
	row    []byte // scratch: RGB
}

// DecodeWatched is Decode that makes the frame's thumbnail on its way: of a JPEG the one
// that a Thumbnailer makes, without reading the codes twice; of other files and progressive JPEG,
// of which a Thumbnailer makes none, one of what is decoded anyway. seen is false where there is none,
// as of a picture that is damaged outside of the region.
func (p *Preprocessor) DecodeWatched(dst *Thumbnail, f *camera.Frame, r Region) (seen bool, err error) {
	p.watch.dst, p.watch.seen, p.jpeg.Watch = dst, false, true
	defer func() { p.watch.dst, p.jpeg.Watch = nil, false }()
	if err := p.Decode(f, r); err != nil {
		return false, err
	}
	return p.watch.seen || p.watch.thumbs.Make(dst, f, r) == nil, nil
}

// jpegMeans takes what fell off, of a region as it is stored.
func (p *Preprocessor) jpegMeans(r Region) {
	if p.watch.dst == nil {
		return
	}
	if m, ok := p.jpeg.Watched(); ok {
		p.watch.thumbs.fill(p.watch.dst, luma{m.Pix, m.Width, m.Height, m.Stride, 1, 1}, r)
		p.watch.seen = true
	}
}

// jpegPlane makes the thumbnail of a component that was decoded whole.
func (p *Preprocessor) jpegPlane(c plane, r Region) {
	if p.watch.dst == nil {
		return
	}
	p.watch.thumbs.ofRows(p.watch.dst, c.width, c.height, func(y int) ([]byte, int) { return c.pix[y*c.stride:], 1 }, r)
	p.watch.seen = true
}

// savedRows makes the thumbnail of a picture of w×h: green is most of the brightness.
func (p *Preprocessor) savedRows(w, h int, write func(dst []byte, x, y int), r Region) {
	if p.watch.dst == nil {
		return
	}
	p.watch.row = grow(p.watch.row, 3*w)
	row := func(y int) ([]byte, int) {
		write(p.watch.row, 0, y)
		return p.watch.row[1:], 3
	}
	p.watch.thumbs.ofRows(p.watch.dst, w, h, row, r)
	p.watch.seen = true
}
