package calibrate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"dynvit/timing"
)

// Measurement is what Measure found.
type Measurement struct {
	Percentile float64
	Points     []Measured // in the order given, without those that failed or were never run
	Failures   []Failure
	Missed     []Point // whose turn had not come when the limit was over
	Settled    bool    // every point's windows agreed before the limit
	Elapsed    time.Duration
}

const (
	// windows that must agree, and within what: as perf_analyzer calls a
	// measurement stable, with half its tolerance, since a budget is held on it.
	windows   = 3
	tolerance = 0.05
	// minBurst frames of a point in a visit to its group keep the discarded first
	// frame below 5 % where the group has four points or more.
	minBurst = 5
	// useShare of the time at most goes into Target.Use.
	useShare = 0.1
)

// errTimeUp ends a measurement that did not settle.
var errTimeUp = errors.New("time is up")

// Measure runs the points in turns until each has three consecutive windows
// whose wanted percentile agrees within 5 %, or Options.MeasureLimit is over. No
// point leaves early: drift, heat and other load hit all alike. The limit is held
// to within one frame. A cancelled ctx returns what was found so far with ctx's
// error. It is an error if nothing could be run, or no point long enough for one
// window.
func Measure(ctx context.Context, t Target, points []Point, o Options) (Measurement, error) {
	o, err := o.complete(points)
	if err != nil {
		return Measurement{}, err
	}
	m := newMeasurer(ctx, t, points, o)
	err = m.warmUp()
	for err == nil && !m.settled() {
		err = m.round()
	}
	return m.result(errors.Is(err, errTimeUp)), m.verdict(err)
}

// sample is one point and the latencies of its frames in milliseconds, in order.
type sample struct {
	Point
	values  []float64
	settled bool
	err     error
}

// stay is a group and how long a visit to it lasts.
type stay struct {
	Group
	samples []*sample
	cost    time.Duration // of Use
	frame   time.Duration // one of each point, from the warm-up
}

type measurer struct {
	ctx     context.Context
	target  Target
	o       Options
	started time.Time
	samples []*sample // in the order given
	groups  []*stay
	using   *stay
	phase   string
	warmed  int
}

func newMeasurer(ctx context.Context, t Target, points []Point, o Options) *measurer {
	m := &measurer{ctx: ctx, target: t, o: o, started: o.Clock(), phase: Warming}
	for _, p := range points {
		s := &sample{Point: p}
		m.samples = append(m.samples, s)
		i := slices.IndexFunc(m.groups, func(g *stay) bool { return g.Group == p.Group })
		if i < 0 {
			i = len(m.groups)
			m.groups = append(m.groups, &stay{Group: p.Group})
		}
		m.groups[i].samples = append(m.groups[i].samples, s)
	}
	return m
}

// alive are the samples that have not failed.
func alive(samples []*sample) []*sample {
	return slices.DeleteFunc(slices.Clone(samples), func(s *sample) bool { return s.err != nil })
}

// use makes a group's points ready and times it. A group that cannot be used
// fails all its points.
func (m *measurer) use(g *stay) error {
	if m.using == g {
		return nil
	}
	m.using = nil
	before := m.o.Clock()
	if err := m.target.Use(g.Group); err != nil {
		for _, s := range alive(g.samples) {
			s.err = err
		}
		return m.ctx.Err()
	}
	g.cost = m.o.Clock().Sub(before)
	m.using = g
	return m.check()
}

// check says whether to stop.
func (m *measurer) check() error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	if m.elapsed() >= m.o.MeasureLimit {
		return errTimeUp
	}
	return nil
}

func (m *measurer) elapsed() time.Duration { return m.o.Clock().Sub(m.started) }

// run answers one frame; a point that cannot is marked as failed.
func (m *measurer) run(s *sample) (time.Duration, error) {
	out, err := m.target.Run(s.Point, len(s.values)%m.o.Frames)
	if e := m.ctx.Err(); e != nil {
		return 0, e // the frame may have been cut short
	}
	if err == nil && out.Latency <= 0 {
		err = fmt.Errorf("latency %v: the target must time whole frames", out.Latency)
	}
	s.err = err
	return out.Latency, nil
}

// warmUp runs every point without counting, which also tells how long one round
// of each group takes.
func (m *measurer) warmUp() error {
	for _, g := range m.groups {
		if err := m.use(g); err != nil {
			return err
		}
		for range m.o.Warmup {
			g.frame = 0
			for _, s := range alive(g.samples) {
				d, err := m.run(s)
				if err != nil {
					return err
				}
				g.frame += d
				m.warmed++
				m.report()
				if err := m.check(); err != nil {
					return err
				}
			}
		}
	}
	m.phase = Measuring
	return nil
}

// settled reports whether there is nothing left to measure.
func (m *measurer) settled() bool {
	for _, s := range alive(m.samples) {
		if !s.settled {
			return false
		}
	}
	return true
}

