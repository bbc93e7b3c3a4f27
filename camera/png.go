package camera

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
)

// decodePNG reads no picture that is larger than a camera's.
func decodePNG(data []byte) (image.Image, error) {
	c, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if c.Width > MaxSide || c.Height > MaxSide {
		return nil, fmt.Errorf("%d×%d pixels: at most %d a side", c.Width, c.Height, MaxSide)
	}
	// Four samples a pixel at least, as colours have, whatever the file's.
	const most, depth = 224 << 20, 24 // bytes; offset in the file
	colours := int64(4*(1+int(data[depth])>>4)) * int64(c.Width) * int64(c.Height)
	if max(colours, PNGBytes(data, c.Width, c.Height)) > most {
		return nil, fmt.Errorf("%d×%d pixels: decoding them takes more than %d MiB", c.Width, c.Height, most>>20)
	}
	return png.Decode(bytes.NewReader(data))
}

// PNGBytes is what image/png takes for a picture of w×h whose data begin with a good
// header: an interlaced one is put together of seven, one level of grey may be
// transparent.
func PNGBytes(data []byte, w, h int) int64 {
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
