package gate

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name        string
		fps         float64
		every       time.Duration
		jitter      time.Duration // added to every second frame
		least, most int           // of the frames of 10 s
	}{
		{"no limit", 0, 10 * ms, 0, 1000, 1000},
		{"slower than the limit", 5, 500 * ms, 0, 20, 20},
		{"just the limit", 5, 200 * ms, 0, 50, 50},
		{"just the limit, jittering", 5, 200 * ms, 30 * ms, 49, 50},
		{"a little faster", 5, 190 * ms, 0, 47, 51},
		{"six times faster", 5, time.Second / 30, 0, 49, 51},
		{"one in ten seconds", 0.1, 100 * ms, 0, 1, 2},
		{"next to never", 1e-300, 100 * ms, 0, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Pace
			p.Limit(c.fps)
			begin := time.Now()
			passed := 0
			for i := 0; time.Duration(i)*c.every < 10*time.Second; i++ {
				if p.Pass(begin.Add(time.Duration(i)*c.every + time.Duration(i%2)*c.jitter)) {
					passed++
				}
			}
			if passed < c.least || passed > c.most {
				t.Errorf("%d frames passed in 10 s, want %d to %d", passed, c.least, c.most)
			}
		})
	}
}

// TestPaceAfterAPause: a camera that was away does not make up for it.
func TestPaceAfterAPause(t *testing.T) {
	var p Pace
	p.Limit(5)
	begin := time.Now()
	p.Pass(begin)
	later := begin.Add(time.Hour)
	passed := 0
	for i := range 10 {
		if p.Pass(later.Add(time.Duration(i) * time.Millisecond)) {
			passed++
		}
	}
	if passed != 1 {
		t.Errorf("%d frames passed in 10 ms", passed)
	}
}
