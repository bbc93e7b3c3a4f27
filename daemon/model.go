package daemon

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"dynvit/camera"
	"dynvit/camera/drawn"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/tuning"
	"dynvit/vit"
)

// warmUp is the drawn scene that the first inference looks at.
const warmUp = "test:?frames=1"

// model is an opened classifier with the plan in force.
type model struct {
	tuning.Classifier
	info engine.Info
	asked
}

// asked is what a configuration asks of a model, in the model's terms.
type asked struct {
	plan   vit.Plan
	ratio  float64
	wanted map[string][]bool // by camera: which classes count; nil: all
}

// openModel opens the classifier and holds the configuration to what it can do.
func openModel(c *config.Config, d *Deps) (*model, error) {
	classifier, err := d.Open(engineOptions(c, d.Store))
	if err != nil {
		return nil, err
	}
	m := &model{Classifier: classifier, info: classifier.Info()}
	if m.asked, err = m.ask(c); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// asOpened is an error where another backend stands in for the one that was opened, whose
// times a calibration measures.
func (m *model) asOpened() error {
	if now := m.Info(); now.Backend != m.info.Backend {
		return fmt.Errorf("not calibrated: %s stands in for %s", now.Backend, m.info.Backend)
	}
	return nil
}

// ask turns what a configuration asks of the model into its own terms.
func (m *model) ask(c *config.Config) (a asked, err error) {
	if a.plan, err = m.Plan(c.Latency.Keep); err != nil {
		return a, config.Invalid("latency.keep", "%w", err)
	}
	a.ratio = m.Ratio(c.Latency.Keep, a.plan)
	a.wanted = make(map[string][]bool)
	for _, name := range c.CameraNames() {
		if a.wanted[name], err = m.classes(c.Cameras[name].Labels); err != nil {
			return a, config.Invalid("cameras."+name+".labels", "%w", err)
		}
	}
	return a, nil
}

func engineOptions(c *config.Config, store []string) engine.Options {
	threads := c.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return engine.Options{
		Model: c.Model, Predictors: c.Predictors, Scorer: c.Scorer, Backend: c.Backend,
		Precision: c.Precision, Threads: threads, Store: store, Scaled: true,
	}
}

// warm runs one drawn frame, so that a daemon that says it is ready has shown
// that it can do its work.
func (m *model) warm(ctx context.Context) error {
	source, err := camera.Schemes{drawn.Scheme()}.Open(warmUp, camera.Options{ShortSide: m.info.ShortSide})
	if err != nil {
		return fmt.Errorf("drawn frame: %w", err)
	}
	defer source.Close()
	var frame camera.Frame
	if err := source.Next(ctx, &frame); err != nil {
		return fmt.Errorf("drawn frame: %w", err)
	}
	var result engine.Result
	if err := m.Classify(&result, &frame, preprocess.Whole, m.plan); err != nil {
		return fmt.Errorf("model %s on backend %s: first inference: %w", m.info.Model, m.info.Backend, err)
	}
	return nil
}

// classes marks those that labels name, nil for all. A label that the model does
// not have is an error: a camera that can never see what it is there for would
// otherwise look healthy.
func (m *model) classes(labels []string) ([]bool, error) {
	if len(labels) == 0 {
		return nil, nil
	}
	wanted := make([]bool, m.info.Classes)
	for _, label := range labels {
		if !m.mark(wanted, label) {
			return nil, fmt.Errorf("%q: model %s has no such label, `dynvitd model info` lists them", label, m.info.Model)
		}
	}
	return wanted, nil
}

// mark marks all classes of a label: some label sets name two classes alike.
func (m *model) mark(wanted []bool, label string) (found bool) {
	for class := range wanted {
		if m.Label(class) == label {
			wanted[class], found = true, true
		}
	}
	return found
}

// labels are those that a camera may show: what it is limited to, else all.
func (m *model) labels(limited []string) []string {
	if len(limited) > 0 {
		return limited
	}
	all := make([]string, m.info.Classes)
	for class := range all {
		all[class] = m.Label(class)
	}
	return all
}
