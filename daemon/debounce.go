package daemon

import (
	"time"

	"dynvit/config"
	"dynvit/messages"
)

// debounce decides for one camera what a sequence of best classes means: which of
// them count, and since when one holds.
type debounce struct {
	stable   int     // equal classes in a row that make a change, at least 1
	minScore float32 // below it a class does not count
	wanted   []bool  // by class: which count; nil: all

	holds     int // the class that holds, or messages.NoClass
	candidate int // the class of the last frames
	run       int // how many frames in a row
	first     time.Time
}

func newDebounce(c config.Camera, wanted []bool) debounce {
	return debounce{
		stable: c.Stable, minScore: float32(c.MinScore), wanted: wanted,
		holds: messages.NoClass, candidate: messages.NoClass,
	}
}

// class is best where it counts, else messages.NoClass.
func (d *debounce) class(best int, score float32) int {
	if best == messages.NoClass || score < d.minScore || d.wanted != nil && !d.wanted[best] {
		return messages.NoClass
	}
	return best
}

// settled reports that the last frames agree with what holds: another of the same
// class would change nothing.
func (d *debounce) settled() bool { return d.run >= d.stable && d.candidate == d.holds }

// see takes the class of the next frame and reports whether another class holds
// from now on. A change's time is the capture of the first of the equal frames
// that made it.
func (d *debounce) see(class int, captured time.Time) (c messages.Change, changed bool) {
	if class != d.candidate || d.run == 0 {
		d.candidate, d.run, d.first = class, 0, captured
	}
	d.run = min(d.run+1, d.stable)
	if d.run < d.stable || class == d.holds {
		return messages.Change{}, false
	}
	c = messages.Change{Previous: d.holds, Since: d.first}
	d.holds = class
	return c, true
}
