package preprocess

import (
	"fmt"

	"dynvit/camera"
)

// Decode takes the pixels of a frame's region in hand. Widths and heights of
// JPEG and PNG are read from the data, those of other formats from the frame.
//
// JPEG and PNG are turned as their Exif says (package exif), unless the Spec is
// AsStored; the region is of the turned picture. Alpha is dropped, not blended, and
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
	switch f.Format {
	case camera.JPEG:
		return p.decodeJPEG(f.Data, r)
	case camera.PNG:
		return p.decodePNG(f.Data, r)
	case camera.RGB24, camera.GREY, camera.YUYV, camera.NV12, camera.I420:
		return p.decodeRaw(f, r)
	}
	return window{}, fmt.Errorf("frame format %v is not known", f.Format)
}
