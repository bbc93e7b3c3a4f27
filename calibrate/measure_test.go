package calibrate

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMeasureFindsPercentiles(t *testing.T) {
	f := newFake(1)
	f.noise = 0.02
	points := Grid(plans(1, 0.7, 0.5), []string{"f32", "int8"}, []int{1, 2})
	m, err := Measure(t.Context(), f, points, Options{Frames: 7, Clock: f.clock})
	if err != nil || f.misused != nil {
		t.Fatal(err, f.misused)
	}
	if !m.Settled || len(m.Points) != len(points) || len(m.Failures) != 0 {
		t.Fatalf("settled %v, %d points of %d, failures %v", m.Settled, len(m.Points), len(points), m.Failures)
	}
	for i, p := range m.Points {
		want := ideal(points[i])
		if !p.same(points[i]) || math.Abs(p.P50-want) > 0.02*want || p.P95 < p.P90 || p.P99 < p.P95 {
			t.Errorf("point %d is %v with p50 %v, want %v with %v", i, p.Point, p.P50, points[i], want)
		}
		if p.CI95.Lo > p.P95 || p.CI95.Hi < p.P95 || p.Frames < 3*WindowFor(95) {
			t.Errorf("%v: interval %v around %v of %d frames", p.Point, p.CI95, p.P95, p.Frames)
		}
	}
}

