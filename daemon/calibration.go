package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/lineup"
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

// calibration measures the passes in use beside the running cameras: its frames
// are looked at by the inference, in turn with theirs.
type calibration struct {
	tables tables
	open   lineup.Opener
	drawn  func(ctx context.Context, n int, enough func() bool) ([]camera.Frame, error)
	models *atomic.Pointer[lineup.Lineup]
	tuners *tuners
	orders *orders
	log    *slog.Logger

	running chan struct{} // holds one while it measures
}

func (d *Daemon) newCalibration(l *atomic.Pointer[lineup.Lineup], t *tuners, o *orders) *calibration {
	return &calibration{tables: d.tables(l), open: d.deps.Open, drawn: d.deps.drawn, models: l, tuners: t, orders: o, log: d.log, running: make(chan struct{}, 1)}
}

// tryBegin reports whether no calibration runs, which then waits for end.
func (c *calibration) tryBegin() bool {
	select {
	case c.running <- struct{}{}:
		return true
	default:
		return false
	}
}

func (c *calibration) end() { <-c.running }

// lacking are the passes that are not calibrated. The inference must not run, or ask.
func (c *calibration) lacking(passes []*lineup.Pass) (list []*lineup.Pass) {
	for _, p := range passes {
		if len(p.Points) == 0 {
			list = append(list, p)
		}
	}
	return list
}

// follow lets the budget decide again, by the latest calibrations or else new
// ones.
func (c *calibration) follow(ctx context.Context) error {
	if c.tables.off() {
		return errors.New("keep auto: there is no calibration to follow")
	}
	var lacking []*lineup.Pass
	err := c.orders.do(ctx, "keep auto", func() (err error) {
		lacking, err = c.recall()
		return err
	})
	if err == nil || errors.Is(err, errStopping) {
		return err
	}
	if c.tryBegin() {
		defer c.end()
		return c.each(ctx, lacking)
	}
	select { // auto it is from now on, so that the calibration that runs is followed
	case c.running <- struct{}{}:
		defer c.end()
	case <-ctx.Done():
		return errStopping
	}
	if err := c.orders.do(ctx, "keep auto", func() error { lacking = c.lacking(lacking); return nil }); err != nil {
		return err
	}
	return c.each(ctx, lacking)
}

// recall follows the calibrations that are kept; where it cannot, lacking are the
// passes to measure. The inference does it.
func (c *calibration) recall() (lacking []*lineup.Pass, err error) {
	now, passes := c.tuners.shown(), c.models.Load().Passes
	for _, p := range passes {
		table, err := c.tables.kept(p, now.percentile)
		p.Points = nil
		if err == nil {
			p.Points = groupPoints(table.Points, tuning.Group(p.Opened))
		}
	}
	if err = c.tuners.follow(now.budget); err != nil {
		c.tuners.show(func(f *inForce) { f.auto = true })
	}
	if lacking = c.lacking(passes); len(lacking) == 0 {
		lacking = passes // what is kept cannot be followed
	}
	return lacking, err
}

// measure calibrates passes, one after another, and follows what was found. Without
// success all stays as it is.
func (c *calibration) measure(ctx context.Context, passes []*lineup.Pass) error {
	if c.tables.off() {
		return errors.New("calibration is off: there is no folder to keep it in")
	}
	if !c.tryBegin() {
		return errors.New("calibration is running already")
	}
	defer c.end()
	return c.each(ctx, passes)
}

