package calibrate

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"dynvit/timing"
)

// ladder is one group's points: 1, 0.9 … 0.3 at 40, 36 … 12 ms, each 10 % above
// the next, p95 5 % above the median.
func ladder() []Measured {
	var points []Measured
	for i := range 8 {
		ms := 40 - 4*float64(i)
		points = append(points, Measured{
			Point: Point{plan(1 - float64(i)/10), f1}, P50: ms, P90: 1.04 * ms, P95: 1.05 * ms, P99: 1.06 * ms, CI95: Interval{1.04 * ms, 1.06 * ms},
			Frames: 100, Quality: Quality{Judged: 100, Agreement: 1 - 0.02*float64(i)},
		})
	}
	return points
}

func controller(t *testing.T, points []Measured, l Limits) *Controller {
	t.Helper()
	c, err := NewController(points, l)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// frame is what one frame of a simulation showed.
type frame struct {
	at       time.Duration // when it was done
	ms, age  float64
	index    int // it ran at
	Decision     // what followed
}

// simulate runs a camera of fps through a mailbox of one, newest wins, for so
// long. slow is the machine's slowdown at a time.
func simulate(c *Controller, points []Measured, fps float64, length time.Duration, slow func(time.Duration) float64) []frame {
	s := c.Start()
	d := c.Decision(s)
	interval := time.Duration(float64(time.Second) / fps)
	var seen []frame
	free := time.Duration(0)
	for taken := time.Duration(0); taken < length; {
		captured := taken
		if free > captured { // the newest that lies in the mailbox, or the next
			captured = free / interval * interval
			if captured <= taken {
				captured += interval
			}
		}
		start := max(free, captured)
		ms := points[d.Index].P50 * slow(start)
		free = start + time.Duration(ms*1e6)
		f := frame{at: free, ms: ms, age: timing.Milliseconds(free - captured), index: d.Index}
		s, d = c.Step(s, ms, free)
		f.Decision = d
		seen = append(seen, f)
		taken = captured + time.Duration(float64(interval)/d.Rate)
	}
	return seen
}

// over is the share of the frames between two times that miss the budget.
func over(seen []frame, budget float64, from, to time.Duration) float64 {
	n, misses := 0, 0
	for _, f := range seen {
		if f.at >= from && f.at < to {
			n++
			if f.ms > budget {
				misses++
			}
		}
	}
	return float64(misses) / float64(max(1, n))
}

// at is the last frame done before a time.
func at(seen []frame, t time.Duration) frame {
	last := seen[0]
	for _, f := range seen {
		if f.at < t {
			last = f
		}
	}
	return last
}

func jitter(seed uint64) func() float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	return func() float64 { return 1 + 0.05*(2*r.Float64()-1) }
}

const second = time.Second

func TestControllerHalfClock(t *testing.T) {
	points := ladder()
	c := controller(t, points, Limits{Budget: 33 * time.Millisecond})
	seen := simulate(c, points, 5, 90*second, func(at time.Duration) float64 {
		if at >= 20*second && at < 40*second {
			return 2
		}
		return 1
	})
	if first := seen[0].index; points[first].P50 != 28 { // 1.06 × 32 is over
		t.Fatalf("starts at %v", points[first].Point)
	}
	misses := 0
	for _, f := range seen {
		if f.ms > 33 {
			misses++
		}
	}
	if misses > 2 {
		t.Errorf("%d frames missed before it stepped down", misses)
	}
	if f := at(seen, 21*second); points[f.index].P50 != 16 {
		t.Errorf("went to %v, want the best that fits", points[f.index].Point)
	}
	if f := at(seen, 60*second); points[f.index].P50 < 28 {
		t.Errorf("20 s later at %v", points[f.index].Point)
	}
}

func TestControllerHeatRamp(t *testing.T) {
	points := ladder()
	c := controller(t, points, Limits{Budget: 40 * time.Millisecond})
	noise := jitter(1)
	seen := simulate(c, points, 10, 400*second, func(at time.Duration) float64 {
		hot := min(1, at.Seconds()/120)
		if at > 200*second {
			hot = max(0, 1-(at.Seconds()-200)/60)
		}
		return (1 + 1.2*hot) * noise()
	})
	if share := over(seen, 40, 0, 400*second); share > 0.05 {
		t.Errorf("%.3f of the frames over budget at p95", share)
	}
	if f := at(seen, 190*second); points[f.index].P50 != 16 { // 2.2 × 16 × 1.05 fits, 20 does not
		t.Errorf("hot at %v", points[f.index].Point)
	}
	if first, last := seen[0].index, seen[len(seen)-1].index; points[last].P50 < points[first].P50 {
		t.Errorf("started at %v, cooled down at %v", points[first].Point, points[last].Point)
	}
	for i, f := range seen {
		if f.Rate != 1 {
			t.Fatalf("frame %d: rate %v though the floor holds", i, f.Rate)
		}
	}
}

