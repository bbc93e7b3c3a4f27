// Package failover keeps frames looked at when the device that does it is lost: another
// backend stands in, and the device is tried again after pauses that grow.
package failover

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"dynvit/backends"
	"dynvit/backoff"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/tuning"
	"dynvit/vit"
)

// Open opens a classifier by the candidates that are left.
type Open func(engine.Options, []backends.Candidate) (tuning.Classifier, error)

// The pauses before a lost device is tried again. One that had served for long begins
// with the first anew: a driver that is reset comes back within seconds, a GPU that
// fails under load should not have every frame's time for it.
const (
	firstPause  = time.Second
	longestWait = 5 * time.Minute
)

// Classifier is a tuning.Classifier by whichever backend serves. One goroutine uses it
// at a time; Info may be called by any.
type Classifier struct {
	tuning.Classifier // that looks at the frames, or did last: what it says of the model holds

	open       Open
	options    engine.Options
	candidates []backends.Candidate
	log        *slog.Logger

	from, fits vit.Plan // of a plan that has another number of stages, what serves makes of it

	why      error     // why none serves; nil: one does
	since    time.Time // when it began
	pauses   backoff.Backoff
	returned chan tuning.Classifier // holds the device's, when it serves again
	stop     context.CancelFunc     // of the goroutine that tries
	trying   sync.WaitGroup

	mu   sync.Mutex
	info engine.Info
}

// New opens the first classifier. With a backend that options name nothing stands in
// for it: frames fail until it serves again.
func New(open Open, o engine.Options, candidates []backends.Candidate, log *slog.Logger) (*Classifier, error) {
	first, err := open(o, candidates)
	if err != nil {
		return nil, err
	}
	c := &Classifier{
		open: open, options: o, candidates: candidates, log: log, stop: func() {},
		pauses: backoff.Backoff{First: firstPause, Max: longestWait, Least: 0.5},
	}
	c.take(first)
	return c, nil
}

// take has a classifier look at the frames from now on.
func (c *Classifier) take(next tuning.Classifier) {
	c.Classifier, c.why, c.since = next, nil, time.Now()
	c.mu.Lock()
	c.info = next.Info()
	c.mu.Unlock()
}

// Info says what looks at the frames, or did last.
func (c *Classifier) Info() engine.Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

// Classify looks at a frame. One that finds the device lost is looked at by what stands
// in for it.
func (c *Classifier) Classify(r *engine.Result, f *camera.Frame, region preprocess.Region, p vit.Plan) error {
	c.welcome()
	if c.why != nil {
		return c.why
	}
	err := c.classify(r, f, region, p)
	if !errors.Is(err, backends.ErrLost) {
		return err
	}
	c.lose(err)
	if c.why != nil {
		return c.why
	}
	return c.classify(r, f, region, p)
}

// classify has what serves look at a frame, by a plan that may have been made for another: one
// that does not merge has the model's stages where that does not.
func (c *Classifier) classify(r *engine.Result, f *camera.Frame, region preprocess.Region, p vit.Plan) error {
	if len(p.Keep) > 0 && len(p.Keep) != c.info.Stages {
		if err := c.fit(p); err != nil {
			return err
		}
		p = c.fits
	}
	return c.Classifier.Classify(r, f, region, p)
}

// fit makes a plan that keeps as many patches in the end, to one.
func (c *Classifier) fit(p vit.Plan) (err error) {
	if slices.Equal(p.Keep, c.from.Keep) && len(c.fits.Keep) == c.info.Stages {
		return nil
	}
	left := float64(p.Keep[len(p.Keep)-1]) / float64(c.info.Patches)
	ratio := math.Pow(left, 1/float64(max(1, c.info.Stages)))
	c.from.Keep = append(c.from.Keep[:0], p.Keep...)
	c.fits, err = c.Plan(vit.Keep{Ratio: ratio})
	return err
}

// welcome takes the device back if it serves again.
func (c *Classifier) welcome() {
	select {
	case back := <-c.returned:
		c.leave()
		c.returned = nil
		c.take(back)
		c.log.Info("the device serves again", "backend", back.Info().Backend)
	default:
	}
}

// leave closes what looked at the frames.
func (c *Classifier) leave() {
	if err := c.Classifier.Close(); err != nil {
		c.log.Warn("backend not closed", "err", err)
	}
}

// lose replaces what looked at the frames, and has it tried again.
func (c *Classifier) lose(why error) {
	name, served := c.Info().Backend, time.Since(c.since)
	c.leave()
	c.why = why
	c.log.Error("device lost", "backend", name, "err", why)
	if c.options.Backend == "" || c.options.Backend == "auto" {
		next, err := c.open(c.options, backends.Without(c.candidates, name, why))
		if err != nil {
			c.log.Error("nothing stands in for it", "err", err)
		} else {
			c.take(next)
		}
	}
	if c.returned == nil { // else pauses are those of the one that is tried already
		if served > longestWait {
			c.pauses.Reset()
		}
		c.tryAgain(name)
	}
}

// tryAgain opens the backend until it serves.
func (c *Classifier) tryAgain(name string) {
	ctx, stop := context.WithCancel(context.Background())
	c.stop()
	c.stop = stop
	returned := make(chan tuning.Classifier, 1)
	c.returned = returned
	o := c.options
	o.Backend = name
	c.trying.Go(func() {
		for backoff.Wait(ctx, c.pauses.Next()) == nil {
			back, err := c.open(o, c.candidates)
			if err == nil {
				returned <- back
				return
			}
			c.log.Debug("the device does not serve yet", "backend", name, "err", err)
		}
	})
}

// Close frees what serves, and what is about to.
func (c *Classifier) Close() error {
	c.stop()
	c.trying.Wait()
	c.welcome()
	return c.Classifier.Close()
}
