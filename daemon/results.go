package daemon

import (
	"sync"

	"dynvit/messages"
)

// Result is what a listener hears of a frame.
type Result struct {
	*messages.Report
	Changed bool            // another label holds from this frame on
	Engine  messages.Engine // what looked at it
}

// Listener hears of every frame that is looked at. The inference never waits for
// it: where it is slower than the frames the oldest results are lost, and counted.
// Next is called by one goroutine.
type Listener struct {
	ready chan struct{} // holds one: look for results

	mu     sync.Mutex
	ring   []heard // of which waiting are from first on
	first  int
	n      int
	lost   uint64
	engine messages.Engine
	ended  bool

	taken heard // what Next returned last
}

// heard is a result in the listener's own memory.
type heard struct {
	report  messages.Report
	changed bool
}

// NewListener has room for so many results that were not yet taken.
func NewListener(size int) *Listener {
	return &Listener{ready: make(chan struct{}, 1), ring: make([]heard, size)}
}

// Next waits for the next result, which is valid until the next call. It is false
// once the daemon has ended and all results were taken.
func (l *Listener) Next() (Result, bool) {
	for {
		r, ok, ended := l.take()
		if ok || ended {
			return r, ok
		}
		<-l.ready
	}
}

func (l *Listener) take() (r Result, ok, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == 0 {
		return Result{}, false, l.ended
	}
	l.taken, l.ring[l.first] = l.ring[l.first], l.taken
	l.first, l.n = (l.first+1)%len(l.ring), l.n-1
	return Result{Report: &l.taken.report, Changed: l.taken.changed, Engine: l.engine}, true, false
}

// Lost is how many results it was too slow for.
func (l *Listener) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// begin says what will look at the frames.
func (l *Listener) begin(e messages.Engine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.engine = e
}

// put takes a copy of a report.
func (l *Listener) put(r *messages.Report, changed bool) {
	l.mu.Lock()
	if l.n == len(l.ring) {
		l.first, l.n, l.lost = (l.first+1)%len(l.ring), l.n-1, l.lost+1
	}
	at := &l.ring[(l.first+l.n)%len(l.ring)]
	at.report.CopyFrom(r)
	at.changed = changed
	l.n++
	l.mu.Unlock()
	l.wake()
}

// end says that nothing more will be put.
func (l *Listener) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.wake()
}

func (l *Listener) wake() {
	select {
	case l.ready <- struct{}{}:
	default: // it has not yet looked since the last one
	}
}
