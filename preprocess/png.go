package preprocess

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"dynvit/camera"
	"dynvit/exif"
)

func (p *Preprocessor) decodePNG(data []byte, r Region) (window, error) {
	c, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return window{}, fmt.Errorf("png: %w", err)
	}
	takes, turn := camera.PNGBytes(data, c.Width, c.Height), p.heeded(exif.OfPNG(data))
	w, err := p.aim(c.Width, c.Height, turn, r, takes)
	if err != nil {
		return w, fmt.Errorf("png of %d×%d: %w", c.Width, c.Height, err)
	}
	p.left = takes
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return w, fmt.Errorf("png of %d×%d: %w", c.Width, c.Height, err)
	}
	write := pngRow(img, isGrey(data))
	if write == nil {
		return w, fmt.Errorf("png of %d×%d: pixels of kind %T are not read", c.Width, c.Height, img)
	}
	for i := range w.box.height() {
		write(w.row(i), w.box.x0, w.box.y0+i)
	}
	p.pngRows(c.Width, c.Height, write, r.stored(turn))
	return w, nil
}

// isGrey says whether the header of a good PNG names colour type 0, which
// image/png hides where one level of grey is transparent.
func isGrey(data []byte) bool {
	const colourType = 8 + 8 + 9 // signature, chunk's head, width, height, depth
	return data[colourType] == 0
}

// pngRow returns the function that writes the pixels from (x, y) on to dst, as
// Pillow's convert('RGB'): alpha is dropped and 16 bits lose their low byte, but
// 16 bits of grey are clipped to 255. It is nil for a kind of picture that
// image/png does not make.
func pngRow(img image.Image, grey bool) func(dst []byte, x, y int) {
	switch m := img.(type) {
	case *image.Gray:
		return func(dst []byte, x, y int) { greyRow(dst, m.Pix[m.PixOffset(x, y):]) }
	case *image.Gray16:
		return func(dst []byte, x, y int) { clippedRow(dst, m.Pix[m.PixOffset(x, y):], 2) }
	case *image.RGBA:
		return func(dst []byte, x, y int) { colourRow(dst, m.Pix[m.PixOffset(x, y):], 1) }
	case *image.NRGBA:
		return func(dst []byte, x, y int) { colourRow(dst, m.Pix[m.PixOffset(x, y):], 1) }
	case *image.RGBA64:
		return func(dst []byte, x, y int) { colourRow(dst, m.Pix[m.PixOffset(x, y):], 2) }
	case *image.NRGBA64:
		if grey {
			return func(dst []byte, x, y int) { clippedRow(dst, m.Pix[m.PixOffset(x, y):], 8) }
		}
		return func(dst []byte, x, y int) { colourRow(dst, m.Pix[m.PixOffset(x, y):], 2) }
	case *image.Paletted:
		table := palette(m.Palette)
		return func(dst []byte, x, y int) { paletteRow(dst, m.Pix[m.PixOffset(x, y):], table) }
	}
	return nil
}

// colourRow takes the first byte of R, G and B, of depth bytes each; alpha
// follows them.
func colourRow(dst, src []byte, depth int) {
	for i := 0; len(dst) >= 3; i += 4 * depth {
		dst[0], dst[1], dst[2] = src[i], src[i+depth], src[i+2*depth]
		dst = dst[3:]
	}
}

// clippedRow clips grey of 16 bits, every step bytes, as Pillow's mode I;16.
func clippedRow(dst, src []byte, step int) {
	for i := 0; len(dst) >= 3; i += step {
		v := src[i+1]
		if src[i] != 0 {
			v = 255
		}
		dst[0], dst[1], dst[2] = v, v, v
		dst = dst[3:]
	}
}

func paletteRow(dst, src []byte, table *[256][3]byte) {
	for _, v := range src[:len(dst)/3] {
		copy(dst, table[v][:])
		dst = dst[3:]
	}
}

// palette drops the alpha of a palette of image/png, which is opaque RGBA or
// NRGBA.
func palette(colors color.Palette) *[256][3]byte {
	var table [256][3]byte
	for i, c := range colors[:min(len(colors), len(table))] {
		switch c := c.(type) {
		case color.RGBA:
			table[i] = [3]byte{c.R, c.G, c.B}
		case color.NRGBA:
			table[i] = [3]byte{c.R, c.G, c.B}
		}
	}
	return &table
}
