package engine

import (
	"dynvit/camera"
	"dynvit/preprocess"
	"dynvit/vit"
)

// View is what of a picture is looked at: a part, or that turned left to right.
type View struct {
	Region   preprocess.Region
	Mirrored bool
}

// Features decodes a view of a frame once and runs it under each plan, appending the
// features, Info.Features of each, to dst. An engine opened with Options.Features has
// them of a backbone too.
func (e *Engine) Features(dst []float32, f *camera.Frame, v View, plans []vit.Plan) ([]float32, error) {
	if err := e.pre.Decode(f, v.Region); err != nil {
		return dst, err
	}
	e.pre.Render(e.input)
	if v.Mirrored {
		e.spec.Mirror(e.input)
	}
	e.run.WantKept, e.run.WantFeatures = false, true
	for _, p := range plans {
		if err := e.session.Run(e.input, p, &e.run); err != nil {
			return dst, err
		}
		dst = append(dst, e.run.Features...)
	}
	return dst, nil
}
