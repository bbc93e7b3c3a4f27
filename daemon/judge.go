package daemon

import "time"

// judge decides for one camera what a sequence of best classes means: which of
// them count, and since when one holds.
type judge struct {
	stable   int     // equal classes in a row that make a change, at least 1
	minScore float32 // below it a class does not count
	wanted   []bool  // by class: which count; nil: all

	holds     int // the class that holds, or noClass
	candidate int // the class of the last frames
	run       int // how many frames in a row
	first     time.Time
}

func newJudge(c Camera, wanted []bool) judge {
	return judge{
		stable: c.Stable, minScore: float32(c.MinScore), wanted: wanted,
		holds: noClass, candidate: noClass,
	}
}

// class is best where it counts, else noClass.
func (j *judge) class(best int, score float32) int {
	if best == noClass || score < j.minScore || j.wanted != nil && !j.wanted[best] {
		return noClass
	}
	return best
}

// settled reports that the last frames agree with what holds: another of the same
// class would change nothing.
func (j *judge) settled() bool { return j.run >= j.stable && j.candidate == j.holds }

// see takes the class of the next frame and reports whether another class holds
// from now on. A change's time is the capture of the first of the equal frames
// that made it.
func (j *judge) see(class int, captured time.Time) (c Change, changed bool) {
	if class != j.candidate || j.run == 0 {
		j.candidate, j.run, j.first = class, 0, captured
	}
	j.run = min(j.run+1, j.stable)
	if j.run < j.stable || class == j.holds {
		return Change{}, false
	}
	c = Change{Previous: j.holds, Since: j.first}
	j.holds = class
	return c, true
}
