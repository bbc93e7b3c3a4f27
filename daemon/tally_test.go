package daemon

import (
	"testing"
	"time"
)

func TestTallySpreads(t *testing.T) {
	for _, c := range []struct {
		name     string
		frames   int
		p50, p95 float64
	}{
		{"one", 1, 1, 1},
		{"two", 2, 1, 2},
		{"a hundred", 100, 50, 95},
		{"more than fit", tallyFrames + 100, 1124, 2046}, // 101 … 2148 stay
	} {
		var y tally
		for i := range c.frames {
			ms := time.Duration(i+1) * time.Millisecond
			y.add(&Report{Latency: ms, Frame: 2 * ms}, 3*ms)
		}
		latency, frame, age := y.drain()
		if *latency.P50 != c.p50 || *latency.P95 != c.p95 {
			t.Errorf("%s: latency %v, %v; want %v, %v", c.name, *latency.P50, *latency.P95, c.p50, c.p95)
		}
		if *frame.P50 != 2*c.p50 || *age.P95 != 3*c.p95 {
			t.Errorf("%s: frame %v, age %v", c.name, *frame.P50, *age.P95)
		}
		if again, _, _ := y.drain(); again.P50 != nil || again.P95 != nil {
			t.Errorf("%s: the next period is not empty", c.name)
		}
	}
}
