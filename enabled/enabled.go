// Package enabled says whether a camera is wanted, who decided it, and for how long it
// holds.
package enabled

import (
	"context"
	"sync"
)

// Switch is one camera's. It is safe for concurrent use.
type Switch struct {
	mu     sync.Mutex
	on     bool
	why    string // who decided
	period context.Context
	end    context.CancelFunc // of the period
}

// ByConfiguration is why a camera is on or off that no command has switched.
const ByConfiguration = "by configuration"

// New is a switch in a first period.
func New(on bool, why string) *Switch {
	e := &Switch{on: on, why: why}
	e.period, e.end = context.WithCancel(context.Background())
	return e
}

// Now says what holds, who decided it, and a context that lasts as long as it
// does.
func (e *Switch) Now() (on bool, why string, period context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.on, e.why, e.period
}

// IsOn reports whether the camera is wanted.
func (e *Switch) IsOn() bool {
	on, _, _ := e.Now()
	return on
}

// Renew begins a new period of the same.
func (e *Switch) Renew() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.end()
	e.period, e.end = context.WithCancel(context.Background())
}

// Set begins a new period, unless that holds already.
func (e *Switch) Set(on bool, why string) (changed bool) {
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
