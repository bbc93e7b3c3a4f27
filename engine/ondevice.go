package engine

import (
	"dynvit/backends"
	"dynvit/camera"
	"dynvit/preprocess"
)

// resizer lets the backend make the model's input, where it can.
type resizer struct {
	be   backends.Resizer
	spec preprocess.Spec
	made map[[2]int]backends.Resizing // by the region's size; nil where the device had no memory for it
}

// mostSizes bounds what is set aside on the device: cameras' frames have a size or two;
// a folder's photos of as many sizes are resized by the processor.
const mostSizes = 16

// pixelFormats are those that a Source has.
var pixelFormats = map[camera.Format]backends.PixelFormat{
	camera.RGB24: backends.RGB, camera.GREY: backends.Grey, camera.YUYV: backends.YUYV, camera.NV12: backends.NV12, camera.I420: backends.I420,
}

// resize writes the input made of p's pixels in hand to dst, or reports that the processor
// is to do it.
func (r *resizer) resize(dst backends.Tensor, p *preprocess.Preprocessor) bool {
	if r.be == nil {
		return false
	}
	s := p.Source()
	by := r.prepared(s.Region, p)
	if by == nil {
		return false
	}
	r.be.Resize(dst, backends.Pixels{Data: s.Data, Format: pixelFormats[s.Format], Width: s.Width, Height: s.Height, X: s.X, Y: s.Y}, by)
	return true
}

func (r *resizer) prepared(region [2]int, p *preprocess.Preprocessor) backends.Resizing {
	by, known := r.made[region]
	if known || len(r.made) == mostSizes {
		return by
	}
	z := p.Passes()
	patch := r.spec.Patch
	if r.spec.Layout == preprocess.Pixels {
		patch = 0
	}
	by, err := r.be.PrepareResize(backends.Resize{
		Width: z.Width, Height: z.Height, Across: backends.Pass(z.Across), Down: backends.Pass(z.Down), DownFirst: z.DownFirst,
		Size: r.spec.Size, Patch: patch, Table: z.Table,
	})
	if err != nil {
		by = nil // a device that is lost says so at the frame's end
	}
	r.made[region] = by
	return by
}
