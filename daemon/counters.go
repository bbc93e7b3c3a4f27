package daemon

import (
	"sync/atomic"

	"dynvit/messages"
)

// counters are of all cameras by name, made once: the map does not change. They
// only grow; whoever reads them keeps what it saw last for a period of its own.
type counters map[string]*counts

func newCounters(names []string) counters {
	c := make(counters)
	for _, name := range names {
		c[name] = new(counts)
	}
	return c
}

// counts are of one camera's frames since the start of the daemon. They are safe
// for concurrent use.
type counts struct {
	looked  atomic.Uint64 // classified
	still   atomic.Uint64 // hardly different from the last one looked at
	missed  atomic.Uint64 // the source saw it and did not hand it over
	tooFast atomic.Uint64 // over max_fps
	slowed  atomic.Uint64 // the budget cannot be held at the full rate
	busy    atomic.Uint64 // a newer one came while it waited
	failed  atomic.Uint64 // damaged, or the model could not be run on it

	// Of the frames looked at.
	latency histogram // the model alone
	frame   histogram // decode, preprocess and model
	age     histogram // from capture to result
}

func (c *counts) drops() messages.Drops {
	return messages.Drops{
		Busy: c.busy.Load(), Slowed: c.slowed.Load(), TooFast: c.tooFast.Load(),
		Failed: c.failed.Load(), Missed: c.missed.Load(), Still: c.still.Load(),
	}
}
