package camera

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"slices"

	"dynvit/exif"
)

// snapshotQuality is image/jpeg's, of 1 to 100: what cameras use.
const snapshotQuality = 85

// EncodeJPEG writes a frame as a JPEG. One that is a JPEG is written as it is,
// damaged or not. How a PNG is to be turned, its JPEG says too.
func EncodeJPEG(w io.Writer, f *Frame) error {
	if f.Format == JPEG {
		_, err := w.Write(f.Data)
		return err
	}
	img, err := pictureOf(f)
	if err != nil {
		return fmt.Errorf("%v frame: %w", f.Format, err)
	}
	o := &jpeg.Options{Quality: snapshotQuality}
	if f.Format != PNG {
		return jpeg.Encode(w, img, o)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, o); err != nil {
		return err
	}
	const start = 2 // start of image
	_, err = w.Write(slices.Concat(b.Bytes()[:start], exif.Segment(exif.OfPNG(f.Data)), b.Bytes()[start:]))
	return err
}

// pictureOf is a frame as the image package has it.
func pictureOf(f *Frame) (image.Image, error) {
	if f.Format == PNG {
		return decodePNG(f.Data)
	}
	w, h := f.Width, f.Height
	half, low := (w+1)/2, (h+1)/2
	need := f.Format.Bytes(w, h)
	if w < 1 || h < 1 || w > MaxSide || h > MaxSide || need == 0 || len(f.Data) < need {
		return nil, fmt.Errorf("%d bytes for %d×%d pixels", len(f.Data), w, h)
	}
	all := image.Rect(0, 0, w, h)
	switch f.Format {
	case GREY:
		return &image.Gray{Pix: f.Data, Stride: w, Rect: all}, nil
	case RGB24:
		return opaque(f.Data, all), nil
	case YUYV:
		return unpackYUYV(f.Data, all), nil
	}
	img := image.NewYCbCr(all, image.YCbCrSubsampleRatio420)
	full(img.Y, f.Data[:w*h], 1, &fullLuma)
	chroma := f.Data[w*h:]
	if f.Format == NV12 {
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
	for i, j := 0, 0; i < len(img.Pix); i, j = i+4, j+3 {
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = rgb[j], rgb[j+1], rgb[j+2], 255
	}
	return img
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