// each calibrates passes, between tryBegin and end.
func (c *calibration) each(ctx context.Context, passes []*lineup.Pass) error {
	for _, p := range passes {
		if err := p.AsOpened(); err != nil {
			return err
		}
	}
	var frames []camera.Frame
	var all []error
	for _, p := range passes {
		err := c.measureOne(ctx, p, &frames)
		if errors.Is(err, errStopping) {
			return err
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// measureOne calibrates a pass on frames, which the first of several draws.
func (c *calibration) measureOne(ctx context.Context, p *lineup.Pass, frames *[]camera.Frame) error {
	defer c.begun(p)()
	start := time.Now()
	table, err := c.table(ctx, p, frames)
	if errors.Is(err, errStopping) || ctx.Err() != nil {
		return errStopping
	}
	if table != nil && err != nil {
		c.log.Warn("calibrated", "but", err)
		err = nil
	}
	if err == nil {
		err = c.orders.do(ctx, "calibration", func() error { return c.adopt(p, table, time.Since(start)) })
	}
	if err != nil && !errors.Is(err, errStopping) {
		c.log.Warn("not calibrated, keep stays", "keep", c.tuners.shown().ratio, "why", err)
	}
	return err
}

// begun notes that a calibration has begun, and returns what takes the note away
// when it has ended, however that was. Only a kill or a crash leaves it behind.
func (c *calibration) begun(p *lineup.Pass) (ended func()) {
	if err := c.tables.note().Write(c.tables.attempt(p)); err != nil {
		c.log.Debug("calibration not noted", "err", err) // as little as its result will be kept
	}
	return c.tables.note().Remove
}

// adopt follows what was measured, unless a command fixed keep meanwhile. A team waits
// for all of its passes.
func (c *calibration) adopt(p *lineup.Pass, table *calibrate.Table, took time.Duration) error {
	p.Points = table.Points
	now := c.tuners.shown()
	if now.auto {
		if err := c.tuners.followWith(p, now.budget); err != nil {
			return err
		}
	}
	log := c.log
	if len(c.models.Load().Passes) > 1 {
		log = log.With("model", p.Opened.Model)
	}
	log.Info("calibrated", "took", took.Round(100*time.Millisecond), "points", len(table.Points), "keep", c.tuners.shown().ratio, "auto", now.auto)
	return nil
}

// table measures a pass in use in its own precision and threads within quickLimit,
// and writes what was found, even if no point meets the budget, or none was measured on
// enough frames to say: then there is a table and an error.
func (c *calibration) table(ctx context.Context, p *lineup.Pass, drawn *[]camera.Frame) (*calibrate.Table, error) {
	begun := time.Now()
	if *drawn == nil {
		var err error
		if *drawn, err = c.drawn(ctx, quickFrames, func() bool { return time.Since(begun) >= quickDraw }); err != nil {
			return nil, err
		}
	}
	frames := *drawn
	plans, err := tuning.Plans(p, tuning.Keeps())
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	t := &betweenFrames{Target: tuning.NewTarget(c.open, p.Options, frames), pass: p, orders: c.orders, ctx: ctx, stop: stop}
	defer t.Close()
	t.Lend(p)
	group, now := tuning.Group(p.Opened), c.tuners.shown()
	c.tuners.hold(true)
	found, err := calibrate.Quick(ctx, t, calibrate.Grid(plans, []string{group.Precision}, []int{group.Threads}), calibrate.Options{
		Percentile: now.percentile, Frames: len(frames), Reference: calibrate.Point{Plan: plans[0], Group: calibrate.Group{Precision: "f32", Threads: group.Threads}},
	}, quickLimit-time.Since(begun))
	c.tuners.hold(false)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	table, err := calibrate.NewTable(found, c.tables.origin(p), tuning.Describe(&frames[0]), now.budget, time.Now())
	var nothing *calibrate.NothingFits
	if err != nil && !errors.As(err, &nothing) && !errors.Is(err, calibrate.ErrTooFew) {
		return nil, err
	}
	if writing := tuning.Keep(table, c.tables.path(p)); writing != nil {
		return table, fmt.Errorf("calibration not kept: %w", writing)
	}
	return table, err
}

// betweenFrames is a target whose frames the inference looks at, in turn with the
// cameras'. Where it looks at no more, or by another backend, the calibration ends.
type betweenFrames struct {
	*tuning.Target
	pass   *lineup.Pass
	orders *orders
	ctx    context.Context // of the calibration
	stop   context.CancelCauseFunc
}

// Run implements calibrate.Target.
func (t *betweenFrames) Run(p calibrate.Point, frame int) (out calibrate.Outcome, err error) {
	giving := t.orders.doInTurn(t.ctx, "calibration", func() error {
		out, err = t.Target.Run(p, frame)
		return t.pass.AsOpened()
	})
	if giving != nil {
		t.stop(giving)
		return calibrate.Outcome{}, giving
	}
	return out, err
}
