package calibrate

import (
	"math"
	"slices"
	"time"

	"dynvit/timing"
)

// Reason says why a Decision is what it is.
type Reason uint8

// The reasons of a decision.
const (
	Steady     Reason = iota // nothing to change
	Unmeasured               // the latency is no number above 0: ignored
	Missed                   // the percentile missed the budget: fewer patches
	Recovered                // a quiet window: more patches, or the full rate again
	Overloaded               // even the floor misses the budget: fewer frames
)

var reasons = [...]string{"steady", "latency not measured", "budget missed: fewer patches", "quiet: more patches or frames",
	"budget missed at the floor: fewer frames"}

func (r Reason) String() string { return reasons[r] }

// Decision is the setting for the next frame.
type Decision struct {
	Index  int     // into the points given to NewController
	Rate   float64 // factor on the frame rate, in (0, 1]; below 1 only at the floor
	Reason Reason
}

// State is what a Controller remembers: a value without pointers, and zero as
// good as Start. It outlives a change of budget as long as points and floors stay.
type State struct {
	rung     int
	rate     float64
	slowdown [maxWindow]float32 // of the last frames: latency / the point's median when measured
	n, next  int                // how many there are, and where the next goes
	run      int                // misses in a row
	now      time.Duration      // of the last frame
	changed  time.Duration      // of the last change
	missed   time.Duration      // of the last frame over the budget
	raised   bool               // whether the last change was upwards
	patience int                // quiet windows that the next step up takes
}

const (
	// quiet is how long no frame may be over the budget before a step up. Simulated
	// at 5 frames a second beside a neighbour that comes and goes every 1 to 10 s (40
	// runs of TestControllerIntermittentNeighbour): 1 s leaves 4.1 % of the frames
	// over the budget with 18 changes, 4 s 3.0 % with 11, 8 s 2.3 % with 8 but takes
	// up to 36 s to come back instead of 20.
	quiet = 4 * time.Second
	// maxPatience windows before a step up after others failed: in the same runs 1
	// leaves 4.1 % over the budget, 4 3.0 %, 8 no less.
	maxPatience = 4
	// headroom is what a step up must leave of the budget: the tolerance within
	// which the measurement called the percentile settled, twice.
	headroom = 1 - 2*tolerance
)

// Start is the state before the first frame: at the best point whose upper bound
// meets the budget, else at the floor.
func (c *Controller) Start() State {
	s := State{rate: 1, patience: 1}
	for i, r := range c.rungs {
		if r.bound <= timing.Milliseconds(c.limits.Budget) {
			s.rung = i
		}
	}
	return s
}

// Decision of a state: what holds until the next Step.
func (c *Controller) Decision(s State) Decision {
	s = c.begun(s)
	return Decision{Index: c.rungs[s.rung].index, Rate: s.rate, Reason: Steady}
}

// begun is a state that fits this controller: the zero State is Start, and one
// of a longer ladder is at the top of this.
func (c *Controller) begun(s State) State {
	if s.patience == 0 {
		return c.Start()
	}
	s.rung = min(s.rung, len(c.rungs)-1)
	return s
}

// Step takes the latency in milliseconds of a frame run at the point in force, and
// when it was done on a clock that only has to be monotonic (one that goes back
// counts as stopped). It returns the next state and the setting for the next frame.
// It is pure, and allocates nothing. A latency that is not a finite number above 0
// is ignored.
//
// The percentile is taken of the slowdown over the last frames: the latency over
// the median that was measured for the point. So it holds for every point at once,
// a step goes as far as needed, and none empties the window.
func (c *Controller) Step(s State, latency float64, at time.Duration) (State, Decision) {
	s = c.begun(s)
	s.now = max(s.now, at)
	reason := Unmeasured
	if latency > 0 && !math.IsInf(latency, 0) {
		c.see(&s, latency)
		reason = c.decide(&s)
	}
	d := c.Decision(s)
	d.Reason = reason
	return s, d
}

// see puts a frame into the window.
func (c *Controller) see(s *State, latency float64) {
	s.slowdown[s.next] = float32(min(latency/c.rungs[s.rung].ms, math.MaxFloat32))
	s.next = (s.next + 1) % c.window
	s.n = min(s.n+1, c.window)
	if latency <= timing.Milliseconds(c.limits.Budget) {
		s.run = 0
		return
	}
	s.run++
	s.missed = s.now
}