// Drift must hit all alike: on a machine that slows down steadily two equal
// points come out equal, and the order of the rest stays right.
func TestMeasureInterleaves(t *testing.T) {
	f := newFake(2)
	f.drift = func(d time.Duration) float64 { return 1 + d.Seconds()/20 }
	points := Grid(plans(0.9), []string{"f32", "bf16"}, []int{1}) // equally fast here
	m, err := Measure(t.Context(), f, points, Options{Frames: 1, Clock: f.clock, MeasureLimit: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	a, b := m.Points[0], m.Points[1]
	if math.Abs(a.P50-b.P50) > 0.02*a.P50 {
		t.Errorf("equal points measured as %v and %v ms", a.P50, b.P50)
	}
}

func TestMeasureStopsAtLimit(t *testing.T) {
	f := newFake(3)
	f.noise, f.spike = 0.5, 0.07 // never agrees within 5 % for all
	limit := 8 * time.Second
	m, err := Measure(t.Context(), f, Grid(plans(1, 0.8, 0.6, 0.4), []string{"f32"}, []int{1}),
		Options{Frames: 3, Clock: f.clock, MeasureLimit: limit})
	if err != nil {
		t.Fatal(err)
	}
	over := m.Elapsed - limit
	if m.Settled || over < 0 || over > 250*time.Millisecond { // one frame at most: 2 × 1.5 × 61 ms
		t.Errorf("settled %v, %v beyond the limit", m.Settled, over)
	}
	least, most := math.MaxInt, 0
	for _, p := range m.Points {
		least, most = min(least, p.Frames), max(most, p.Frames)
	}
	if most-least > minBurst {
		t.Errorf("frames of the points range from %d to %d", least, most)
	}
}

// TestMeasureMisses: points whose turn never came before the limit are named, apart from those
// that failed; where the caller ends it there is nothing to say of them.
func TestMeasureMisses(t *testing.T) {
	for name, cancelled := range map[string]bool{"limit": false, "cancelled": true} {
		t.Run(name, func(t *testing.T) {
			f := newFake(5)
			f.useCost = 500 * time.Millisecond // twice in the warm-up, then for the first group again
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f.after = func(calls int) {
				if cancelled && calls == 30 {
					cancel()
				}
			}
			points := Grid(plans(0.4), []string{"f32"}, []int{1, 2})
			m, err := Measure(ctx, f, points, Options{Frames: 1, Clock: f.clock, MeasureLimit: 2500 * time.Millisecond, Percentile: 50})
			if (err != nil) != cancelled || len(m.Points) != 1 || !m.Points[0].same(points[0]) || len(m.Failures) != 0 {
				t.Fatalf("%+v, %v", m, err)
			}
			want := points[1:]
			if cancelled {
				want = nil
			}
			if !slices.EqualFunc(m.Missed, want, Point.same) {
				t.Errorf("missed %v, want %v", m.Missed, want)
			}
		})
	}
}

// The cost of Use must stay below a tenth of the time where the limit allows it,
// and the first frame after it must not count.
func TestMeasureAmortisesUse(t *testing.T) {
	f := newFake(4)
	f.useCost = 500 * time.Millisecond
	points := Grid(plans(1, 0.7), []string{"f32", "int8"}, []int{1})
	m, err := Measure(t.Context(), f, points, Options{Frames: 1, Clock: f.clock})
	if err != nil {
		t.Fatal(err)
	}
	if share := float64(f.uses) * f.useCost.Seconds() / m.Elapsed.Seconds(); share > 0.2 { // the warm-up's visits come on top
		t.Errorf("%.0f %% of the time went into %d Uses", 100*share, f.uses)
	}
	counted := 0
	for _, p := range m.Points {
		counted += p.Frames
	}
	if discarded := f.calls - counted - len(points)*defaultWarmup; discarded != f.uses-2 { // the two of the warm-up discard nothing
		t.Errorf("%d frames discarded over %d Uses", discarded, f.uses)
	}
}

// Three whole windows must agree within 5 %.
func TestSampleSettles(t *testing.T) {
	for _, c := range []struct {
		levels []float64 // of a window each
		want   bool
	}{
		{[]float64{100, 100, 104.9}, true},
		{[]float64{100, 100, 105.1}, false},
		{[]float64{100, 106, 100}, false},
		{[]float64{200, 100, 100, 100}, true},
		{[]float64{100, 100}, false},
	} {
		var s sample
		for i, ms := range c.levels {
			for range 20 {
				s.add(ms, 20, 95)
			}
			if s.settled && i < len(c.levels)-1 {
				t.Errorf("%v: settled after window %d", c.levels, i)
			}
		}
		if s.settled != c.want {
			t.Errorf("%v: settled %v", c.levels, s.settled)
		}
	}
	var s sample
	for i := range 70 { // 10 frames of a start, then steady: no whole windows agree before 80
		s.add(map[bool]float64{true: 200, false: 100}[i < 10], 20, 95)
	}
	if s.settled {
		t.Error("settled within a window")
	}
}

func TestMeasureCancelled(t *testing.T) {
	f := newFake(5)
	f.noise = 0.5
	ctx, cancel := context.WithCancel(t.Context())
	f.after = func(calls int) {
		if calls == 100 {
			cancel()
		}
	}
	m, err := Measure(ctx, f, Grid(plans(1, 0.5), []string{"f32"}, []int{1}), Options{Frames: 1, Clock: f.clock})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if len(m.Points) != 2 || m.Points[0].Frames < 40 || m.Settled || f.calls != 100 {
		t.Errorf("partial result %+v after %d calls", m, f.calls)
	}
}

func TestMeasureDropsWhatFails(t *testing.T) {
	overflow, missing := errors.New("overflows"), errors.New("no such kernel")
	f := newFake(6)
	f.broken = func(p Point, frame int) error {
		if p.Precision == "int8" && p.KeepRatio == 1 && frame == 2 {
			return overflow
		}
		return nil
	}
	f.refuses = func(g Group) error {
		if g.Precision == "bf16" {
			return missing
		}
		return nil
	}
	m, err := Measure(t.Context(), f, Grid(plans(1, 0.5), []string{"bf16", "int8"}, []int{1}), Options{Frames: 4, Clock: f.clock})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Points) != 1 || m.Points[0].KeepRatio != 0.5 || m.Points[0].Precision != "int8" || !m.Settled {
		t.Errorf("points %+v", m.Points)
	}
	if len(m.Failures) != 3 || m.Failures[0].Err != missing || m.Failures[2].Err != overflow {
		t.Errorf("failures %v", m.Failures)
	}
}

func TestMeasureErrors(t *testing.T) {
	good := Grid(plans(1), []string{"f32"}, []int{1})
	boom := func(f *fake) { f.broken = func(Point, int) error { return errors.New("boom") } }
	cases := []struct {
		name   string
		points []Point
		o      Options
		change func(*fake)
		want   string
	}{
		{"no points", nil, Options{Frames: 1}, nil, "no points"},
		{"no frames", good, Options{}, nil, "frames 0"},
		{"percentile", good, Options{Frames: 1, Percentile: 100}, nil, "percentile 100"},
		{"NaN percentile", good, Options{Frames: 1, Percentile: math.NaN()}, nil, "percentile NaN"},
		{"twice", slices.Concat(good, good), Options{Frames: 1}, nil, "given twice"},
		{"labels", good, Options{Frames: 2, Labels: []int{1}}, nil, "labels: 1 for 2"},
		{"threads", Grid(plans(1), []string{"f32"}, []int{0}), Options{Frames: 1}, nil, "at least one thread"},
		{"counts", []Point{{Plan{0.5, []int{5, 6}, nil, 1}, Group{"f32", 1}}}, Options{Frames: 1}, nil, "must not rise"},
		{"all fail", good, Options{Frames: 1}, boom, "no point could be run"},
		{"short", good, Options{Frames: 1, MeasureLimit: 300 * time.Millisecond}, nil, "limit of 300ms was over"},
		{"stopped clock", good, Options{Frames: 1}, func(f *fake) { f.drift = func(time.Duration) float64 { return 0 } }, "latency 0s"},
	}
	for _, c := range cases {
		f := newFake(7)
		if c.change != nil {
			c.change(f)
		}
		c.o.Clock = f.clock
		if _, err := Measure(t.Context(), f, c.points, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestMeasureIsDeterministic(t *testing.T) {
	var found [2]Measurement
	for i := range found {
		f := newFake(8)
		f.noise, f.spike = 0.1, 0.02
		var err error
		found[i], err = Measure(t.Context(), f, Grid(plans(1, 0.5), []string{"f32"}, []int{1}),
			Options{Frames: 1, Clock: f.clock, Seed: 9, MeasureLimit: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(found[0], found[1]) {
		t.Errorf("two runs on the same samples differ: %+v, %+v", found[0], found[1])
	}
}

func TestMeasureReports(t *testing.T) {
	f := newFake(9)
	f.noise = 0.01
	var seen []Progress
	_, err := Measure(t.Context(), f, Grid(plans(1, 0.5), []string{"f32"}, []int{1}),
		Options{Frames: 1, Clock: f.clock, Progress: func(p Progress) { seen = append(seen, p) }})
	if err != nil {
		t.Fatal(err)
	}
	last := seen[len(seen)-1]
	if seen[0].Phase != Warming || last.Phase != Measuring || last.Done != last.Total || last.Settled != 2 {
		t.Errorf("first %+v, last %+v", seen[0], last)
	}
	middle := seen[len(seen)/2]
	if ends := middle.Elapsed + middle.Left; math.Abs(ends.Seconds()/last.Elapsed.Seconds()-1) > 0.2 {
		t.Errorf("half-way the end was expected after %v, it came after %v", ends, last.Elapsed)
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, c := range []struct {
		values []float64
		p      float64
		want   float64
	}{
		{hundred, 95, 95}, {hundred, 50, 50}, {hundred, 99.9, 100}, {hundred[:20], 95, 19}, {hundred[:1], 1, 1}, {nil, 50, 0},
	} {
		if got := percentile(c.values, c.p); got != c.want {
			t.Errorf("p%v of %d values = %v, want %v", c.p, len(c.values), got, c.want)
		}
	}
}

// The interval must hold the true percentile about as often as it says.
func TestBootstrapCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const trials, n = 300, 200
	const truth = 0.9 // p90 of a uniform variable
	hits := 0
	for range trials {
		values := make([]float64, n)
		for i := range values {
			values[i] = r.Float64()
		}
		if ci := bootstrapPercentile(values, 90, r); ci.Lo <= truth && truth <= ci.Hi {
			hits++
		}
	}
	if share := float64(hits) / trials; share < 0.89 || share > 0.99 {
		t.Errorf("the interval held the truth in %.3f of the trials", share)
	}
}

// Disturbances that last must widen the interval: frames drawn one by one would
// take them for many facts.
func TestBootstrapSeesBursts(t *testing.T) {
	values := make([]float64, 512)
	for i := range values {
		if i/8%4 == 0 {
			values[i] = 1
		}
	}
	shuffled := slices.Clone(values)
	r := rand.New(rand.NewPCG(3, 4))
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	width := func(v []float64) float64 { ci := bootstrapMean(v, r); return ci.Hi - ci.Lo }
	if bursts, scattered := width(values), width(shuffled); bursts < 1.5*scattered {
		t.Errorf("interval %v wide with bursts, %v without", bursts, scattered)
	}
}

// TestResamples holds the claim on the constant: twice as many resamples move
// the upper bound of p95 by less than 1 %.
func TestResamples(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	values := make([]float64, 200)
	for i := range values {
		values[i] = 20 + 2*r.NormFloat64()
	}
	a := bootstrapPercentile(values, 95, rand.New(rand.NewPCG(1, 1))).Hi
	b := bootstrapPercentile(values, 95, rand.New(rand.NewPCG(2, 2))).Hi
	if math.Abs(a/b-1) > 0.01 {
		t.Errorf("upper bounds %v and %v of the same samples", a, b)
	}
}

func TestWilson(t *testing.T) {
	// 81 of 263 is Newcombe's example (1998); none of n ends at z²/(n+z²).
	for _, c := range []struct {
		hits, of int
		want     Interval
	}{
		{0, 10, Interval{0, 0.2775328}}, {10, 10, Interval{0.7224672, 1}}, {81, 263, Interval{0.2552752, 0.3661726}}, {0, 0, Interval{0, 1}},
	} {
		got := Wilson(c.hits, c.of)
		if math.Abs(got.Lo-c.want.Lo) > 2e-4 || math.Abs(got.Hi-c.want.Hi) > 2e-4 {
			t.Errorf("Wilson(%d, %d) = %v, want %v", c.hits, c.of, got, c.want)
		}
	}
}

func TestEmptySamples(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	if ci := bootstrapPercentile(nil, 95, r); ci != (Interval{}) {
		t.Errorf("interval of nothing: %v", ci)
	}
	if ci := bootstrapMean(nil, r); ci != (Interval{}) {
		t.Errorf("interval of nothing: %v", ci)
	}
	if v := mean(nil); v != 0 {
		t.Errorf("mean of nothing: %v", v)
	}
}