// What docs/calibration.md measures beside other work, in small: a neighbour that
// takes half the machine, now and then more, for a minute; budget three times the floor's p95.
func TestControllerNoisyNeighbour(t *testing.T) {
	points := ladder()
	budget := 3 * 1.05 * 12.0
	c := controller(t, points, Limits{Budget: time.Duration(budget * 1e6)})
	for seed := range uint64(20) {
		noise, r := jitter(seed), rand.New(rand.NewPCG(seed, 2))
		seen := simulate(c, points, 5, 180*second, func(at time.Duration) float64 {
			slow := noise()
			if at >= 60*second && at < 120*second {
				slow *= 1.2 + r.Float64()
			}
			return slow
		})
		if share := over(seen, budget, 61*second, 120*second); share > 0.1 {
			t.Errorf("seed %d: %.3f of the frames over budget beside the neighbour", seed, share)
		}
		before := at(seen, 60*second)
		if after := at(seen, 180*second); points[after.index].P50 < points[before.index].P50 {
			t.Errorf("seed %d: %v before, %v a minute after", seed, points[before.index].Point, points[after.index].Point)
		}
	}
}

// A neighbour that comes and goes is the hardest: each calm stretch invites a
// step up.
func TestControllerIntermittentNeighbour(t *testing.T) {
	points := ladder()
	budget := 3 * 1.05 * 12.0
	c := controller(t, points, Limits{Budget: time.Duration(budget * 1e6)})
	for seed := range uint64(40) {
		noise, r := jitter(seed), rand.New(rand.NewPCG(seed, 2))
		busy, until := false, time.Duration(0)
		seen := simulate(c, points, 5, 180*second, func(at time.Duration) float64 {
			slow := noise()
			if at < 60*second || at >= 120*second {
				return slow
			}
			if at > until {
				busy, until = !busy, at+time.Duration((1+9*r.Float64())*1e9)
			}
			if busy {
				slow *= 1.2 + r.Float64()
			}
			return slow
		})
		if share := over(seen, budget, 61*second, 120*second); share > 0.1 {
			t.Errorf("seed %d: %.3f of the frames over budget beside the neighbour", seed, share)
		}
		before, after := at(seen, 60*second), at(seen, 180*second)
		if points[after.index].P50 < points[before.index].P50 {
			t.Errorf("seed %d: %v before, %v a minute after", seed, points[before.index].Point, points[after.index].Point)
		}
	}
}

// Where even the floor misses the budget the rate falls, and the age of what is
// published never grows.
func TestControllerOverload(t *testing.T) {
	points := ladder()
	c := controller(t, points, Limits{Budget: 33 * time.Millisecond})
	seen := simulate(c, points, 30, 120*second, func(at time.Duration) float64 {
		if at >= 20*second && at < 60*second {
			return 6
		}
		return 1
	})
	hot := at(seen, 59*second)
	if hot.index != 7 || math.Abs(hot.Rate-33.0/72) > 0.01 {
		t.Errorf("at %v, rate %v, want the floor at 33/72 of the frames", points[hot.index].Point, hot.Rate)
	}
	said := false
	for _, f := range seen {
		said = said || f.Reason == Overloaded
		if f.age > f.ms+1000.0/30+0.1 {
			t.Fatalf("at %v a frame of %.0f ms was %.0f ms old", f.at, f.ms, f.age)
		}
	}
	if !said {
		t.Error("never said so")
	}
	if f := at(seen, 119*second); f.Rate != 1 || points[f.index].P50 < 28 {
		t.Errorf("a minute later at %v, rate %v", points[f.index].Point, f.Rate)
	}
}

func TestControllerLeastRate(t *testing.T) {
	points := ladder()[7:]
	c := controller(t, points, Limits{Budget: time.Millisecond})
	s := c.Start()
	var d Decision
	for i := range 500 {
		s, d = c.Step(s, 5000, time.Duration(i)*second)
	}
	if d.Index != 0 || d.Rate != defaultMinRate || d.Reason != Overloaded {
		t.Errorf("%+v", d)
	}
}

