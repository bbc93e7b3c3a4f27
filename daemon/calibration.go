package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/tuning"
)

const (
	// A calibration beside the running cameras takes 10 s, however slow the box is: a
	// second is left for the frame in hand, and for a disk. The controller corrects what
	// could not be seen.
	quickLimit = 9 * time.Second
	// quickDraw of it goes into frames, of which there are no more than quickFrames: 40
	// take 2.0 s of a Zen 4 core, and took 9.3 s where twelve others wanted two of them.
	quickDraw   = 2 * time.Second
	quickFrames = 40
)

// calibration measures the model in use beside the running cameras: its frames
// are looked at by the inference, in turn with theirs.
type calibration struct {
	path    string // of the table; "": calibration is off
	open    func(engine.Options) (tuning.Classifier, error)
	drawn   func(ctx context.Context, n int, enough func() bool) ([]camera.Frame, error)
	options engine.Options
	version string
	root    fs.FS
	model   *model
	tuner   *tuner
	orders  *orders
	log     *slog.Logger

	running sync.Mutex // held by measure
}

func (d *Daemon) newCalibration(m *model, t *tuner, o *orders) *calibration {
	c := &calibration{
		open: d.deps.Open, drawn: d.deps.drawn, options: engineOptions(&d.config, d.deps.Store), version: d.deps.Version, root: d.deps.root,
		model: m, tuner: t, orders: o, log: d.log,
	}
	if d.deps.State != "" {
		c.path = filepath.Join(d.deps.State, tuning.CalibrationFile)
	}
	return c
}

// follow lets the budget decide again, by the latest calibration or else a new
// one.
func (c *calibration) follow(ctx context.Context) error {
	if c.path == "" {
		return errors.New("keep auto: there is no calibration to follow")
	}
	err := c.orders.do(ctx, "keep auto", c.recall)
	if err == nil || errors.Is(err, errStopping) {
		return err
	}
	return c.measure(ctx)
}

// recall follows the calibration that is kept. The inference does it.
func (c *calibration) recall() error {
	table, err := kept(c.path, c.tuner.shown().percentile, tuning.Origin(c.model.info, c.version, c.root))
	if err == nil {
		err = c.tuner.follow(groupPoints(table.Points, tuning.Group(c.model.info)), c.tuner.shown().budget)
	}
	if err != nil {
		c.tuner.show(func(f *inForce) { f.auto = true })
	}
	return err
}

// measure calibrates the model in use and follows what was found. Without
// success all stays as it is.
func (c *calibration) measure(ctx context.Context) error {
	if c.path == "" {
		return errors.New("calibration is off: there is no folder to keep it in")
	}
	if err := c.model.asOpened(); err != nil {
		return err
	}
	if !c.running.TryLock() {
		return errors.New("calibration is running already")
	}
	defer c.running.Unlock()
	defer c.begun()()
	start := time.Now()
	table, err := c.table(ctx)
	if errors.Is(err, errStopping) || ctx.Err() != nil {
		return errStopping
	}
	if table != nil && err != nil {
		c.log.Warn("calibrated", "but", err)
		err = nil
	}
	if err == nil {
		err = c.orders.do(ctx, "calibration", func() error { return c.adopt(table, time.Since(start)) })
	}
	if err != nil && !errors.Is(err, errStopping) {
		c.log.Warn("not calibrated, keep stays", "keep", c.tuner.shown().ratio, "why", err)
	}
	return err
}

// begun notes that a calibration has begun, and returns what takes the note away
// when it has ended, however that was. Only a kill or a crash leaves it behind.
func (c *calibration) begun() (ended func()) {
	if err := c.note().Write(tuning.Attempt(c.model.info, c.version, c.root)); err != nil {
		c.log.Debug("calibration not noted", "err", err) // as little as its result will be kept
	}
	return c.note().Remove
}

func (c *calibration) note() tuning.Unfinished { return tuning.Unfinished(filepath.Dir(c.path)) }

// adopt follows what was measured, unless a command fixed keep meanwhile.
func (c *calibration) adopt(table *calibrate.Table, took time.Duration) error {
	now := c.tuner.shown()
	if !now.auto {
		return nil
	}
	if err := c.tuner.follow(table.Points, now.budget); err != nil {
		return err
	}
	c.log.Info("calibrated", "took", took.Round(100*time.Millisecond), "points", len(table.Points), "keep", c.tuner.shown().ratio)
	return nil
}

// table measures the model in use in its own precision and threads within quickLimit,
// and writes what was found, even if no point meets the budget, or none was measured on
// enough frames to say: then there is a table and an error.
func (c *calibration) table(ctx context.Context) (*calibrate.Table, error) {
	begun := time.Now()
	frames, err := c.drawn(ctx, quickFrames, func() bool { return time.Since(begun) >= quickDraw })
	if err != nil {
		return nil, err
	}
	plans, err := tuning.Plans(c.model, tuning.Keeps())
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	t := &betweenFrames{Target: tuning.NewTarget(c.open, c.options, frames), model: c.model, orders: c.orders, ctx: ctx, stop: stop}
	defer t.Close()
	t.Lend(c.model)
	group, now := tuning.Group(c.model.info), c.tuner.shown()
	c.tuner.hold(true)
	found, err := calibrate.Quick(ctx, t, calibrate.Grid(plans, []string{group.Precision}, []int{group.Threads}), calibrate.Options{
		Percentile: now.percentile, Frames: len(frames), Reference: calibrate.Point{Plan: plans[0], Group: calibrate.Group{Precision: "f32", Threads: group.Threads}},
	}, quickLimit-time.Since(begun))
	c.tuner.hold(false)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	table, err := calibrate.NewTable(found, tuning.Origin(c.model.info, c.version, c.root), tuning.Describe(&frames[0]), now.budget, time.Now())
	var nothing *calibrate.NothingFits
	if err != nil && !errors.As(err, &nothing) && !errors.Is(err, calibrate.ErrTooFew) {
		return nil, err
	}
	if writing := tuning.Keep(table, c.path); writing != nil {
		return table, fmt.Errorf("calibration not kept: %w", writing)
	}
	return table, err
}

// betweenFrames is a target whose frames the inference looks at, in turn with the
// cameras'. Where it looks at no more, or by another backend, the calibration ends.
type betweenFrames struct {
	*tuning.Target
	model  *model
	orders *orders
	ctx    context.Context // of the calibration
	stop   context.CancelCauseFunc
}

// Run implements calibrate.Target.
func (t *betweenFrames) Run(p calibrate.Point, frame int) (out calibrate.Outcome, err error) {
	giving := t.orders.doInTurn(t.ctx, "calibration", func() error {
		out, err = t.Target.Run(p, frame)
		return t.model.asOpened()
	})
	if giving != nil {
		t.stop(giving)
		return calibrate.Outcome{}, giving
	}
	return out, err
}