func (c *Controller) decide(s *State) Reason {
	if s.run > 0 { // this frame is over the budget
		slow := max(c.percentile(s, s.n), c.lately(s))
		if slow*c.rungs[s.rung].ms > timing.Milliseconds(c.limits.Budget) {
			return c.down(s, slow)
		}
	}
	if c.quietFor(s) {
		return c.up(s, c.percentile(s, minWindow))
	}
	return Steady
}

// percentile of the slowdown over the last n frames; of fewer than 20 at p95
// that is the worst of them.
func (c *Controller) percentile(s *State, n int) float64 {
	var sorted [maxWindow]float32
	for i := range n {
		sorted[i] = c.last(s, i)
	}
	slices.Sort(sorted[:n])
	return float64(sorted[timing.Rank(n, c.limits.Percentile)])
}

// last is the slowdown of the i-th frame before the present one.
func (c *Controller) last(s *State, i int) float32 {
	return s.slowdown[(s.next-1-i+2*c.window)%c.window]
}

// lately is what every frame of a run of misses shows at least, 0 before the run
// is long enough: after a sudden change the window still holds the past.
func (c *Controller) lately(s *State) float64 {
	if s.run < c.missRun {
		return 0
	}
	least := float32(math.Inf(1))
	for i := range min(c.missRun, s.n) {
		least = min(least, c.last(s, i))
	}
	return float64(least)
}

// down goes to the best point that would have met the budget, at least one rung
// lower; at the floor it asks for fewer frames, in the proportion in which the
// budget is missed, so that the machine is no busier than the budget allows.
func (c *Controller) down(s *State, slow float64) Reason {
	if s.raised && s.now-s.changed < maxPatience*quiet { // the step up was a mistake
		s.patience = min(2*s.patience, maxPatience)
	}
	s.run, s.changed, s.raised = 0, s.now, false
	if s.rung > 0 {
		s.rung = min(s.rung-1, c.fits(slow))
		return Missed
	}
	if rate := c.rateFor(slow); rate < s.rate {
		s.rate = rate
	}
	return Overloaded
}

// fits is the best rung whose time, slowed down, is within the budget; else the
// floor.
func (c *Controller) fits(slow float64) int {
	best := 0
	for i, r := range c.rungs {
		if slow*r.ms <= timing.Milliseconds(c.limits.Budget) {
			best = i
		}
	}
	return best
}

// fitsAgain is the best rung to step up to; else the floor.
func (c *Controller) fitsAgain(slow float64) int {
	best := 0
	for i, r := range c.rungs {
		if c.holds(r, slow) {
			best = i
		}
	}
	return best
}

// holds reports whether a rung that is slowed down is within the budget with
// headroom, which it needs not where calibration found that it holds: the machine
// is then back to what was measured.
func (c *Controller) holds(r rung, slow float64) bool {
	budget := timing.Milliseconds(c.limits.Budget)
	return slow*r.ms <= headroom*budget || slow*r.ms <= budget && r.bound <= budget
}

func (c *Controller) rateFor(slow float64) float64 {
	return min(1, max(c.limits.MinRate, timing.Milliseconds(c.limits.Budget)/(slow*c.rungs[0].ms)))
}

// quietFor reports whether neither a miss nor a change was seen for long enough,
// and the window is worth something. A burst of frames is many, but not long.
func (c *Controller) quietFor(s *State) bool {
	since := s.now - max(s.changed, s.missed)
	return s.n >= minWindow && since >= time.Duration(s.patience)*quiet
}

// up first gives back the frame rate, then goes to the best point that the
// window says will hold with headroom.
func (c *Controller) up(s *State, slow float64) Reason {
	if s.rate < 1 {
		rate := c.rateFor(slow / headroom)
		if c.holds(c.rungs[0], slow) {
			rate = 1
		}
		if rate <= s.rate {
			return Steady
		}
		s.rate = rate
		c.rise(s)
		return Recovered
	}
	rung := c.fitsAgain(slow)
	if rung <= s.rung {
		if s.raised && s.now-s.changed >= maxPatience*quiet { // the last step up has held
			s.patience = 1
		}
		return Steady
	}
	s.rung = rung
	c.rise(s)
	return Recovered
}

func (c *Controller) rise(s *State) { s.changed, s.raised = s.now, true }
