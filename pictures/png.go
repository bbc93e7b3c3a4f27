package pictures

import (
	"bytes"
	"fmt"
	"image"
	"image/png"

	"dynvit/exif"
)

func openPNG(data []byte) (*Picture, error) {
	c, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	p := &Picture{Width: c.Width, Height: c.Height, Turn: exif.OfPNG(data), Bytes: pngBytes(data, c.Width, c.Height)}
	p.decode = func() (Rows, error) {
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		if m, ok := img.(*image.NRGBA64); ok && isGrey(data) {
			return func(dst []byte, x, y int) { clippedRow(dst, m.Pix[m.PixOffset(x, y):], 8) }, nil
		}
		return rowsOf(img)
	}
	return p, nil
}

// isGrey says whether the header of a good PNG names colour type 0, which
// image/png hides where one level of grey is transparent.
func isGrey(data []byte) bool {
	const colourType = 8 + 8 + 9 // signature, chunk's head, width, height, depth
	return data[colourType] == 0
}

// pngBytes is what image/png takes for a picture of w×h whose data begin with a good
// header: an interlaced one is put together of seven, one level of grey may be
// transparent.
func pngBytes(data []byte, w, h int) int64 {
	const depth, colour, interlace = 24, 25, 28 // offsets in the file
	n := int64(w) * int64(h)
	if data[depth] == 16 {
		n *= 2
	}
	if k := data[colour]; k == 2 || k == 4 || k == 6 || k == 0 && bytes.Contains(data, []byte("tRNS")) {
		n *= 4
	}
	if data[interlace] != 0 {
		n *= 2
	}
	return n
}

// errKind is a picture of a kind that the library's decoder is not known to make.
func errKind(img image.Image) error { return fmt.Errorf("pixels of kind %T are not read", img) }
