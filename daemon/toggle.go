package daemon

import (
	"context"
	"sync"
)

// toggle says whether a camera is wanted. It is safe for concurrent use.
type toggle struct {
	mu     sync.Mutex
	on     bool
	why    string // who decided
	period context.Context
	end    context.CancelFunc // of the period
}

func newToggle(on bool, why string) *toggle {
	t := &toggle{on: on, why: why}
	t.period, t.end = context.WithCancel(context.Background())
	return t
}

// now says what holds, who decided it, and a context that lasts as long as it
// does.
func (t *toggle) now() (on bool, why string, period context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.on, t.why, t.period
}

func (t *toggle) isOn() bool {
	on, _, _ := t.now()
	return on
}

// set begins a new period, unless that holds already.
func (t *toggle) set(on bool, why string) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if on == t.on {
		return false
	}
	t.end()
	t.on, t.why = on, why
	t.period, t.end = context.WithCancel(context.Background())
	return true
}
