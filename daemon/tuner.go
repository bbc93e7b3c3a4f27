package daemon

import (
	"sync"
	"sync/atomic"
	"time"

	"dynvit/calibrate"
	"dynvit/lineup"
	"dynvit/timing"
	"dynvit/tuning"
	"dynvit/vit"
)

// inForce is what holds of the settings that may change while the daemon runs.
type inForce struct {
	auto       bool // keep follows the budget
	ratio      float64
	budget     time.Duration
	percentile float64
	rate       float64 // share of the frames that are looked at; below 1 where even the floor misses the budget
}

// tuner chooses the plans by which a team, the passes that look at a camera's frames
// one after another, looks at the next one: those asked for, or those by which the
// whole frame holds the budget. shown and hold may be called by anyone, the rest by the
// inference alone.
type tuner struct {
	passes  []*lineup.Pass
	changed func()      // told when what shown returns has changed; set before the inference runs
	held    atomic.Bool // step changes nothing

	plans      []vit.Plan            // of each pass
	controller *calibrate.Controller // nil: nothing is calibrated, or keep is fixed
	points     tuning.Joined         // the controller's
	state      calibrate.State
	start      time.Time
	credit     float64 // of frames, while the rate is below 1

	mu    sync.Mutex
	force inForce
}

// newTuner holds plans, until it is told to follow points or to hold others.
func newTuner(passes []*lineup.Pass, plans []vit.Plan, force inForce) *tuner {
	return &tuner{passes: passes, changed: func() {}, plans: plans, start: time.Now(), force: force}
}

func (t *tuner) shown() inForce {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.force
}

// show changes what holds and tells so.
func (t *tuner) show(change func(*inForce)) {
	t.mu.Lock()
	before := t.force
	change(&t.force)
	same := t.force == before
	t.mu.Unlock()
	if !same {
		t.changed()
	}
}

// hold keeps the plans as they are while the processor is not what it will be.
func (t *tuner) hold(on bool) { t.held.Store(on) }

// fix holds the same plans from now on.
func (t *tuner) fix(plans []vit.Plan, ratio float64) {
	t.plans, t.controller, t.points = plans, nil, tuning.Joined{}
	t.show(func(f *inForce) { f.auto, f.ratio, f.rate = false, ratio, 1 })
}

// follow lets a controller choose among points from now on.
func (t *tuner) follow(points tuning.Joined, budget time.Duration) error {
	c, err := calibrate.NewController(points.Points, calibrate.Limits{Budget: budget, Percentile: t.shown().percentile})
	if err != nil {
		return err
	}
	t.controller, t.points, t.state, t.credit = c, points, c.Start(), 0
	t.adopt(c.Decision(t.state), budget)
	return nil
}

// setBudget changes the budget, and the controller's where there is one.
func (t *tuner) setBudget(budget time.Duration) error {
	if t.controller != nil {
		return t.follow(t.points, budget)
	}
	t.show(func(f *inForce) { f.budget = budget })
	return nil
}

// adopt puts a decision in force.
func (t *tuner) adopt(d calibrate.Decision, budget time.Duration) {
	p := &t.points.Points[d.Index]
	t.plans = t.points.Plans[d.Index]
	t.show(func(f *inForce) { f.auto, f.ratio, f.rate, f.budget = true, p.KeepRatio, d.Rate, budget })
}

// step takes the time of a frame that was run by the plans in force, and returns
// why others hold for the next; Steady if they do not.
func (t *tuner) step(frame time.Duration) calibrate.Reason {
	if t.controller == nil || t.held.Load() {
		return calibrate.Steady
	}
	before := t.controller.Decision(t.state)
	var d calibrate.Decision
	t.state, d = t.controller.Step(t.state, timing.Rounded(frame), time.Since(t.start))
	if d.Index == before.Index && d.Rate == before.Rate {
		return calibrate.Steady
	}
	t.adopt(d, t.shown().budget)
	return d.Reason
}

// admit says whether the next frame is to be looked at: one in 1/rate.
func (t *tuner) admit() bool {
	t.credit += t.rate()
	if t.credit < 1 {
		return false
	}
	t.credit--
	return true
}

func (t *tuner) rate() float64 {
	if t.controller == nil {
		return 1
	}
	return t.controller.Decision(t.state).Rate
}
