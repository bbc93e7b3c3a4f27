package calibrate

import (
	"fmt"
	"math"
	"time"
)

// Options of a calibration. Frames must be set; Judge needs Reference too. The
// zero value of the rest takes the default.
type Options struct {
	Percentile   float64       // wanted of the latency, in (0, 100); 0: 95
	Frames       int           // pictures that the target has, at least 1
	Labels       []int         // class of each frame, -1 unknown; empty: no labels
	Reference    Point         // the dense f32 model that the answers are compared with
	MeasureLimit time.Duration // of Measure, warm-up included; 0: 3 min
	JudgeLimit   time.Duration // of Judge; 0: 1 min
	Window       int           // frames of one window of a point; 0: WindowFor(Percentile)
	Warmup       int           // frames a point before the first that counts; 0: 3
	Seed         uint64        // of the bootstraps: the same samples give the same intervals
	Clock        func() time.Time
	Progress     func(Progress)

	chunk int // frames judged of each point before the next group's turn, at first; 0: firstChunk
	least int // frames of one point, without which nothing was measured; 0: Window
}

const (
	defaultPercentile = 95
	defaultMeasure    = 3 * time.Minute
	defaultJudge      = time.Minute
	// defaultWarmup frames: the first of a plan fills the scratch, the second
	// raises the clock; bench uses as many.
	defaultWarmup = 3
)

// leastWindow is of any percentile; on fewer frames a share says nothing.
const leastWindow = 20

// WindowFor is the fewest frames of which a percentile says something: one of
// them lies beyond it, and no fewer than 20, no more than 200.
func WindowFor(percentile float64) int {
	return int(min(200, max(leastWindow, math.Ceil(math.Round(1e11/(100-percentile))/1e9))))
}

// complete fills in the defaults and refuses what makes no sense.
func (o Options) complete(points []Point) (Options, error) {
	o.Percentile = or(o.Percentile, defaultPercentile)
	o.MeasureLimit = or(o.MeasureLimit, defaultMeasure)
	o.JudgeLimit = or(o.JudgeLimit, defaultJudge)
	o.Warmup = or(o.Warmup, defaultWarmup)
	o.chunk = or(o.chunk, firstChunk)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if !(o.Percentile > 0 && o.Percentile < 100) {
		return o, fmt.Errorf("percentile %v: want above 0 and below 100", o.Percentile)
	}
	o.Window = or(o.Window, WindowFor(o.Percentile))
	o.least = or(o.least, o.Window)
	switch {
	case o.Frames < 1:
		return o, fmt.Errorf("frames %d: want at least one picture", o.Frames)
	case o.Window < 1 || o.Warmup < 0 || o.MeasureLimit < 0 || o.JudgeLimit < 0:
		return o, fmt.Errorf("window %d, warm-up %d, limits %v and %v: must not be negative", o.Window, o.Warmup, o.MeasureLimit, o.JudgeLimit)
	case len(o.Labels) > 0 && len(o.Labels) != o.Frames:
		return o, fmt.Errorf("labels: %d for %d frames", len(o.Labels), o.Frames)
	}
	return o, checkPoints(points)
}

func checkPoints(points []Point) error {
	if len(points) == 0 {
		return fmt.Errorf("no points to measure")
	}
	for i, p := range points {
		if err := p.check(); err != nil {
			return err
		}
		for _, q := range points[:i] {
			if p.same(q) {
				return fmt.Errorf("%v: given twice", p)
			}
		}
	}
	return nil
}

// check reports what makes a point impossible for every model.
func (p Point) check() error {
	if !(p.KeepRatio > 0 && p.KeepRatio <= 1) {
		return fmt.Errorf("keep ratio %v: want above 0, at most 1", p.KeepRatio)
	}
	if !(p.GMACs >= 0) || math.IsInf(p.GMACs, 0) {
		return fmt.Errorf("%v: gmacs %v: want a number, not negative", p, p.GMACs)
	}
	if p.Precision == "" || p.Threads < 1 {
		return fmt.Errorf("%v: want a precision and at least one thread", p)
	}
	for i, k := range p.Keep {
		if k < 1 || i > 0 && k > p.Keep[i-1] {
			return fmt.Errorf("%v: counts must not rise nor fall below 1", p)
		}
	}
	return nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
