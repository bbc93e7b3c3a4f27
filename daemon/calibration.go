package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/mqtt"
)

// CalibrationFile is the calibration's name in the state folder.
const CalibrationFile = "calibration.json"

const (
	// A calibration beside the running cameras takes a few seconds: the controller
	// corrects what it could not see.
	quickMeasure = 5 * time.Second
	quickJudge   = 3 * time.Second
	quickFrames  = 40
)

// calibrator measures the opened model and keeps what it found.
type calibrator struct {
	open    func(engine.Options) (Classifier, error)
	options engine.Options
	path    string
	version string
	root    fs.FS
}

// Origin is what a calibration's figures hold for.
func Origin(info engine.Info, version string, root fs.FS) calibrate.Origin {
	return calibrate.Origin{
		Program: version, Model: calibrate.Model{Name: info.Model, SHA256: info.SHA256}, Scorer: info.Scorer, Backend: info.Backend,
		Machine: calibrate.Fingerprint(root, runtime.GOMAXPROCS(0)),
	}
}

// groupOf is what calibration calls an opened model.
func groupOf(info engine.Info) calibrate.Group {
	return calibrate.Group{Precision: info.Precision.String(), Threads: info.Threads}
}

// measure calibrates the model m in its own precision and threads, for at most a
// few seconds, calling between ahead of each frame. The table is written even if
// no point meets the budget.
func (c *calibrator) measure(ctx context.Context, m *model, l inForce, between func()) (*calibrate.Table, error) {
	frames, err := DrawnFrames(ctx, quickFrames, between)
	if err != nil {
		return nil, err
	}
	plans, err := Plans(m, Keeps())
	if err != nil {
		return nil, err
	}
	t := NewTarget(c.open, c.options, frames)
	defer t.Close()
	group := groupOf(m.info)
	t.lent, t.lentGroup, t.between = m, group, between
	found, err := calibrate.Run(ctx, t, calibrate.Grid(plans, []string{group.Precision}, []int{group.Threads}), calibrate.Options{
		Percentile: l.percentile, Frames: len(frames), Reference: calibrate.Point{Plan: plans[0], Group: calibrate.Group{Precision: "f32", Threads: group.Threads}},
		MeasureLimit: quickMeasure, JudgeLimit: quickJudge,
	})
	if err != nil {
		return nil, err
	}
	table, err := calibrate.NewTable(found, Origin(m.info, c.version, c.root), describe(&frames[0]), l.budget, time.Now())
	var nothing *calibrate.NothingFits
	if err != nil && !errors.As(err, &nothing) {
		return nil, err
	}
	if writing := KeepCalibration(table, c.path); writing != nil {
		return table, fmt.Errorf("calibration not kept: %w", writing)
	}
	return table, err
}

// KeepCalibration writes a table, and makes its folder where there is none.
func KeepCalibration(t *calibrate.Table, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return t.WriteFile(path)
}

// describe says what kind of frames were measured.
func describe(f *camera.Frame) string {
	return fmt.Sprintf("%dx%d %v", f.Width, f.Height, f.Format)
}

// recall decides where the plan comes from, and takes up an earlier calibration.
func (d *Daemon) recall() error {
	d.tuner = newTuner(d.config.Latency, d.model.plan, d.model.ratio)
	d.tuner.changed = d.publishSettings
	if d.deps.State == "" {
		return nil
	}
	d.calibrator = &calibrator{
		open: d.deps.Open, options: engineOptions(&d.config, d.deps.Store), version: d.deps.Version, root: d.deps.root,
		path: filepath.Join(d.deps.State, CalibrationFile),
	}
	if !d.config.Latency.Keep.IsAuto() {
		return nil
	}
	points, err := d.earlier()
	if err == nil {
		err = d.takeUp(points)
	}
	if err == nil {
		return nil
	}
	d.uncalibrated = true
	if !errors.Is(err, fs.ErrNotExist) {
		d.log.Info("calibration measured anew", "why", err)
	}
	return nil
}

