package calibrate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Limits are what a Controller holds and what it must not give up for it.
type Limits struct {
	Budget     time.Duration // of the wanted percentile, above 0
	Percentile float64       // in (0, 100); 0: 95
	MinRatio   float64       // least keep ratio, 0: none
	MinAgree   float64       // least agreement, 0: none
	MinRate    float64       // least factor on the frame rate, in (0, 1]; 0: 1/16
}

// Controller holds a latency budget by moving among the points of one precision
// and thread count. It is immutable: any number of goroutines may use it, each with
// its own State.
type Controller struct {
	limits  Limits
	rungs   []rung // from the fastest to the best
	window  int    // frames that the percentile is taken of
	missRun int    // frames over the budget in a row that are a miss by themselves
}

// rung is a point that is worth its time.
type rung struct {
	index int     // into the points given
	ms    float64 // median when measured
	bound float64 // upper bound of the wanted percentile
}

const (
	maxWindow = 128
	minWindow = 20
	// chance that a point which just holds its percentile shows a run of misses at
	// a given frame: one in 300 is once a minute at 5 frames a second. At p95 two in
	// a row are then a miss, at p50 nine.
	chance = 1.0 / 300
	// defaultMinRate keeps a camera of 5 frames a second above one in 4 s.
	defaultMinRate = 1.0 / 16
)

// NewController picks the points worth moving among: those within the floors that
// answer better than every faster one. Points must be of one group and judged; the
// indices that Step returns are into points.
func NewController(points []Measured, l Limits) (*Controller, error) {
	l.Percentile, l.MinRate = or(l.Percentile, defaultPercentile), or(l.MinRate, defaultMinRate)
	if err := l.check(); err != nil {
		return nil, err
	}
	c := &Controller{limits: l, window: windowOf(l.Percentile), missRun: runOf(l.Percentile)}
	for i, p := range points {
		if p.Group != points[0].Group {
			return nil, fmt.Errorf("%v beside %v: a controller moves among points of one precision and thread count", p.Group, points[0].Group)
		}
		if err := p.check(); err != nil {
			return nil, err
		}
		if p.Judged > 0 && p.KeepRatio >= l.MinRatio && p.Agreement >= l.MinAgree {
			c.rungs = append(c.rungs, rung{i, p.P50, p.CI95.Hi})
		}
	}
	if len(c.rungs) == 0 {
		return nil, fmt.Errorf("none of %d points keeps a ratio of %s and agrees on %s %%: lower the floors", len(points), short(l.MinRatio), percent(l.MinAgree))
	}
	c.rungs = worthwhile(c.rungs, points)
	return c, nil
}

func (l Limits) check() error {
	switch {
	case l.Budget <= 0:
		return fmt.Errorf("budget %v: want more than 0", l.Budget)
	case !(l.Percentile > 0 && l.Percentile < 100):
		return fmt.Errorf("percentile %v: want above 0 and below 100", l.Percentile)
	case !share(l.MinRatio) || !share(l.MinAgree):
		return fmt.Errorf("floors %v and %v: want 0 to 1", l.MinRatio, l.MinAgree)
	case !(l.MinRate > 0 && l.MinRate <= 1):
		return fmt.Errorf("least rate %v: want above 0, at most 1", l.MinRate)
	}
	return nil
}

// worthwhile keeps the rungs that answer better than every faster one.
func worthwhile(rungs []rung, points []Measured) []rung {
	slices.SortStableFunc(rungs, func(a, b rung) int {
		return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(points[b.index].Value(), points[a.index].Value()))
	})
	var kept []rung
	for _, r := range rungs {
		if !slices.ContainsFunc(kept, func(k rung) bool { return !points[r.index].better(points[k.index].Quality) }) {
			kept = append(kept, r)
		}
	}
	return kept
}

// windowOf is long enough for two frames beyond the percentile.
func windowOf(p float64) int {
	return int(min(maxWindow, max(minWindow, math.Ceil(math.Round(2e11/(100-p))/1e9))))
}

// runOf is the shortest run of misses that is rarer than chance at a point which
// just holds the percentile.
func runOf(p float64) int {
	return int(min(minWindow, max(2, math.Ceil(math.Log(chance)/math.Log(1-p/100)))))
}
