package pictures

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"

	"golang.org/x/image/tiff"

	"dynvit/exif"
)

// Tags (TIFF 6.0, appendix A).
const (
	tagCompression  = 259
	tagPhotometric  = 262
	tagRowsPerStrip = 278
	tagTileWidth    = 322
	tagTileLength   = 323
	tagExtraSamples = 338
)

func openTIFF(data []byte) (*Picture, error) {
	c, err := tiff.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, plain(err)
	}
	d, ok := exif.ReadDirectory(data)
	if !ok {
		return nil, errors.New("no directory")
	}
	p := &Picture{Width: c.Width, Height: c.Height, Turn: exif.OfTIFF(data), Always: true}
	p.Bytes = tiffBytes(d, c, len(data))
	p.decode = func() (Rows, error) {
		img, err := tiff.Decode(bytes.NewReader(data))
		if err != nil {
			return nil, plain(err)
		}
		return tiffRows(d, img)
	}
	return p, nil
}

// plain takes package tiff's own name off its errors: the format is named anyway.
func plain(err error) error {
	var format tiff.FormatError
	var unsupported tiff.UnsupportedError
	switch {
	case errors.As(err, &format):
		return errors.New(string(format))
	case errors.As(err, &unsupported):
		return fmt.Errorf("not read: %s", string(unsupported))
	}
	return err
}

// tiffBytes is what package tiff takes: the picture, and a strip or tile, which it lets
// swell to 8 bytes a pixel in a buffer that doubles as it grows. What is not compressed
// can be no more than the file.
func tiffBytes(d exif.Directory, c image.Config, size int) int64 {
	width, height := int64(c.Width), int64(c.Height)
	if rows := int64(d.Uint(tagRowsPerStrip)); rows > 0 {
		height = min(height, rows)
	}
	if w := int64(d.Uint(tagTileWidth)); w > 0 {
		width, height = w, int64(d.Uint(tagTileLength))
	}
	const none, chunk = 1, 10 << 20 // compression; bytes read at a time
	block := 3 * 8 * width * height
	if k := d.Uint(tagCompression); k == none || k == 0 {
		block = min(block, 9*int64(size)/4+chunk)
	}
	return int64(c.Width)*int64(c.Height)*bytesOf(c.ColorModel) + block
}

// bytesOf is how many a pixel has.
func bytesOf(m color.Model) int64 {
	switch m {
	case color.RGBA64Model, color.NRGBA64Model:
		return 8
	case color.RGBAModel, color.NRGBAModel:
		return 4
	case color.Gray16Model:
		return 2
	}
	return 1
}

// tiffRows divides colours by the alpha that they were multiplied by, leaves 16 bits of
// grey as they are where white is zero, and lets the white runs of a fax be black where
// black is zero, as Pillow does.
func tiffRows(d exif.Directory, img image.Image) (Rows, error) {
	const associated, whiteIsZero, blackIsZero, group3, group4 = 1, 0, 1, 3, 4
	switch m := img.(type) {
	case *image.RGBA:
		if d.Uint(tagExtraSamples) == associated {
			return func(dst []byte, x, y int) { dividedRow(dst, m.Pix[m.PixOffset(x, y):], 1) }, nil
		}
	case *image.RGBA64:
		if d.Uint(tagExtraSamples) == associated {
			return func(dst []byte, x, y int) { dividedRow(dst, m.Pix[m.PixOffset(x, y):], 2) }, nil
		}
	case *image.Gray16:
		if d.Uint(tagPhotometric) == whiteIsZero {
			invert(m.Pix)
		}
	case *image.Gray:
		if k := d.Uint(tagCompression); (k == group3 || k == group4) && d.Uint(tagPhotometric) == blackIsZero {
			invert(m.Pix)
		}
	}
	return rowsOf(img)
}

func invert(pix []byte) {
	for i := range pix {
		pix[i] = ^pix[i]
	}
}
