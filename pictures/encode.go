package pictures

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"slices"

	"dynvit/camera"
	"dynvit/exif"
)

// snapshotQuality is image/jpeg's, of 1 to 100: what cameras use.
const snapshotQuality = 85

// EncodeJPEG writes a frame as a JPEG. One that is a JPEG is written as it is,
// damaged or not. How another file is to be turned, its JPEG says too.
func EncodeJPEG(w io.Writer, f *camera.Frame) error {
	if f.Format == camera.JPEG {
		_, err := w.Write(f.Data)
		return err
	}
	img, turn, err := pictureOf(f)
	if err != nil {
		return fmt.Errorf("%v frame: %w", f.Format, err)
	}
	o := &jpeg.Options{Quality: snapshotQuality}
	if turn.Upright() {
		return jpeg.Encode(w, img, o)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, o); err != nil {
		return err
	}
	const start = 2 // start of image
	_, err = w.Write(slices.Concat(b.Bytes()[:start], exif.Segment(turn), b.Bytes()[start:]))
	return err
}

// pictureOf is a frame as the image package has it, and how it is to be turned.
func pictureOf(f *camera.Frame) (image.Image, exif.Orientation, error) {
	switch f.Format {
	case camera.PNG:
		img, err := decodePNG(f.Data)
		return img, exif.OfPNG(f.Data), err
	case camera.WebP, camera.TIFF, camera.BMP, camera.GIF, camera.HEIC, camera.AVIF:
		return decodeSaved(f)
	}
	img, err := rawPicture(f)
	return img, 0, err
}

// most bounds what a picture takes that is encoded anew, in bytes.
const most = 224 << 20

// decodePNG reads no picture that is larger than a camera's. What is transparent is
// blended with black.
func decodePNG(data []byte) (image.Image, error) {
	c, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	// Four samples a pixel at least, as colours have, whatever the file's.
	const depth = 24 // offset in the file
	colours := int64(4*(1+int(data[depth])>>4)) * int64(c.Width) * int64(c.Height)
	if err := afford(c.Width, c.Height, max(colours, pngBytes(data, c.Width, c.Height))); err != nil {
		return nil, err
	}
	return png.Decode(bytes.NewReader(data))
}

// decodeSaved is any other file's picture.
func decodeSaved(f *camera.Frame) (image.Image, exif.Orientation, error) {
	p, err := Open(f.Format, f.Data)
	if err != nil {
		return nil, 0, err
	}
	if err := afford(p.Width, p.Height, p.Bytes+4*int64(p.Width)*int64(p.Height)); err != nil {
		return nil, 0, err
	}
	defer p.Close()
	rows, err := p.Decode()
	if err != nil {
		return nil, 0, err
	}
	img, row := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height)), make([]byte, 3*p.Width)
	for y := range p.Height {
		rows(row, 0, y)
		spreadRGB(img.Pix[y*img.Stride:][:img.Stride], row)
	}
	return img, p.Turn, nil
}

func afford(w, h int, bytes int64) error {
	if w < 1 || h < 1 || w > camera.MaxSide || h > camera.MaxSide {
		return fmt.Errorf("%d×%d pixels: 1 to %d a side", w, h, camera.MaxSide)
	}
	if bytes > most {
		return fmt.Errorf("%d×%d pixels: decoding them takes more than %d MiB", w, h, most>>20)
	}
	return nil
}

// rawPicture is a frame of a raw format.
func rawPicture(f *camera.Frame) (image.Image, error) {
	w, h := f.Width, f.Height
	half, low := (w+1)/2, (h+1)/2
	need := f.Format.Bytes(w, h)
	if w < 1 || h < 1 || w > camera.MaxSide || h > camera.MaxSide || need == 0 || len(f.Data) < need {
		return nil, fmt.Errorf("%d bytes for %d×%d pixels", len(f.Data), w, h)
	}
	all := image.Rect(0, 0, w, h)
	switch f.Format {
	case camera.GREY:
		return &image.Gray{Pix: f.Data, Stride: w, Rect: all}, nil
	case camera.RGB24:
		return opaque(f.Data, all), nil
	case camera.YUYV:
		return unpackYUYV(f.Data, all), nil
	}
	img := image.NewYCbCr(all, image.YCbCrSubsampleRatio420)
	full(img.Y, f.Data[:w*h], 1, &fullLuma)
	chroma := f.Data[w*h:]
	if f.Format == camera.NV12 {
		full(img.Cb, chroma, 2, &fullChroma)
		full(img.Cr, chroma[1:], 2, &fullChroma)
	} else {
		full(img.Cb, chroma, 1, &fullChroma)
		full(img.Cr, chroma[half*low:], 1, &fullChroma)
	}
	return img, nil
}

func opaque(rgb []byte, r image.Rectangle) *image.RGBA {
	img := image.NewRGBA(r)
	spreadRGB(img.Pix, rgb)
	return img
}

// spreadRGB writes pixels of three bytes as opaque ones of four.
func spreadRGB(dst, rgb []byte) {
	for i, j := 0, 0; i < len(dst); i, j = i+4, j+3 {
		dst[i], dst[i+1], dst[i+2], dst[i+3] = rgb[j], rgb[j+1], rgb[j+2], 255
	}
}

func unpackYUYV(data []byte, r image.Rectangle) *image.YCbCr {
	img := image.NewYCbCr(r, image.YCbCrSubsampleRatio422)
	line := 4 * ((r.Dx() + 1) / 2)
	for y := range r.Dy() {
		row := data[y*line:][:line]
		full(img.Y[y*img.YStride:][:r.Dx()], row, 2, &fullLuma)
		full(img.Cb[y*img.CStride:][:line/4], row[1:], 4, &fullChroma)
		full(img.Cr[y*img.CStride:][:line/4], row[3:], 4, &fullChroma)
	}
	return img
}

// levels are by what a sample of the limited range is replaced.
type levels [256]byte

// A camera's luma goes from 16 to 235, its chroma from 16 to 240 (BT.601); a
// JPEG's all the way (JFIF).
var fullLuma, fullChroma = stretched(16, 219, 0), stretched(128, 224, 128)

// stretched is (v - zero)·255/span + to.
func stretched(zero, span, to int) (l levels) {
	for v := range l {
		n := 255*(v-zero) + span/2
		if v < zero {
			n -= span // rounds to nearest below zero, too
		}
		l[v] = byte(max(0, min(n/span+to, 255)))
	}
	return l
}

// full converts every step'th sample of src until dst is full.
func full(dst, src []byte, step int, l *levels) {
	for i := range dst {
		dst[i] = l[src[i*step]]
	}
}