// earlier returns the points of the calibration file that the configuration
// allows, if it was made for this model on this machine.
func (d *Daemon) earlier() ([]calibrate.Measured, error) {
	table, err := calibrate.ReadFile(d.calibrator.path)
	if err != nil {
		return nil, err
	}
	if table.Percentile != d.config.Latency.Percentile {
		return nil, fmt.Errorf("made for p%v, wanted is p%v", table.Percentile, d.config.Latency.Percentile)
	}
	if err := table.Matches(Origin(d.model.info, d.deps.Version, d.deps.root)); err != nil {
		return nil, err
	}
	var points []calibrate.Measured
	for _, p := range table.Points {
		if (d.config.Precision == "auto" || d.config.Precision == p.Precision) && (d.config.Threads == 0 || d.config.Threads == p.Threads) {
			points = append(points, p)
		}
	}
	if len(points) == 0 {
		return nil, errors.New("it has no point in the precision and on the threads of the configuration")
	}
	return points, nil
}

// takeUp opens the model in the precision and on the threads of the best point
// for the budget, and follows the points of that group.
func (d *Daemon) takeUp(points []calibrate.Measured) error {
	l := d.config.Latency
	best, err := pick(points, l.Percentile, l.Budget)
	if err != nil {
		return err
	}
	if best.Group != groupOf(d.model.info) {
		c := d.config
		c.Precision, c.Threads = best.Precision, best.Threads
		m, err := openModel(&c, &d.deps)
		if err != nil {
			return err
		}
		d.model.Close() // nothing was run on it
		d.model = m
	}
	return d.tuner.follow(groupPoints(points, best.Group), l.Budget)
}

// pick is the best point for a budget; the one that comes nearest where none fits.
func pick(points []calibrate.Measured, percentile float64, budget time.Duration) (calibrate.Measured, error) {
	i, err := calibrate.Choose(points, percentile, budget)
	var nothing *calibrate.NothingFits
	switch {
	case errors.As(err, &nothing):
		return nothing.Nearest, nil
	case err != nil:
		return calibrate.Measured{}, err
	}
	return points[i], nil
}

func groupPoints(points []calibrate.Measured, g calibrate.Group) []calibrate.Measured {
	var list []calibrate.Measured
	for _, p := range points {
		if p.Group == g {
			list = append(list, p)
		}
	}
	return list
}

// recalibrate measures the model in use between its frames, and follows what was
// found. Without success all stays as it is.
func (w *inference) recalibrate(ctx context.Context) error {
	if w.calibrator == nil {
		return errors.New("calibration is off: there is no folder to keep it in")
	}
	if w.calibrating {
		return errors.New("calibration is running already")
	}
	w.calibrating = true
	defer func() { w.calibrating = false }()
	start, now := time.Now(), w.tuner.shown()
	measuring, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	table, err := w.calibrator.measure(measuring, w.model, now, func() { w.serve(ctx, stop) })
	w.pulse.Idle("no frame came")
	if measuring.Err() != nil {
		return context.Cause(measuring)
	}
	if table == nil {
		w.log.Warn("not calibrated, keep stays", "keep", now.ratio, "why", err)
		return err
	}
	if err != nil {
		w.log.Warn("calibrated", "but", err)
	}
	now = w.tuner.shown() // a command may have changed it meanwhile
	if !now.auto {
		return nil
	}
	if err := w.tuner.follow(table.Points, now.budget); err != nil {
		w.log.Warn("not calibrated, keep stays", "keep", now.ratio, "why", err)
		return err
	}
	w.log.Info("calibrated", "took", time.Since(start).Round(100*time.Millisecond), "points", len(table.Points), "keep", w.tuner.shown().ratio)
	return nil
}

// errNoMoreFrames stops a calibration that nobody will profit from.
var errNoMoreFrames = errors.New("all sources have ended")

// serve looks at the frames that wait, each camera's turn once, so that they are
// answered while it calibrates. It stops the calibration when no more will come.
func (w *inference) serve(ctx context.Context, stop context.CancelCauseFunc) {
	w.beat(w.now())
	for range w.views {
		if !w.next(ctx) {
			break
		}
	}
	if w.queue.over() {
		stop(errNoMoreFrames)
	}
	w.pulse.Busy("calibration")
}

// publishSettings tells what holds now.
func (d *Daemon) publishSettings() {
	if d.client != nil {
		d.publish(mqtt.Message{Topic: d.topics.settings, Payload: encode(d.settings()), QoS: 1, Retain: true})
	}
}