// A burst is many frames, but no quiet time.
func TestControllerCameraBurst(t *testing.T) {
	points := ladder()
	c := controller(t, points, Limits{Budget: 33 * time.Millisecond})
	s := c.Start()
	s, d := c.Step(s, 60, 2*second)
	low := d.Index
	for i := range 500 {
		s, d = c.Step(s, points[d.Index].P50, 2*second+time.Duration(i)*time.Millisecond)
		if d.Index != low {
			t.Fatalf("moved to %v after %d ms", points[d.Index].Point, i)
		}
	}
	if _, d = c.Step(s, points[low].P50, 7*second); d.Index >= low || d.Reason != Recovered {
		t.Errorf("%+v after the quiet time", d)
	}
}

// One slow frame in a window is what p95 allows; the same at the start, where
// nothing else is known, is not.
func TestControllerSpikes(t *testing.T) {
	points := ladder()
	c := controller(t, points, Limits{Budget: 33 * time.Millisecond})
	s := c.Start()
	start := c.Decision(s).Index
	if _, d := c.Step(s, 100, 0); d.Index <= start || d.Reason != Missed {
		t.Errorf("%+v after a first frame over budget", d)
	}
	for i := range 1000 {
		ms := points[start].P50
		if i%25 == 24 {
			ms = 100
		}
		var d Decision
		if s, d = c.Step(s, ms, time.Duration(i)*200*time.Millisecond); d.Index != start {
			t.Fatalf("moved to %v at frame %d though p95 holds", points[d.Index].Point, i)
		}
	}
}

// Two points of which the better one misses now and then must not flap.
func TestControllerUnstablePoints(t *testing.T) {
	points := ladder()[2:4] // 32 and 28 ms
	c := controller(t, points, Limits{Budget: 35 * time.Millisecond})
	r := rand.New(rand.NewPCG(3, 3))
	seen := simulate(c, points, 5, 600*second, func(time.Duration) float64 {
		if r.Float64() < 0.12 { // p95 misses at both
			return 2
		}
		return 1
	})
	changes := 0
	for i := 1; i < len(seen); i++ {
		if seen[i].index != seen[i-1].index {
			changes++
		}
	}
	if changes > 2*600/int(quiet.Seconds()) {
		t.Errorf("%d changes in ten minutes", changes)
	}
	for _, f := range seen {
		if f.Rate < 0.4 {
			t.Fatalf("rate %v", f.Rate)
		}
	}
}

func TestControllerIgnoresWhatIsNoLatency(t *testing.T) {
	points := ladder()
	c := controller(t, points, Limits{Budget: 33 * time.Millisecond})
	s := c.Start()
	for _, ms := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, -5} {
		after, d := c.Step(s, ms, 0)
		if after != s || d.Reason != Unmeasured || d.Index != c.Decision(s).Index {
			t.Errorf("latency %v: %+v", ms, d)
		}
	}
	if _, d := c.Step(s, math.MaxFloat64, 0); d.Index != 7 {
		t.Errorf("after an endless frame: %+v", d)
	}
}

func TestControllerSteadyMachines(t *testing.T) {
	for _, c := range []struct {
		name   string
		points []Measured
		budget time.Duration
		want   float64 // p50 of the point that is held
		rate   float64
	}{
		{"zero variance", ladder(), 33 * time.Millisecond, 28, 1},
		{"huge budget", ladder(), math.MaxInt64, 40, 1},
		{"one point", ladder()[:1], 50 * time.Millisecond, 40, 1},
		{"one point that misses", ladder()[:1], 20 * time.Millisecond, 40, 0.5},
	} {
		// A machine without jitter is faster than its own bound: the best point
		// whose median leaves headroom is 28 of 33 ms.
		k := controller(t, c.points, Limits{Budget: c.budget})
		seen := simulate(k, c.points, 5, 60*second, func(time.Duration) float64 { return 1 })
		last := seen[len(seen)-1]
		if c.points[last.index].P50 != c.want || math.Abs(last.Rate-c.rate) > 0.01 {
			t.Errorf("%s: %v at rate %v, want %v ms at %v", c.name, c.points[last.index].Point, last.Rate, c.want, c.rate)
		}
	}
}

func TestControllerFloors(t *testing.T) {
	points := ladder()
	for _, l := range []Limits{{MinRatio: 0.6}, {MinAgree: 0.915}} {
		l.Budget = 10 * time.Millisecond
		c := controller(t, points, l)
		if i := c.Decision(c.Start()).Index; points[i].KeepRatio != 0.6 {
			t.Errorf("%+v: floor at %v", l, points[i].Point)
		}
	}
}

