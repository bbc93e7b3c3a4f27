package calibrate

import (
	"context"
	"fmt"
)

// Run measures the points and judges those that could be run. A cancelled ctx
// returns what was found so far with its error: points that were measured but not
// yet judged have Judged 0.
func Run(ctx context.Context, t Target, points []Point, o Options) (Measurement, error) {
	if err := o.Reference.check(); err != nil { // before minutes were spent
		return Measurement{}, fmt.Errorf("reference: %w", err)
	}
	found, err := Measure(ctx, t, points, o)
	if err != nil {
		return found, err
	}
	ran := make([]Point, len(found.Points))
	for i, p := range found.Points {
		ran[i] = p.Point
	}
	qualities, failures, err := Judge(ctx, t, ran, o)
	for i, q := range qualities {
		found.Points[i].Quality = q
	}
	found.drop(failures)
	return found, err
}

// drop moves points that failed after they were measured to the failures.
func (m *Measurement) drop(failures []Failure) {
	m.Failures = append(m.Failures, failures...)
	kept := m.Points[:0]
	for _, p := range m.Points {
		if !failed(failures, p.Point) {
			kept = append(kept, p)
		}
	}
	m.Points = kept
}

func failed(failures []Failure, p Point) bool {
	for _, f := range failures {
		if f.Point.same(p) {
			return true
		}
	}
	return false
}
