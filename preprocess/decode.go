package preprocess

import (
	"fmt"

	"dynvit/camera"
	"dynvit/pictures/vips"
)

// Decode takes the pixels of a frame's region in hand. Widths and heights of
// formats of files are read from the data, those of raw formats from the frame.
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