// Points that are slower than a better one are never used.
func TestControllerSkipsPoorPoints(t *testing.T) {
	points := ladder()
	points[3].P50, points[3].P90, points[3].P95, points[3].P99 = 39, 39, 39, 39
	c := controller(t, points, Limits{Budget: 33 * time.Millisecond})
	for slow := 1.0; slow < 3; slow += 0.01 {
		s := c.Start()
		for i := range 5 {
			var d Decision
			if s, d = c.Step(s, 30*slow, time.Duration(i)*second); d.Index == 3 {
				t.Fatalf("slowdown %v leads to a point that a better one beats", slow)
			}
		}
	}
}

// TestControllerByLabels: a slower point is worth its time where it is right more often beyond chance, or, where neither
// is, agrees more often.
func TestControllerByLabels(t *testing.T) {
	dense, pruned := found(1, f1, 20, 1), found(0.4, f1, 10, 0.8)
	ladder := func(classes, ofDense, ofPruned int) []Measured {
		upTo := func(n int) func(int) bool { return func(i int) bool { return i < n } }
		return []Measured{answering(dense, classes, 90, upTo(ofDense)), answering(pruned, classes, 90, upTo(ofPruned))}
	}
	for _, c := range []struct {
		name                       string
		classes, ofDense, ofPruned int
		want                       int
	}{
		{"one photo fewer", 3, 80, 81, 0},
		{"ten photos fewer", 3, 80, 90, 1},
		{"ten photos fewer of one class", 1, 80, 90, 0},
		{"ten photos more", 3, 90, 80, 0},
	} {
		control := controller(t, ladder(c.classes, c.ofDense, c.ofPruned), Limits{Budget: time.Second})
		if got := control.Decision(control.Start()).Index; got != c.want {
			t.Errorf("%s: begins with point %d, want %d", c.name, got, c.want)
		}
	}
}

