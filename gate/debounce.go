package gate

import (
	"time"

	"dynvit/config"
	"dynvit/messages"
)

// Debounce decides for one camera what a sequence of best classes means: which of
// them count, and since when one holds.
type Debounce struct {
	stable   int     // equal classes in a row that make a change, at least 1
	minScore float32 // below it a class does not count
	wanted   []bool  // by class: which count; nil: all

	holds     int // the class that holds, or messages.NoClass
	candidate int // the class of the last frames
	run       int // how many frames in a row
	first     time.Time
}

// NewDebounce is of a camera; wanted says by class which count, nil: all.
func NewDebounce(c config.Camera, wanted []bool) Debounce {
	d := Debounce{holds: messages.NoClass, candidate: messages.NoClass}
	d.Limit(c, wanted)
	return d
}

// Limit goes by another configuration from the next frame on. The class that holds
// does so until frames say otherwise.
func (d *Debounce) Limit(c config.Camera, wanted []bool) {
	d.stable, d.minScore, d.wanted = c.Stable, float32(c.MinScore), wanted
	d.run = min(d.run, d.stable-1)
}

// Class is best where it counts, else messages.NoClass.
func (d *Debounce) Class(best int, score float32) int {
	if best == messages.NoClass || score < d.minScore || d.wanted != nil && !d.wanted[best] {
		return messages.NoClass
	}
	return best
}

// Settled reports that the last frames agree with what holds: another of the same
// Class would change nothing.
func (d *Debounce) Settled() bool { return d.run >= d.stable && d.candidate == d.holds }

// See takes the class of the next frame and reports whether another class holds
// from now on. A change's time is the capture of the first of the equal frames
// that made it.
func (d *Debounce) See(class int, captured time.Time) (c messages.Change, changed bool) {
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

// Holds is the class that holds, messages.NoClass where none does.
func (d *Debounce) Holds() int { return d.holds }
