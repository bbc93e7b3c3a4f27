// Package pictures reads pictures as telephones and cameras save them, but for JPEG,
// which is package preprocess's own: PNG, WebP, TIFF, BMP, GIF, HEIC and AVIF, by the
// decoders of Go's library, of golang.org/x/image and of package heif. It also writes
// a frame of any format as a JPEG.
//
// What comes out is Pillow 13.0.0's Image.convert('RGB'): alpha is dropped, not blended,
// 16 bits lose their low byte (16 bits of grey are clipped to 255), and of an animation
// there is the first picture alone. To the bit from PNG, WebP, TIFF, BMP and GIF; HEIC
// and AVIF within a level or two.
package pictures

import (
	"fmt"

	"dynvit/camera"
	"dynvit/exif"
	"dynvit/pictures/heif"
)

// Picture is what a picture's header says.
type Picture struct {
	Width, Height int              // as it is stored, pixels
	Turn          exif.Orientation // how it is to be turned
	Always        bool             // also by who reads pictures as they are stored: Pillow turns them as it opens them
	Animated      bool             // WebP: more pictures follow
	Bytes         int64            // what Decode takes beside the data, at most

	decode func() (Rows, error)
	close  func() // nil: nothing but Go's heap is taken
}

// Rows writes a row's pixels from (x, y) on to dst, 3 bytes each: R, G, B. The row has
// as many, and dst is not longer than a whole number of them.
type Rows func(dst []byte, x, y int)

// Decode takes the pixels in hand. It allocates what Bytes says.
func (p *Picture) Decode() (Rows, error) { return p.decode() }

// Close gives back what Decode took outside of Go's heap; Rows must not be used any
// more.
func (p *Picture) Close() {
	if p.close != nil {
		p.close()
	}
}

// Open reads the header of a picture of the given format. It keeps data, which must
// not change before the picture is done with, and allocates little: whether the pixels
// are affordable is for the caller to say, by size and Bytes.
func Open(format camera.Format, data []byte) (*Picture, error) {
	switch format {
	case camera.PNG:
		return openPNG(data)
	case camera.WebP:
		return openWebP(data)
	case camera.TIFF:
		return openTIFF(data)
	case camera.BMP:
		return openBMP(data)
	case camera.GIF:
		return openGIF(data)
	case camera.HEIC:
		return boxed(heif.OpenHEIC(data))
	case camera.AVIF:
		return boxed(heif.OpenAVIF(data))
	}
	return nil, fmt.Errorf("no picture of a file: %v", format)
}

// boxed is a picture of package heif.
func boxed(h *heif.Picture, err error) (*Picture, error) {
	if err != nil {
		return nil, err
	}
	decode := func() (Rows, error) {
		rows, err := h.Decode()
		return rows, err
	}
	return &Picture{Width: h.Width, Height: h.Height, Turn: h.Turn, Bytes: h.Bytes, decode: decode, close: h.Close}, nil
}
