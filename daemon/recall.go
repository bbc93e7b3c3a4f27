package daemon

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"dynvit/calibrate"
	"dynvit/config"
	"dynvit/lineup"
	"dynvit/tuning"
)

// recall decides where the plans come from: fixed ones, or the points of earlier
// calibrations, for which models may be opened anew. from.measure says that there is
// something to measure yet.
func (d *Daemon) recall(from *beginning) {
	l := d.config.Latency
	from.tuners = newTuners(l, from.asked, d.config.CameraNames())
	if d.deps.State == "" || !l.Keep.IsAuto() {
		return
	}
	t := d.tables(from.models)
	for _, p := range from.models.Load().Passes {
		err := d.takeUp(p, t, l.Budget/time.Duration(share(from.asked, p)))
		if err == nil {
			continue
		}
		if t.note().Of(t.attempt(p)) {
			d.log.Warn("not calibrated: the last calibration was killed before its end, for want of memory? Give more, or fix latency.keep; the command recalibrate tries again",
				"keep", from.tuners.shown().ratio)
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			d.log.Info("calibration measured anew", "why", err)
		}
		from.measure = true
	}
	for _, u := range from.tuners.all() {
		u.followPasses(l.Budget) // else as asked until there are points
	}
}

// share is in how many passes the largest team of a pass divides its budget.
func share(a lineup.Asked, p *lineup.Pass) (most int) {
	for _, views := range a.Cameras {
		if team := lineup.Passes(views); slices.Contains(team, p) {
			most = max(most, len(team))
		}
	}
	return most
}

// takeUp gives a pass the points of the best one's group, and opens it in their
// precision and on their threads.
func (d *Daemon) takeUp(p *lineup.Pass, t tables, budget time.Duration) error {
	percentile := d.config.Latency.Percentile
	table, err := t.kept(p, percentile)
	if err != nil {
		return err
	}
	points, err := allowed(table.Points, &d.config)
	if err != nil {
		return err
	}
	best, err := pickGroup(points, percentile, budget)
	if err != nil {
		return err
	}
	if best != tuning.Group(p.Opened) {
		if err := p.Reopen(best, d.deps.Open); err != nil {
			return err
		}
	}
	p.Points = groupPoints(points, best)
	return nil
}

// allowed are the points in the precision and on the threads of a configuration.
func allowed(points []calibrate.Measured, c *config.Config) (list []calibrate.Measured, err error) {
	for _, p := range points {
		if (c.Precision == "auto" || c.Precision == p.Precision) && (c.Threads == 0 || c.Threads == p.Threads) {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("it has no point in the precision and on the threads of the configuration")
	}
	return list, nil
}

// tables are the files of calibrations. The node's own model has that which dynvitd
// calibrate writes, as has one that is alone; others have files of their own, and go
// by that one where it is theirs.
type tables struct {
	folder  string // "": calibration is off
	version string
	root    fs.FS
	models  *atomic.Pointer[lineup.Lineup]
}

func (d *Daemon) tables(l *atomic.Pointer[lineup.Lineup]) tables {
	return tables{d.deps.State, d.deps.Version, d.deps.root, l}
}

// main reports whether a pass has the file that dynvitd calibrate writes.
func (t tables) main(p *lineup.Pass) bool { return p.Node.Load() || len(t.models.Load().Passes) == 1 }

func (t tables) off() bool { return t.folder == "" }

func (t tables) path(p *lineup.Pass) string {
	if t.main(p) {
		return filepath.Join(t.folder, tuning.CalibrationFile)
	}
	sum := sha256.Sum256([]byte(p.Opened.Model + " " + p.Opened.SHA256))
	return filepath.Join(t.folder, fmt.Sprintf("calibration-%x.json", sum[:8]))
}

func (t tables) origin(p *lineup.Pass) calibrate.Origin {
	return tuning.Origin(p.Opened, t.version, t.root)
}

// attempt is what a calibration of a pass is tried with.
func (t tables) attempt(p *lineup.Pass) string { return tuning.Attempt(p.Opened, t.version, t.root) }

func (t tables) note() tuning.Unfinished { return tuning.Unfinished(t.folder) }

// kept is the calibration of a pass that is kept.
func (t tables) kept(p *lineup.Pass, percentile float64) (*calibrate.Table, error) {
	table, err := kept(t.path(p), percentile, t.origin(p))
	if err == nil || t.main(p) {
		return table, err
	}
	if table, other := kept(filepath.Join(t.folder, tuning.CalibrationFile), percentile, t.origin(p)); other == nil {
		return table, nil
	}
	return nil, err
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
