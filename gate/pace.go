package gate

import "time"

// Pace lets through at most so many frames a second; the zero Pace all.
type Pace struct {
	period time.Duration // 0: all
	due    time.Time     // of the next frame
}

// Limit lets through fps frames a second from now on; 0: all.
func (p *Pace) Limit(fps float64) {
	var period time.Duration
	if fps > 0 {
		period = time.Duration(min(float64(time.Second)/fps, float64(24*time.Hour)))
	}
	if period != p.period {
		*p = Pace{period: period}
	}
}

// Pass reports whether a frame captured at t is let through. A quarter of a
// period too early is in time, else a camera that jitters around just that rate
// would lose every second frame; the frames after it make up for that.
func (p *Pace) Pass(t time.Time) bool {
	early := p.period / 4
	if p.period == 0 {
		return true
	}
	if !p.due.IsZero() && t.Before(p.due.Add(-early)) {
		return false
	}
	p.due = p.due.Add(p.period)
	if least := t.Add(p.period - early); p.due.Before(least) {
		p.due = least
	}
	return true
}
