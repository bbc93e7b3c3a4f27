package calibrate

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// leastFrames of a point tell its median, by which the controller goes; the
	// percentile it sees for itself.
	leastFrames = 3
	// fewPoints are a ladder still: both ends of the grid and its middle.
	fewPoints = 3
	// judgeShare of the time: about what judging takes of the same number of frames
	// as a window.
	judgeShare = 3.0 / 8
)

// Quick is Run within a time, to within one frame, however slow the target is: all
// points on as many frames as Run takes where there is time, else on fewer, down to
// 20; then fewer points, spread over those given with the first and the last among
// them; then fewer frames again. It first tries the reference, and the first point,
// which is taken for the slowest. It is for the points of one group. A target too slow for
// two points is an error.
func Quick(ctx context.Context, t Target, points []Point, o Options, within time.Duration) (Measurement, error) {
	o, err := o.complete(points)
	if err == nil {
		err = o.Reference.check()
	}
	if err != nil {
		return Measurement{}, err
	}
	begun := o.Clock()
	seen, err := probe(ctx, t, points[0], o, within)
	if err != nil {
		return Measurement{}, err
	}
	rest := within - o.Clock().Sub(begun)
	o.JudgeLimit = time.Duration(judgeShare * float64(max(rest, 0)))
	o.MeasureLimit = max(rest, 0) - o.JudgeLimit
	o.least, o.chunk = leastFrames, 1
	points, o, ok := fit(points, o, seen)
	if !ok {
		return Measurement{}, fmt.Errorf("a frame takes %v, the reference %v to open: too slow to measure within %v",
			seen.frame.Round(time.Millisecond), seen.open.Round(time.Millisecond), within)
	}
	return Run(ctx, t, points, o)
}

// probed is what a target takes: to open the reference, and for a frame by the first
// point, with all that it waits for.
type probed struct{ open, frame time.Duration }

// probe ends early where half of the time is gone.
func probe(ctx context.Context, t Target, p Point, o Options, within time.Duration) (found probed, err error) {
	begun := o.Clock()
	if err := t.Use(o.Reference.Group); err != nil {
		return found, fmt.Errorf("reference %v: %w", o.Reference, err)
	}
	found.open = o.Clock().Sub(begun)
	_, err = t.Run(o.Reference, 0)
	if err := errors.Join(ctx.Err(), err, t.Use(p.Group)); err != nil {
		return found, err
	}
	var laps [3]time.Duration // the first fills the scratch; of the others one may wait for a camera's frame
	for i := range laps {
		before := o.Clock()
		if _, err := t.Run(p, 0); err != nil {
			return found, err
		}
		laps[i] = o.Clock().Sub(before)
		if found.frame = (laps[1] + laps[2]) / 2; o.Clock().Sub(begun) > within/2 {
			found.frame = laps[i]
			break
		}
	}
	return found, ctx.Err()
}

// fit takes as many points, and sets how many frames of each, as the limits allow
// after what was seen.
func fit(points []Point, o Options, seen probed) ([]Point, Options, bool) {
	all := len(points)
	for n := all; n >= min(all, fewPoints); n-- {
		if some := spread(points, n); o.fits(some, seen, min(o.Window, leastWindow)) {
			return some, o, true
		}
	}
	o.Warmup = 1
	for n := min(all, fewPoints); n >= min(all, 2); n-- {
		if some := spread(points, n); o.fits(some, seen, leastFrames) {
			return some, o, true
		}
	}
	return nil, o, false
}

// fits reports whether the limit allows at least so many frames of each point, and
// sets how many are a window.
func (o *Options) fits(points []Point, seen probed, least int) bool {
	round := 0.0
	for _, p := range points {
		round += float64(seen.frame) * p.share(points[0])
	}
	frames := int(float64(o.MeasureLimit)/round) - o.Warmup
	if frames < least {
		return false
	}
	o.Window = min(o.Window, frames)
	return true
}

// share of q's time that p takes, as far as the work tells.
func (p Point) share(q Point) float64 {
	if p.GMACs > 0 && q.GMACs > 0 {
		return p.GMACs / q.GMACs
	}
	return 1
}

// spread takes n of the points, from the first to the last.
func spread(points []Point, n int) []Point {
	var some []Point
	for i := range n {
		some = append(some, points[i*(len(points)-1)/max(1, n-1)])
	}
	return some
}