func TestNewControllerErrors(t *testing.T) {
	mixed := append(ladder(), found(0.5, i1, 10, 0.8))
	unjudged := ladder()[:1]
	unjudged[0].Judged = 0
	damaged := ladder()
	damaged[1].P50 = math.NaN()
	ms := time.Millisecond
	for _, c := range []struct {
		points []Measured
		l      Limits
		want   string
	}{
		{ladder(), Limits{}, "budget 0s"}, {ladder(), Limits{Budget: -ms}, "budget -1ms"},
		{ladder(), Limits{Budget: ms, Percentile: math.NaN()}, "percentile NaN"}, {ladder(), Limits{Budget: ms, MinRatio: 2}, "floors 2"},
		{ladder(), Limits{Budget: ms, MinRate: -1}, "least rate -1"}, {nil, Limits{Budget: ms}, "none of 0 points"},
		{ladder(), Limits{Budget: ms, MinAgree: 1, MinRatio: 1.0}, ""}, {unjudged, Limits{Budget: ms}, "none of 1 points"},
		{mixed, Limits{Budget: ms}, "one precision and thread count"}, {damaged, Limits{Budget: ms}, "times"},
	} {
		_, err := NewController(c.points, c.l)
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || c.want == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

func TestControllerIsPureAndAllocatesNothing(t *testing.T) {
	points := ladder()
	c := controller(t, points, Limits{Budget: 33 * time.Millisecond})
	s := c.Start()
	for i := range 50 {
		s, _ = c.Step(s, 25+float64(i), time.Duration(i)*second)
	}
	a, da := c.Step(s, 90, 60*second)
	b, db := c.Step(s, 90, 60*second)
	if a != b || da != db {
		t.Error("the same step gave two answers")
	}
	back, _ := c.Step(a, 20, 30*second) // a clock that goes back counts as stopped
	if back.now != a.now {
		t.Errorf("time went from %v to %v", a.now, back.now)
	}
	if n := testing.AllocsPerRun(100, func() { s, _ = c.Step(s, 30, s.now+second) }); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// A step up that fails doubles the quiet time before the next.
func TestControllerPatience(t *testing.T) {
	points := ladder()
	c := controller(t, points, Limits{Budget: 33 * time.Millisecond})
	s, d := c.Step(c.Start(), 60, 0)
	var now time.Duration
	var waits []time.Duration
	for range 4 {
		from := now
		for d.Reason != Recovered {
			now += 100 * time.Millisecond
			s, d = c.Step(s, points[d.Index].P50, now)
		}
		waits = append(waits, now-from)
		for d.Reason != Missed { // at once again
			now += 100 * time.Millisecond
			s, d = c.Step(s, 60, now)
		}
	}
	for i, want := range []time.Duration{4, 8, 16, 16} {
		if got := waits[i].Round(second); got != want*second {
			t.Errorf("step up %d came after %v, want %v s", i, waits[i], want)
		}
	}
}

func TestControllerZeroState(t *testing.T) {
	points := ladder()
	c := controller(t, points, Limits{Budget: 33 * time.Millisecond})
	if got, want := c.Decision(State{}), c.Decision(c.Start()); got != want {
		t.Errorf("zero state %+v, start %+v", got, want)
	}
	a, da := c.Step(State{}, 20, second)
	b, db := c.Step(c.Start(), 20, second)
	if a != b || da != db {
		t.Errorf("zero state steps to %+v, start to %+v", da, db)
	}
}

// A floor that calibration found to hold gets its full rate back, headroom or
// not.
func TestControllerGivesRateBack(t *testing.T) {
	points := ladder()[7:] // 12 ms, bound 12.72
	c := controller(t, points, Limits{Budget: 12800 * time.Microsecond})
	seen := simulate(c, points, 5, 60*second, func(at time.Duration) float64 {
		if at < 10*second {
			return 3
		}
		return 1.04
	})
	if low, last := at(seen, 9*second), seen[len(seen)-1]; low.Rate > 0.36 || last.Rate != 1 {
		t.Errorf("rate %v under load, %v after it", low.Rate, last.Rate)
	}
}

// A state outlives a change of the budget, also onto fewer rungs.
func TestControllerChangeOfBudget(t *testing.T) {
	points := ladder()
	wide := controller(t, points, Limits{Budget: 50 * time.Millisecond})
	narrow := controller(t, points, Limits{Budget: 20 * time.Millisecond, MinRatio: 0.5})
	s := wide.Start()
	s, _ = wide.Step(s, 40, 0)
	s, d := narrow.Step(s, 40, second)
	s, d = narrow.Step(s, points[d.Index].P50, 2*second)
	if points[d.Index].KeepRatio != 0.5 || d.Rate != 1 {
		t.Errorf("%+v at %v", d, points[d.Index].Point)
	}
	_ = s
}

func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for r := Steady; r <= Overloaded; r++ {
		seen[r.String()] = r.String() != ""
	}
	if len(seen) != 5 {
		t.Errorf("reasons %v", seen)
	}
}

// recorded reads a trace: seconds and milliseconds a line, # comments.
func recorded(t *testing.T, path string) (at []time.Duration, ms []float64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var s, v float64
		if _, err := fmt.Sscan(lines.Text(), &s, &v); err != nil {
			t.Fatalf("%s: %q: %v", path, lines.Text(), err)
		}
		at, ms = append(at, time.Duration(s*1e9)), append(ms, v)
	}
	return at, ms
}

func BenchmarkStep(b *testing.B) {
	c, err := NewController(ladder(), Limits{Budget: 33 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	s := c.Start()
	for i := 0; b.Loop(); i++ {
		s, _ = c.Step(s, 27+float64(i%3), time.Duration(i)*time.Millisecond)
	}
}

// A recorded neighbour: held fixed the first point would miss far too often, the
// controller keeps the budget and comes back.
func TestControllerRecordedNeighbour(t *testing.T) {
	when, ms := recorded(t, "testdata/neighbour.txt")
	var calm []float64
	for i, v := range ms {
		if when[i] < 25*second {
			calm = append(calm, v)
		}
	}
	median, tail := percentile(calm, 50), percentile(calm, 95)
	points := ladder()
	for i := range points {
		points[i].CI95.Hi = points[i].P50 * tail / median
	}
	budget := points[1].CI95.Hi // the second best just holds
	c := controller(t, points, Limits{Budget: time.Duration(budget * 1e6)})
	s := c.Start()
	first := c.Decision(s).Index
	var held, fixed []frame
	for i, v := range ms {
		f := frame{at: when[i], ms: v / median * points[c.Decision(s).Index].P50}
		s, f.Decision = c.Step(s, f.ms, f.at)
		held = append(held, f)
		fixed = append(fixed, frame{at: f.at, ms: v / median * points[first].P50})
	}
	if share := over(fixed, budget, 26*second, 50*second); share < 0.2 {
		t.Fatalf("the neighbour makes only %.3f of the frames late: the trace shows nothing", share)
	}
	if share := over(held, budget, 26*second, 50*second); share > 0.1 {
		t.Errorf("%.3f of the frames over budget beside the neighbour", share)
	}
	if share := over(held, budget, 0, 75*second); share > 0.06 {
		t.Errorf("%.3f of all frames over budget at p95", share)
	}
	if last := held[len(held)-1].Index; points[last].P50 < points[first].P50 {
		t.Errorf("before the neighbour at %v, 25 s after it at %v", points[first].Point, points[last].Point)
	}
}
