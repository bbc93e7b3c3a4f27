package lineup

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/camera/drawn"
	"dynvit/engine"
	"dynvit/messages"
	"dynvit/preprocess"
	"dynvit/tuning"
	"dynvit/vit"
)

// warmUp is the drawn scene that the first inference looks at.
const warmUp = "test:?frames=1"

// Pass is a run of an opened classifier over a frame.
type Pass struct {
	tuning.Classifier
	Options engine.Options       // it was opened by
	Opened  engine.Info          // what it was then; Info says what it is now
	asked   engine.Options       // as the configuration has them
	of      string               // engine.Outline.Pass, "": not known
	Node    atomic.Bool          // it is of the node's own model, not only of those that cameras name
	Points  []calibrate.Measured // of its calibration, in its precision and on its threads; none: not calibrated

	read atomic.Bool // its features, by heads

	input engine.Input // of the first of several passes that look at a frame: shared by all

	Looks  messages.Engine // at the frames now, as is told with each
	Result engine.Result   // of the frame in hand
	Err    error           // why there is none
}

// open opens a classifier as a pass.
func open(o engine.Options, opener Opener) (*Pass, error) {
	c, err := opener(o)
	if err != nil {
		return nil, err
	}
	now := c.Info()
	return &Pass{Classifier: c, Options: o, asked: o, Opened: now, Looks: LooksOf(now)}, nil
}

// LooksOf is what of a classifier is told with every frame.
func LooksOf(m engine.Info) messages.Engine {
	return messages.Engine{Backend: m.Backend, Precision: m.Precision.String(), Model: m.Model}
}

// Reopen opens the classifier in another precision and on other threads. Nothing
// may have been run on it; where it fails all stays as it is.
func (p *Pass) Reopen(g calibrate.Group, opener Opener) error {
	o := p.Options
	o.Precision, o.Threads = g.Precision, g.Threads
	better, err := open(o, opener)
	if err != nil {
		return err
	}
	p.Close() // nothing was run on it
	p.Classifier, p.Options, p.Opened, p.Looks = better.Classifier, better.Options, better.Opened, better.Looks
	return nil
}

// AsOpened is an error where another backend stands in for the one that was opened, whose
// times a calibration measures.
func (p *Pass) AsOpened() error {
	if now := p.Info(); now.Backend != p.Opened.Backend {
		return fmt.Errorf("not calibrated: %s stands in for %s", now.Backend, p.Opened.Backend)
	}
	return nil
}

// warm runs one drawn frame, so that a daemon that says it is ready has shown
// that it can do its work.
func (p *Pass) warm(ctx context.Context, plan vit.Plan) error {
	source, err := camera.Schemes{drawn.Scheme()}.Open(warmUp, camera.Options{ShortSide: p.Opened.ShortSide})
	if err != nil {
		return fmt.Errorf("drawn frame: %w", err)
	}
	defer source.Close()
	var frame camera.Frame
	if err := source.Next(ctx, &frame); err != nil {
		return fmt.Errorf("drawn frame: %w", err)
	}
	p.Result.WantFeatures, p.Result.Shared = p.read.Load(), nil
	if err := p.Classify(&p.Result, &frame, preprocess.Whole, plan); err != nil {
		return fmt.Errorf("model %s on backend %s: first inference: %w", p.Opened.Model, p.Opened.Backend, err)
	}
	return nil
}

// Look has the passes look at a frame, one after another, each by its plan. It
// reports the time of the whole frame and of the models alone, and fails, with the
// first reason, where none could; with engine.ErrStill where the watcher, nil for none,
// wants no look at it.
func Look(passes []*Pass, f *camera.Frame, region preprocess.Region, plans []vit.Plan, watcher engine.Watcher) (frame, latency time.Duration, err error) {
	looked := false
	passes[0].input.Begin()
	for i, p := range passes {
		p.Result.Watcher, watcher = watcher, nil // the first decodes
		p.Result.WantFeatures, p.Result.Shared = p.read.Load(), nil
		if len(passes) > 1 {
			p.Result.Shared = &passes[0].input
		}
		p.Err = p.Classify(&p.Result, f, region, plans[i])
		if errors.Is(p.Err, engine.ErrStill) {
			return 0, 0, p.Err
		}
		if p.Err != nil {
			if err == nil {
				err = p.Err
			}
			continue
		}
		looked = true
		frame += p.Result.Frame
		latency += p.Result.Latency
	}
	if looked {
		err = nil
	}
	return frame, latency, err
}

// Damaged reports that the frame that passes have looked at lacks a part.
func Damaged(passes []*Pass) bool {
	for _, p := range passes {
		if p.Err == nil && p.Result.Damaged {
			return true
		}
	}
	return false
}
