package tuning

import (
	"fmt"

	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/vit"
)

// Target is a model on a set of pictures, as calibrate runs it. It keeps one
// group's model open at a time, beside the one it was lent. One goroutine uses
// it at a time.
type Target struct {
	open    func(engine.Options) (Classifier, error)
	options engine.Options
	frames  []camera.Frame

	lent   Classifier // nil: none. Not closed
	own    Classifier // nil: none
	using  Classifier // lent or own
	result engine.Result
}

// NewTarget prepares to run the frames, of which there is at least one. The
// options' precision and threads are those of each group in turn.
func NewTarget(open func(engine.Options) (Classifier, error), o engine.Options, frames []camera.Frame) *Target {
	return &Target{open: open, options: o, frames: frames}
}

// Lend has the target use a model that is open already for its group. It is not
// closed, and nobody else may use it while Run does.
func (t *Target) Lend(c Classifier) { t.lent = c }

// Use implements calibrate.Target.
func (t *Target) Use(g calibrate.Group) error {
	for _, c := range []Classifier{t.lent, t.own} {
		if c != nil && Group(c.Info()) == g {
			t.using = c
			return nil
		}
	}
	t.Close()
	o := t.options
	o.Precision, o.Threads = g.Precision, g.Threads
	c, err := t.open(o)
	if err != nil {
		return err
	}
	t.own, t.using = c, c
	return nil
}

// Run implements calibrate.Target.
func (t *Target) Run(p calibrate.Point, frame int) (calibrate.Outcome, error) {
	f := &t.frames[frame]
	if err := t.using.Classify(&t.result, f, preprocess.Whole, vit.Plan{Keep: p.Keep}); err != nil {
		return calibrate.Outcome{}, fmt.Errorf("%s: %w", f.Name, err)
	}
	return calibrate.Outcome{Latency: t.result.Frame, Logits: t.result.Logits}, nil
}

// Close closes what the target opened; Use opens again.
func (t *Target) Close() {
	if t.own != nil {
		t.own.Close() // frees memory: there is nothing to lose
		t.own = nil
	}
}
