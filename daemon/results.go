package daemon

import (
	"slices"
	"sync"
	"sync/atomic"

	"dynvit/engine"
	"dynvit/messages"
)

// Result is what a listener hears of a frame.
type Result struct {
	*messages.Report
	Changed bool            // another label holds from this frame on
	Engine  messages.Engine // what looked at it
	Patches int             // of the picture
	First   bool            // of several models that look at the camera, the first

	// Of the first, while the listener watches, else nil.
	Picture []byte    // what the model was shown (engine.Result)
	Kept    [][]int32 // patches alive after each stage, ascending ids
	Groups  [][]int32 // the patch that each lives on in after each stage, -1: dropped; nil where none are merged
}

// Listener hears of every frame that is looked at. The inference never waits for
// it: where it is slower than the frames the oldest results are lost, and counted.
// Next is called by one goroutine.
type Listener struct {
	ready    chan struct{} // holds one: look for results
	watching atomic.Bool   // results carry pictures
	pictures atomic.Uint64 // copied

	mu    sync.Mutex
	ring  []heard // of which waiting are from first on
	first int
	n     int
	lost  uint64
	ended bool

	taken heard // what Next returned last
}

// looker is what looked at a frame.
type looker struct {
	engine  messages.Engine
	patches int
	first   bool // of the camera's models
}

// heard is a result in the listener's own memory.
type heard struct {
	report  messages.Report
	changed bool
	by      looker
	picture []byte
	kept    [][]int32
	groups  [][]int32
}

// see takes a copy of what the model was shown and what it kept; nothing is held on to
// when nobody watches.
func (h *heard) see(watching bool, r *engine.Result) {
	if !watching {
		h.picture, h.kept, h.groups = nil, nil, nil
		return
	}
	h.picture = append(h.picture[:0], r.Picture...)
	h.kept, h.groups = copied(h.kept, r.Kept), copied(h.groups, r.Groups)
}

// copied copies lists into the memory of others.
func copied(into, from [][]int32) [][]int32 {
	into = slices.Grow(into[:0], len(from))[:len(from)]
	for i, ids := range from {
		into[i] = append(into[i][:0], ids...)
	}
	return into
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
	t := &l.taken
	return Result{Report: &t.report, Changed: t.changed, Engine: t.by.engine, Patches: t.by.patches, First: t.by.first, Picture: t.picture, Kept: t.kept, Groups: t.groups}, true, false
}

// Watch says whether results are to carry what the model was shown and what it kept,
// from the next frame on. When it begins, every camera's next frame is looked at,
// still or not. Any goroutine may call it.
func (l *Listener) Watch(on bool) { l.watching.Store(on) }

// Pictures is how many were copied for it.
func (l *Listener) Pictures() uint64 { return l.pictures.Load() }

// Lost is how many results it was too slow for.
func (l *Listener) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// put takes a copy of a report, and of what the frame looked like where that is wanted
// and there.
func (l *Listener) put(r *messages.Report, changed bool, res *engine.Result, by looker) {
	watching := l.watching.Load() && res.WantPicture && by.first
	if watching {
		l.pictures.Add(1)
	}
	l.mu.Lock()
	if l.n == len(l.ring) {
		l.first, l.n, l.lost = (l.first+1)%len(l.ring), l.n-1, l.lost+1
	}
	at := &l.ring[(l.first+l.n)%len(l.ring)]
	at.report.CopyFrom(r)
	at.changed, at.by = changed, by
	at.see(watching, res)
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
