package tuning

import (
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/vit"
)

// Classifier is what calibration and the daemon ask of an opened model; *engine.Engine is one.
// One goroutine uses it at a time.
type Classifier interface {
	Info() engine.Info
	Label(class int) string
	Plan(vit.Keep) (vit.Plan, error)
	Ratio(vit.Keep, vit.Plan) float64
	MACs(vit.Plan) int64 // multiply-adds of a frame
	Classify(*engine.Result, *camera.Frame, preprocess.Region, vit.Plan) error
	Close() error
}

var _ Classifier = (*engine.Engine)(nil)