// round visits every group once.
func (m *measurer) round() error {
	for _, g := range m.groups {
		if len(alive(g.samples)) == 0 {
			continue
		}
		if err := m.visit(g); err != nil {
			return err
		}
	}
	return nil
}

// visit runs the group's points in turns for a burst of frames each.
func (m *measurer) visit(g *stay) error {
	fresh := m.using != g
	if err := m.use(g); err != nil || m.using != g {
		return err
	}
	if first := alive(g.samples); fresh && len(first) > 0 {
		if _, err := m.run(first[0]); err != nil { // the caches hold another model
			return err
		}
	}
	for range m.burst(g) {
		for _, s := range alive(g.samples) {
			if err := m.measure(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// burst is how many frames of each point make Use cheap, without taking so long
// that the other groups get no turn.
func (m *measurer) burst(g *stay) int {
	if g.frame <= 0 {
		return minBurst
	}
	want := time.Duration(float64(g.cost) * (1 - useShare) / useShare)
	want = min(want, m.o.MeasureLimit/time.Duration(2*len(m.groups)))
	return max(minBurst, int(math.Ceil(float64(want)/float64(g.frame))))
}

// measure counts one frame of a point.
func (m *measurer) measure(s *sample) error {
	d, err := m.run(s)
	if err != nil {
		return err
	}
	if s.err == nil {
		s.add(timing.Milliseconds(d), m.o.Window, m.o.Percentile)
	}
	m.report()
	return m.check()
}

// add takes a latency and, at the end of each window, looks whether the last
// three agree. Once they did the point stays settled.
func (s *sample) add(ms float64, window int, p float64) {
	s.values = append(s.values, ms)
	n := len(s.values)
	if s.settled || n%window != 0 || n < windows*window {
		return
	}
	least, most := math.Inf(1), 0.0
	for w := range windows {
		v := percentile(s.values[n-(w+1)*window:n-w*window], p)
		least, most = min(least, v), max(most, v)
	}
	s.settled = most <= least*(1+tolerance)
}

// report tells how far the measurement is. What is left is the frames that
// every point needs at least; when those are done, up to the limit.
func (m *measurer) report() {
	p := Progress{Phase: m.phase, Elapsed: m.elapsed()}
	need := windows * m.o.Window
	for _, s := range m.samples {
		if s.err != nil {
			continue
		}
		p.Points++
		p.Total += need
		p.Done += min(len(s.values), need)
		if s.settled {
			p.Settled++
		}
	}
	if m.phase == Warming {
		p.Done, p.Total = m.warmed, p.Points*m.o.Warmup
	}
	p.Left = left(p, m.o.MeasureLimit)
	m.o.Progress(p)
}

// left is the time until Total at the present rate, at most what the limit
// leaves.
func left(p Progress, limit time.Duration) time.Duration {
	rest := max(0, limit-p.Elapsed)
	if p.Done == 0 || p.Done >= p.Total {
		return rest
	}
	return min(rest, time.Duration(float64(p.Elapsed)/float64(p.Done)*float64(p.Total-p.Done)))
}

func (m *measurer) result(timeUp bool) Measurement {
	found := Measurement{Percentile: m.o.Percentile, Settled: true, Elapsed: m.elapsed()}
	for i, s := range m.samples {
		switch {
		case s.err != nil:
			found.Failures = append(found.Failures, Failure{s.Point, s.err})
		case len(s.values) > 0:
			found.Points = append(found.Points, s.summary(m.o, uint64(i)))
		case timeUp:
			found.Missed = append(found.Missed, s.Point)
		}
		found.Settled = found.Settled && (s.err != nil || s.settled)
	}
	return found
}

func (s *sample) summary(o Options, stream uint64) Measured {
	sorted := slices.Sorted(slices.Values(s.values))
	at := func(p float64) float64 { return sorted[timing.Rank(len(sorted), p)] }
	return Measured{
		Point: s.Point, P50: at(50), P90: at(90), P95: at(95), P99: at(99),
		CI95:   bootstrapPercentile(s.values, o.Percentile, rand.New(rand.NewPCG(o.Seed, stream))),
		Frames: len(s.values), Settled: s.settled,
	}
}

// verdict turns what ended the measurement into what the caller needs to know.
func (m *measurer) verdict(err error) error {
	if err != nil && !errors.Is(err, errTimeUp) {
		return err
	}
	running := alive(m.samples)
	if len(running) == 0 {
		return fmt.Errorf("no point could be run: %v: %w", m.samples[0].Point, m.samples[0].err)
	}
	for _, s := range running {
		if len(s.values) >= m.o.least {
			return nil
		}
	}
	return fmt.Errorf("the limit of %v was over before any point had %d frames: allow more time or try fewer points",
		m.o.MeasureLimit.Round(time.Millisecond), m.o.least)
}
