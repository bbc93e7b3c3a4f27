package preprocess

import "dynvit/camera"

// Cut decodes the region of a frame, as Decode does, and leaves all its pixels in dst as
// RGB24. It is for a picture now and then: it keeps no memory.
func Cut(dst, f *camera.Frame, r Region) error {
	p, err := New(Spec{Size: 1, Patch: 1, Std: [3]float32{1, 1, 1}}) // made of all pixels
	if err != nil {
		return err
	}
	if err := p.Decode(f, r); err != nil {
		return err
	}
	p.window.convert()
	w := p.window.box
	dst.Format, dst.Width, dst.Height = camera.RGB24, w.width(), w.height()
	dst.Data = append(dst.Data[:0], p.window.rgb...)
	return nil
}
