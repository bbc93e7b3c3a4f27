package pictures

import (
	"image"
	"image/color"
)

// rowsOf reads the pictures that the library's decoders make, as Pillow's
// convert('RGB'): alpha is dropped and 16 bits lose their low byte, but 16 bits of grey
// are clipped to 255.
func rowsOf(img image.Image) (Rows, error) {
	switch m := img.(type) {
	case *image.Gray:
		return func(dst []byte, x, y int) { greyRow(dst, m.Pix[m.PixOffset(x, y):]) }, nil
	case *image.Gray16:
		return func(dst []byte, x, y int) { clippedRow(dst, m.Pix[m.PixOffset(x, y):], 2) }, nil
	case *image.RGBA:
		return func(dst []byte, x, y int) { colourRow(dst, m.Pix[m.PixOffset(x, y):], 1) }, nil
	case *image.NRGBA:
		return func(dst []byte, x, y int) { colourRow(dst, m.Pix[m.PixOffset(x, y):], 1) }, nil
	case *image.RGBA64:
		return func(dst []byte, x, y int) { colourRow(dst, m.Pix[m.PixOffset(x, y):], 2) }, nil
	case *image.NRGBA64:
		return func(dst []byte, x, y int) { colourRow(dst, m.Pix[m.PixOffset(x, y):], 2) }, nil
	case *image.Paletted:
		table := palette(m.Palette)
		return func(dst []byte, x, y int) { paletteRow(dst, m.Pix[m.PixOffset(x, y):], table) }, nil
	}
	return nil, errKind(img)
}

func greyRow(dst, src []byte) {
	for i := 0; len(dst) >= 3; i++ {
		v := src[i]
		dst[0], dst[1], dst[2] = v, v, v
		dst = dst[3:]
	}
}

// colourRow takes the first byte of R, G and B, of depth bytes each; alpha
// follows them.
func colourRow(dst, src []byte, depth int) {
	for i := 0; len(dst) >= 3; i += 4 * depth {
		dst[0], dst[1], dst[2] = src[i], src[i+depth], src[i+2*depth]
		dst = dst[3:]
	}
}

// dividedRow is colourRow of colours that are multiplied by alpha (Pillow's
// unpackRGBa).
func dividedRow(dst, src []byte, depth int) {
	for i := 0; len(dst) >= 3; i += 4 * depth {
		alpha := int(src[i+3*depth])
		for c := range 3 {
			v := int(src[i+c*depth])
			switch alpha {
			case 0:
				v = 0
			case 255:
			default:
				v = min(255, v*255/alpha)
			}
			dst[c] = byte(v)
		}
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

// palette drops the alpha of a palette of the library's decoders: opaque RGBA, NRGBA,
// or, in TIFF, RGBA of 16 bits.
func palette(colors color.Palette) *[256][3]byte {
	var table [256][3]byte
	for i, c := range colors[:min(len(colors), len(table))] {
		switch c := c.(type) {
		case color.RGBA:
			table[i] = [3]byte{c.R, c.G, c.B}
		case color.NRGBA:
			table[i] = [3]byte{c.R, c.G, c.B}
		case color.RGBA64:
			table[i] = [3]byte{byte(c.R >> 8), byte(c.G >> 8), byte(c.B >> 8)}
		}
	}
	return &table
}
