// Package teach makes a classifier of a few pictures a class: a [head.Head] on the
// features of a backbone, which it does not change. It knows neither cameras nor brokers.
//
// [List] finds the pictures, [Run] looks at them, dense and at the keep ratios that a
// calibration may choose, fits, and says how well that goes on pictures that were held
// out ([Report]). How, and what was measured: docs/teach.md.
package teach

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"dynvit/head"
)

// Options of a run; the zero value is one thread and silence.
type Options struct {
	Threads  int                          // fits beside each other
	Progress func(Progress)               // nil: none; called by one goroutine at a time
	Failed   func(path string, err error) // nil: none; told of each picture that is left out
}

func (o Options) failed(path string, err error) {
	if o.Failed != nil {
		o.Failed(path, err)
	}
}

// clock returns what is to be called for each of total steps, by any goroutine.
func (o Options) clock(phase string, total int) (tick func()) {
	if o.Progress == nil {
		return func() {}
	}
	var mu sync.Mutex
	done, start := 0, time.Now()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		done++
		left := time.Since(start) / time.Duration(done) * time.Duration(total-done)
		o.Progress(Progress{phase, done, total, left})
	}
}

// mostFolds are those that examples are parted into, where each class has as many scenes.
const mostFolds = 5

// Run teaches a head. Its Name, Backbone and Base are the caller's to fill. Equal pictures,
// looked at in the same way, give an equal head.
func Run(ctx context.Context, l Looker, e Examples, o Options) (*head.Head, *Report, error) {
	if err := e.check(); err != nil {
		return nil, nil, err
	}
	s, skipped, err := look(ctx, l, e, o)
	if err != nil {
		return nil, nil, err
	}
	if l.Info().Features == 0 || s.rows == 0 {
		return nil, nil, errors.New("the model has no features")
	}
	folds := mostFolds
	for _, n := range s.counts() {
		folds = min(folds, n)
	}
	group, crowded := groupsOf(s, folds)
	t := newTrial(s, foldsOf(s, group, folds), folds)
	l2, h, err := t.choose(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	points, err := t.curve(ctx, l2, h, o)
	if err != nil {
		return nil, nil, err
	}
	taught := t.head(l2, h)
	r := t.report(l2, taught.Temperature, h, group, crowded)
	r.Skipped, r.Curve, r.Expected = skipped, points, expected(points)
	r.Threshold = float64(taught.None.Threshold)
	taught.Note = r.note()
	return taught, r, nil
}

// head fits all pictures, and undoes the centring and scaling of the features in its
// weights.
func (t *trial) head(l2 float64, h held) *head.Head {
	p := t.fit(t.balanced(func(int) bool { return false }), l2, nil)
	stride := t.width + 1
	taught := &head.Head{Labels: t.s.Labels, Width: t.width, Temperature: t.temperature(h), Bias: make([]float32, t.classes)}
	for class := range t.classes {
		own := p[class*stride : class*stride+t.width]
		for _, w := range own {
			taught.Weight = append(taught.Weight, float32(w/t.scale))
		}
		taught.Bias[class] = float32(p[class*stride+t.width] - dot(own, t.mean)/t.scale)
	}
	none := &head.None{Threshold: float32(t.threshold())}
	for _, centre := range t.centres(func(int) bool { return false }) {
		for _, v := range centre {
			none.Centres = append(none.Centres, float32(v))
		}
	}
	taught.None = none
	return taught
}

// note is what a head's file says of how it came to be.
func (r *Report) note() map[string]string {
	return map[string]string{
		"pictures":    strconv.Itoa(r.Pictures),
		"accuracy":    strconv.FormatFloat(r.Accuracy, 'f', 4, 64),
		"accuracy_at": fmt.Sprintf("%d folds", r.Folds),
		"l2":          strconv.FormatFloat(r.L2, 'g', -1, 64),
	}
}

// expected extends the learning curve to twice the pictures, by the power law that
// errors follow (Hestness et al. 2017); nil where it tells nothing: no error is left, or
// more pictures have brought none away.
func expected(points []Point) *Point {
	var n, sx, sy, sxx, sxy float64
	for _, p := range points {
		if p.Accuracy >= 1 || p.Pictures < 1 {
			return nil
		}
		x, y := math.Log(float64(p.Pictures)), math.Log(1-p.Accuracy)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	spread := n*sxx - sx*sx
	if !(spread > 0) {
		return nil
	}
	slope := (n*sxy - sx*sy) / spread
	if slope >= 0 {
		return nil
	}
	last := points[len(points)-1]
	return &Point{2 * last.Pictures, 1 - (1-last.Accuracy)*math.Pow(2, slope)}
}
