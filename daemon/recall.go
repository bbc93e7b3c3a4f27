package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"dynvit/calibrate"
	"dynvit/engine"
	"dynvit/tuning"
)

// recall decides where the plan comes from: a fixed one, or the points of an
// earlier calibration, for which the model may be opened anew; m is closed then.
// measure says that there is nothing to follow yet.
func (d *Daemon) recall(m *model) (_ *model, t *tuner, measure bool) {
	t = newTuner(d.config.Latency, m.plan, m.ratio)
	if d.deps.State == "" || !d.config.Latency.Keep.IsAuto() {
		return m, t, false
	}
	points, err := d.earlier(m.info)
	if err == nil {
		m, err = d.takeUp(m, t, points)
	}
	if err == nil {
		return m, t, false
	}
	if tuning.Unfinished(d.deps.State).Of(tuning.Attempt(m.info, d.deps.Version, d.deps.root)) {
		d.log.Warn("not calibrated: the last calibration was killed before its end, for want of memory? Give more, or fix latency.keep; the command recalibrate tries again",
			"keep", t.shown().ratio)
		return m, t, false
	}
	if !errors.Is(err, fs.ErrNotExist) {
		d.log.Info("calibration measured anew", "why", err)
	}
	return m, t, true
}

// kept is the calibration of a file, if it was made for the percentile, and for what
// runs here.
func kept(path string, percentile float64, here calibrate.Origin) (*calibrate.Table, error) {
	table, err := calibrate.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if table.Percentile != percentile {
		return nil, fmt.Errorf("made for p%v, wanted is p%v", table.Percentile, percentile)
	}
	return table, table.Matches(here)
}

// earlier returns the points of the calibration file that the configuration
// allows, if it was made for this model on this machine.
func (d *Daemon) earlier(info engine.Info) ([]calibrate.Measured, error) {
	path := filepath.Join(d.deps.State, tuning.CalibrationFile)
	table, err := kept(path, d.config.Latency.Percentile, tuning.Origin(info, d.deps.Version, d.deps.root))
	if err != nil {
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

// takeUp follows the points of the best one's group, and returns the model in its
// precision and on its threads.
func (d *Daemon) takeUp(m *model, t *tuner, points []calibrate.Measured) (*model, error) {
	l := d.config.Latency
	best, err := pickGroup(points, l.Percentile, l.Budget)
	if err != nil {
		return m, err
	}
	if best != tuning.Group(m.info) {
		c := d.config
		c.Precision, c.Threads = best.Precision, best.Threads
		better, err := openModel(&c, &d.deps)
		if err != nil {
			return m, err
		}
		m.Close() // nothing was run on it
		m = better
	}
	return m, t.follow(groupPoints(points, best), l.Budget)
}

// pickGroup is the group of the best point for a budget; of the one that comes nearest
// where none fits. Where there is one group, as after a first start, it is that, also where
// a slow box measured too few frames to choose by.
func pickGroup(points []calibrate.Measured, percentile float64, budget time.Duration) (calibrate.Group, error) {
	first := points[0].Group
	if len(groupPoints(points, first)) == len(points) {
		return first, nil
	}
	i, err := calibrate.Choose(points, percentile, budget)
	var nothing *calibrate.NothingFits
	switch {
	case errors.As(err, &nothing):
		return nothing.Nearest.Group, nil
	case err != nil:
		return calibrate.Group{}, err
	}
	return points[i].Group, nil
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
