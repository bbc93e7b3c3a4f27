package daemon

import (
	"context"
	"sync"
)

// enabled says whether a camera is wanted. It is safe for concurrent use.
type enabled struct {
	mu     sync.Mutex
	on     bool
	why    string // who decided
	period context.Context
	end    context.CancelFunc // of the period
}

// byConfiguration is why a camera is on or off that no command has switched.
const byConfiguration = "by configuration"

func newEnabled(on bool, why string) *enabled {
	e := &enabled{on: on, why: why}
	e.period, e.end = context.WithCancel(context.Background())
	return e
}

// now says what holds, who decided it, and a context that lasts as long as it
// does.
func (e *enabled) now() (on bool, why string, period context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.on, e.why, e.period
}

func (e *enabled) isOn() bool {
	on, _, _ := e.now()
	return on
}

// renew begins a new period of the same.
func (e *enabled) renew() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.end()
	e.period, e.end = context.WithCancel(context.Background())
}

// set begins a new period, unless that holds already.
func (e *enabled) set(on bool, why string) (changed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if on == e.on {
		return false
	}
	e.end()
	e.on, e.why = on, why
	e.period, e.end = context.WithCancel(context.Background())
	return true
}
