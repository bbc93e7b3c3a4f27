package preprocess

import (
	"fmt"

	"dynvit/camera"
	"dynvit/exif"
	"dynvit/pictures"
	"dynvit/pictures/vips"
)

// Decode takes the pixels of a frame's region in hand. Widths and heights of
// formats of files are read from the data, those of raw formats from the frame, whose
// data is read by Render.
//
// Pictures are turned as their Exif or their file's own properties say (package exif),
// unless the Spec is AsStored; the region is of the turned picture. TIFF and HEIC are
// turned always, as by Pillow. Alpha is dropped, not blended, and
// colour profiles are ignored, as they were when the models were trained. A frame
// that is damaged, cut short or above 64 megapixels, or whose decoding takes more than
// 224 MiB, is an error of one line; the next frame is not affected.
func (p *Preprocessor) Decode(f *camera.Frame, r Region) error {
	w, err := p.decode(f, r)
	if err != nil {
		p.window.plan = nil
		return err
	}
	p.window = p.upright(w)
	return nil
}

func (p *Preprocessor) decode(f *camera.Frame, r Region) (window, error) {
	if err := r.Check(); err != nil {
		return window{}, err
	}
	p.shed()
	if vips.Linked {
		if w, done, err := p.byVips(f, r); done {
			return w, err
		}
	}
	switch f.Format {
	case camera.JPEG:
		return p.decodeJPEG(f.Data, r)
	case camera.PNG, camera.WebP, camera.TIFF, camera.BMP, camera.GIF, camera.HEIC, camera.AVIF:
		return p.decodeSaved(f, r)
	case camera.RGB24, camera.GREY, camera.YUYV, camera.NV12, camera.I420:
		return p.decodeRaw(f, r)
	}
	return window{}, fmt.Errorf("frame format %v is not known", f.Format)
}

// decodeSaved reads the pictures that package pictures does.
func (p *Preprocessor) decodeSaved(f *camera.Frame, r Region) (window, error) {
	pic, err := pictures.Open(f.Format, f.Data)
	if err != nil {
		return window{}, fmt.Errorf("%v: %w", f.Format, err)
	}
	turn := pic.Turn
	if !pic.Always {
		turn = p.heeded(turn)
	}
	w, err := p.aim(pic.Width, pic.Height, turn, r, pic.Bytes)
	if err != nil {
		return w, fmt.Errorf("%v of %d×%d: %w", f.Format, pic.Width, pic.Height, err)
	}
	p.left = pic.Bytes
	defer pic.Close()
	rows, err := pic.Decode()
	if err != nil {
		return w, fmt.Errorf("%v of %d×%d: %w", f.Format, pic.Width, pic.Height, err)
	}
	for i := range w.box.height() {
		rows(w.row(i), w.box.x0, w.box.y0+i)
	}
	p.savedRows(pic.Width, pic.Height, rows, r.stored(turn))
	return w, nil
}

// vipsPixel is what libvips takes for a pixel, in bytes: the picture as it is decoded and
// as it is handed over, with alpha.
const vipsPixel = 7

// webpPixel is what libwebp takes for a pixel of a lossless picture that it shrinks, in bytes;
// of others it has some rows at a time.
const webpPixel = 4

// byVips reads a picture by libvips, where that is linked, does it to the same levels, and
// knows no less of it than we do: grey or three colours in JPEG, WebP that stands still,
// HEIC. done is false for others.
func (p *Preprocessor) byVips(f *camera.Frame, r Region) (w window, done bool, err error) {
	width, height, turn, scale, whole := 0, 0, exif.Orientation(0), 1, int64(0)
	load := func() (*vips.Image, error) { return vips.Load(f.Data, scale) }
	switch f.Format {
	case camera.JPEG:
		h, err := readJPEGHeader(f.Data)
		if err != nil || h.colours == jpegRGB || h.colours > jpegYCC || checkSize(h.width, h.height) != nil {
			return w, false, nil
		}
		h.turn = p.heeded(h.turn)
		scale, turn = p.scale(h.width, h.height, h.turn, r), h.turn
		width, height = (h.width+scale-1)/scale, (h.height+scale-1)/scale
	case camera.WebP, camera.HEIC:
		pic, err := pictures.Open(f.Format, f.Data)
		if err != nil || pic.Animated {
			return w, false, nil
		}
		width, height, turn = pic.Width, pic.Height, p.heeded(pic.Turn)
		if f.Format == camera.WebP && pic.Turn.Upright() {
			scale = p.scale(width, height, turn, r)
		}
		if scale > 1 {
			whole = webpPixel * int64(width) * int64(height)
			width, height = (width+scale-1)/scale, (height+scale-1)/scale
			load = func() (*vips.Image, error) { return vips.LoadSmall(f.Data, width, height) }
		}
	default:
		return w, false, nil
	}
	if w, err = p.aim(width, height, turn, r, whole+vipsPixel*int64(width)*int64(height)); err != nil {
		return w, true, fmt.Errorf("%v of %d×%d: %w", f.Format, width, height, err)
	}
	m, err := load()
	if err != nil || m.Width != width || m.Height != height {
		p.window.rgb = w.rgb
		return w, false, nil // ours says what is wrong with it, or reads it all the same
	}
	for i := range w.box.height() {
		m.Row(w.row(i), w.box.x0, w.box.y0+i)
	}
	p.savedRows(width, height, m.Row, r.stored(turn))
	return w, true, nil
}
