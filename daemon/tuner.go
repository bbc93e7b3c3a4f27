package daemon

import (
	"sync"
	"sync/atomic"
	"time"

	"dynvit/calibrate"
	"dynvit/config"
	"dynvit/timing"
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

// tuner chooses the plan of each frame: the one asked for, or the one by which
// the budget is held. shown and hold may be called by anyone, the rest by the
// inference alone.
type tuner struct {
	changed func()      // told when what shown returns has changed; set before the inference runs
	held    atomic.Bool // step changes nothing

	plan       vit.Plan
	controller *calibrate.Controller // nil: nothing is calibrated, or keep is fixed
	points     []calibrate.Measured  // the controller's
	state      calibrate.State
	start      time.Time
	credit     float64 // of frames, while the rate is below 1

	mu    sync.Mutex
	force inForce
}

func newTuner(l config.Latency, plan vit.Plan, ratio float64) *tuner {
	return &tuner{
		changed: func() {}, plan: plan, start: time.Now(),
		force: inForce{auto: l.Keep.IsAuto(), ratio: ratio, budget: l.Budget, percentile: l.Percentile, rate: 1},
	}
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

// hold keeps the plan as it is while the processor is not what it will be.
func (t *tuner) hold(on bool) { t.held.Store(on) }

// fix holds one plan from now on.
func (t *tuner) fix(plan vit.Plan, ratio float64) {
	t.plan, t.controller, t.points = plan, nil, nil
	t.show(func(f *inForce) { f.auto, f.ratio, f.rate = false, ratio, 1 })
}

// follow lets a controller choose among points from now on.
func (t *tuner) follow(points []calibrate.Measured, budget time.Duration) error {
	c, err := calibrate.NewController(points, calibrate.Limits{Budget: budget, Percentile: t.shown().percentile})
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
	p := &t.points[d.Index]
	t.plan.Keep = p.Keep
	t.show(func(f *inForce) { f.auto, f.ratio, f.rate, f.budget = true, p.KeepRatio, d.Rate, budget })
}

// step takes the time of a frame that was run by the plan in force, and returns
// why another holds for the next; Steady if it does not.
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
