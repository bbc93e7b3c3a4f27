package preprocess

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"

	"dynvit/camera"

	"github.com/gen2brain/jpegn"
)

// maxPixels is the largest picture that is decoded: 64 megapixels are 192 MB of
// RGB, beyond any camera this daemon will meet.
const maxPixels = 64 << 20

// Decode turns a frame's region into RGB. Only the JPEG and PNG decoders
// allocate, and a picture that is larger than the ones before. A damaged picture
// is an error; the next one is not affected.
func (p *Preprocessor) Decode(f *camera.Frame, r Region) error {
	if err := r.Check(); err != nil {
		return err
	}
	switch f.Format {
	case camera.JPEG:
		return p.decodeJPEG(f.Data, r)
	case camera.PNG:
		return p.decodePNG(f.Data, r)
	case camera.RGB24, camera.GREY, camera.YUYV, camera.NV12, camera.I420:
		return p.decodeRaw(f, r)
	}
	return fmt.Errorf("frame format %v is not known", f.Format)
}

// size checks a picture's size and makes room for the region of it.
func (p *Preprocessor) size(w, h int, r Region) (box, error) {
	if w < 1 || h < 1 || w > maxPixels/h {
		return box{}, fmt.Errorf("picture of %d×%d: want 1 to %d pixels", w, h, maxPixels)
	}
	b := r.pixels(w, h)
	p.width, p.height = b.x1-b.x0, b.y1-b.y0
	n := 3 * p.width * p.height
	if cap(p.rgb) < n {
		p.rgb = make([]byte, n)
	}
	p.rgb = p.rgb[:n]
	return b, nil
}

// row returns row i of the region in hand.
func (p *Preprocessor) row(i int) []byte {
	return p.rgb[3*i*p.width:][:3*p.width]
}

func (p *Preprocessor) decodePNG(data []byte, r Region) error {
	c, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("png: %w", err)
	}
	b, err := p.size(c.Width, c.Height, r)
	if err != nil {
		return fmt.Errorf("png: %w", err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("png: %w", err)
	}
	return p.convert(img, b)
}

func (p *Preprocessor) decodeJPEG(data []byte, r Region) error {
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("jpeg: %w", err)
	}
	b, err := p.size(c.Width, c.Height, r)
	if err != nil {
		return fmt.Errorf("jpeg: %w", err)
	}
	img, err := jpeg.Decode(bytes.NewReader(data))
	if isWithoutTables(err) {
		img, err = jpegn.Decode(bytes.NewReader(data))
	}
	if err != nil {
		return fmt.Errorf("jpeg: %w", err)
	}
	if img.Bounds().Size() != image.Pt(c.Width, c.Height) {
		return errors.New("jpeg: size differs from its header")
	}
	return p.convert(img, b)
}

// isWithoutTables recognises the error of image/jpeg on a frame of a USB camera's
// MJPEG, which leaves the standard Huffman tables out
// (https://github.com/golang/go/issues/10464); jpegn knows them.
func isWithoutTables(err error) bool {
	var f jpeg.FormatError
	return errors.As(err, &f) && f == "uninitialized Huffman table"
}

// convert writes the box of a decoded picture as Pillow's convert('RGB') does:
// alpha is dropped, 16 bits lose their low byte, palettes are looked up.
func (p *Preprocessor) convert(img image.Image, b box) error {
	o := img.Bounds().Min
	b = box{b.x0 + o.X, b.y0 + o.Y, b.x1 + o.X, b.y1 + o.Y}
	if img, ok := img.(*image.YCbCr); ok {
		p.convertYCbCr(img, b)
		return nil
	}
	write := rowWriter(img)
	if write == nil {
		return fmt.Errorf("picture of kind %T is not read", img)
	}
	for i := range p.height {
		write(p.row(i), b.x0, b.y0+i)
	}
	return nil
}

// rowWriter returns the function that writes the pixels from (x, y) on to dst;
// nil for a kind of picture that no decoder of ours makes.
func rowWriter(img image.Image) func(dst []byte, x, y int) {
	switch m := img.(type) {
	case *image.Gray:
		return func(dst []byte, x, y int) { spread(dst, m.Pix[m.PixOffset(x, y):], 1, 0, 0, 0) }
	case *image.Gray16:
		return func(dst []byte, x, y int) { gray16(dst, m.Pix[m.PixOffset(x, y):]) }
	case *image.RGBA:
		return func(dst []byte, x, y int) { spread(dst, m.Pix[m.PixOffset(x, y):], 4, 0, 1, 2) }
	case *image.NRGBA:
		return func(dst []byte, x, y int) { spread(dst, m.Pix[m.PixOffset(x, y):], 4, 0, 1, 2) }
	case *image.RGBA64:
		return func(dst []byte, x, y int) { spread(dst, m.Pix[m.PixOffset(x, y):], 8, 0, 2, 4) }
	case *image.NRGBA64:
		return func(dst []byte, x, y int) { spread(dst, m.Pix[m.PixOffset(x, y):], 8, 0, 2, 4) }
	case *image.CMYK:
		return func(dst []byte, x, y int) { cmyk(dst, m.Pix[m.PixOffset(x, y):]) }
	case *image.Paletted:
		table := palette(m.Palette)
		return func(dst []byte, x, y int) {
			for i, v := range m.Pix[m.PixOffset(x, y):][:len(dst)/3] {
				copy(dst[3*i:], table[v][:])
			}
		}
	}
	return nil
}

// spread picks bytes r, g, b of each pixel of step bytes.
func spread(dst, src []byte, step, r, g, b int) {
	for i := 0; i < len(dst); i += 3 {
		dst[i], dst[i+1], dst[i+2] = src[r], src[g], src[b]
		src = src[min(step, len(src)):]
	}
}

// gray16 clips as Pillow's I;16 does on its way to eight bits.
func gray16(dst, src []byte) {
	for i := 0; i < len(dst); i += 3 {
		v := src[1]
		if src[0] != 0 {
			v = 255
		}
		dst[i], dst[i+1], dst[i+2] = v, v, v
		src = src[2:]
	}
}

// cmyk is Pillow's cmyk2rgb: each ink takes its share of what black leaves.
func cmyk(dst, src []byte) {
	for i := 0; i < len(dst); i += 3 {
		light := 255 - int(src[3])
		for c := range 3 {
			v := int(src[c])*light + 128
			dst[i+c] = byte(max(0, light-((v>>8)+v)>>8))
		}
		src = src[4:]
	}
}

func palette(colors color.Palette) (table [256][3]byte) {
	for i, c := range colors[:min(len(colors), 256)] {
		switch c := c.(type) {
		case color.RGBA:
			table[i] = [3]byte{c.R, c.G, c.B}
		case color.NRGBA:
			table[i] = [3]byte{c.R, c.G, c.B}
		}
	}
	return table
}
