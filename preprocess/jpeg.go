package preprocess

import (
	"errors"
	"fmt"
	"image"
	"image/jpeg"

	"dynvit/exif"
	"dynvit/preprocess/baseline"
)

// decodeJPEG takes the planes in hand and makes RGB of them as libjpeg-turbo does.
func (p *Preprocessor) decodeJPEG(data []byte, r Region) (window, error) {
	h, err := readJPEGHeader(data)
	if err != nil {
		return window{}, fmt.Errorf("jpeg: %w", err)
	}
	h.turn = p.heeded(h.turn)
	w, planes, err := p.planes(data, h, r)
	if err != nil {
		return w, fmt.Errorf("jpeg of %d×%d: %w", h.width, h.height, err)
	}
	p.convert(w, planes, h.colours)
	return w, nil
}

// planes decodes by package baseline what that can, and by image/jpeg the rest,
// which is always whole pictures of full size.
func (p *Preprocessor) planes(data []byte, h jpegHeader, r Region) (window, []plane, error) {
	if err := checkSize(h.width, h.height); err != nil {
		return window{}, nil, err
	}
	if h.progressive {
		return p.library(data, h, r)
	}
	scale := p.scale(h.width, h.height, h.turn, r)
	width, height := (h.width+scale-1)/scale, (h.height+scale-1)/scale
	w, err := p.aim(width, height, h.turn, r, h.own(data, scale))
	if err != nil {
		return w, nil, err
	}
	list, err := p.jpeg.Decode(data, scale, baseline.Window{X0: w.box.x0, Y0: w.box.y0, X1: w.box.x1, Y1: w.box.y1})
	if errors.Is(err, baseline.ErrKind) {
		p.window.rgb = w.rgb
		return p.library(data, h, r)
	}
	if err != nil {
		return w, nil, err
	}
	w.damaged = p.jpeg.Damaged()
	p.jpegMeans(r.stored(h.turn))
	return w, p.own(list, width, height), nil
}

// library decodes by image/jpeg.
func (p *Preprocessor) library(data []byte, h jpegHeader, r Region) (window, []plane, error) {
	w, err := p.aim(h.width, h.height, h.turn, r, h.library())
	if err != nil {
		return w, nil, err
	}
	p.left = h.library()
	planes, err := decodePlanes(data, h)
	if err == nil {
		p.jpegPlane(planes[0], r.stored(h.turn))
	}
	return w, planes, err
}

// scale is by how much a region of a picture of w×h may shrink while it is decoded.
func (p *Preprocessor) scale(w, h int, turn exif.Orientation, r Region) int {
	if !p.spec.Scaled {
		return 1
	}
	scale := 8
	for ; scale > 1; scale /= 2 {
		b := r.pixels(seen(turn, (w+scale-1)/scale, (h+scale-1)/scale))
		toW, toH := p.spec.target(b.width(), b.height())
		if b.width() >= toW && b.height() >= toH {
			break
		}
	}
	return scale
}

// own describes the planes of a stored picture of w×h.
func (p *Preprocessor) own(list []baseline.Plane, w, h int) []plane {
	p.from = p.from[:0]
	for _, c := range list {
		p.from = append(p.from, newPlane(c.Pix, c.Stride, w, h, c.SX, c.SY))
	}
	return p.from
}

func decodePlanes(data []byte, h jpegHeader) ([]plane, error) {
	img, err := jpeg.Decode(h.open(data))
	if err != nil {
		return nil, err
	}
	if got := img.Bounds(); got != image.Rect(0, 0, h.width, h.height) {
		return nil, fmt.Errorf("scans of another size, %v", got.Size())
	}
	return planesOf(img, h)
}

// convert writes the window's pixels.
func (p *Preprocessor) convert(w window, planes []plane, c colours) {
	for i := range w.box.height() {
		var rows [4][]byte
		for j, from := range planes {
			rows[j] = from.row(&p.lines[j], w.box.x0, w.box.x1, w.box.y0+i)
		}
		c.row(w.row(i), rows)
	}
}

// scratch holds a row of each component.
type scratch [4][]byte

// colours is what the components of a JPEG mean.
type colours uint8

const (
	jpegGrey colours = iota // Y
	jpegYCC                 // Y, Cb, Cr
	jpegRGB                 // R, G, B
	jpegCMYK                // C, M, Y, K; 255 is no ink
	jpegYCCK                // Y, Cb, Cr of the paper's light without black, K
)

// row converts a row of as many components as there are.
func (c colours) row(dst []byte, from [4][]byte) {
	switch c {
	case jpegGrey:
		greyRow(dst, from[0])
	case jpegYCC:
		yccRow(dst, from[0], from[1], from[2])
	case jpegRGB:
		for x, r := range from[0] {
			dst[3*x], dst[3*x+1], dst[3*x+2] = r, from[1][x], from[2][x]
		}
	case jpegCMYK:
		cmykRow(dst, from)
	case jpegYCCK:
		ycckRow(dst, from)
	}
}

func yccRow(dst, luma, cb, cr []byte) {
	done := convertYCC.pixels(dst, len(luma), luma, cb, cr)
	dst, luma, cb, cr = dst[3*done:], luma[done:], cb[done:], cr[done:]
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	for x, y := range luma {
		dst[0], dst[1], dst[2] = ycc(int32(y), int32(cb[x]), int32(cr[x]))
		dst = dst[3:]
	}
}

// cmykRow takes every CMYK JPEG for Adobe's, whose inks are inverted, as Pillow
// does.
func cmykRow(dst []byte, from [4][]byte) {
	for x, black := range from[3] {
		light := int32(black)
		for c := range 3 {
			dst[3*x+c] = inked(255-int32(from[c][x]), light)
		}
	}
}

// ycckRow: libjpeg inverts what it converts (jdcolor.c, ycck_cmyk_convert) and
// Pillow inverts it back, so that the inks are R, G, B as they come.
func ycckRow(dst []byte, from [4][]byte) {
	for x, black := range from[3] {
		light := int32(black)
		r, g, b := ycc(int32(from[0][x]), int32(from[1][x]), int32(from[2][x]))
		dst[3*x] = inked(int32(r), light)
		dst[3*x+1] = inked(int32(g), light)
		dst[3*x+2] = inked(int32(b), light)
	}
}
