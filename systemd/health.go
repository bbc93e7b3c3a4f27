package systemd

import (
	"slices"
	"sync"
	"time"
)

// Health knows what each of a daemon's loops is about. The zero Health is
// ready to use, by several goroutines at once.
type Health struct {
	mu    sync.Mutex
	loops []*Loop
}

// Loop is one long-running goroutine's line to a Health. A loop says Busy when
// it begins a piece of its own work and Idle before it waits for something
// outside. Both allocate nothing and return at once.
type Loop struct {
	health *Health
	name   string
	limit  time.Duration

	mu    sync.Mutex
	busy  bool
	what  string // it does, or why it does nothing
	since time.Time
}

// Report is a loop's condition at one moment.
type Report struct {
	Name  string
	Busy  bool
	What  string        // the work, or the reason to be idle
	For   time.Duration // since Busy or Idle was last called
	Stuck bool          // busy for longer than its limit
}

// Loop registers a goroutine that is never busy with one thing for longer than
// limit unless it hangs. It counts as idle until it first says Busy.
func (h *Health) Loop(name string, limit time.Duration) *Loop {
	l := &Loop{health: h, name: name, limit: limit, what: "not started", since: time.Now()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loops = append(h.loops, l)
	return l
}

// Busy says that the loop begins a piece of work. Each call is progress: the
// limit counts from the last one.
func (l *Loop) Busy(what string) { l.set(true, what) }

// Idle says that the loop waits for something outside, and what that is. It may
// wait for ever.
func (l *Loop) Idle(why string) { l.set(false, why) }

func (l *Loop) set(busy bool, what string) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy, l.what, l.since = busy, what, now
}

// Done takes the loop off the list: its goroutine has ended.
func (l *Loop) Done() {
	h := l.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loops = slices.DeleteFunc(h.loops, func(x *Loop) bool { return x == l })
}

func (l *Loop) report(now time.Time) Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Report{Name: l.name, Busy: l.busy, What: l.what, For: max(now.Sub(l.since), 0)}
	r.Stuck = r.Busy && r.For > l.limit
	return r
}

// Stuck returns the loop that has been stuck for longest at now, and whether
// there is one.
func (h *Health) Stuck(now time.Time) (worst Report, stuck bool) {
	for _, r := range h.Report(now) {
		if r.Stuck && r.For > worst.For {
			worst, stuck = r, true
		}
	}
	return worst, stuck
}

// Report lists the loops in the order in which they were registered.
func (h *Health) Report(now time.Time) []Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Report, len(h.loops))
	for i, l := range h.loops {
		list[i] = l.report(now)
	}
	return list
}
