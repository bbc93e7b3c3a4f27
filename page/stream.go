package page

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"dynvit/messages"
)

const (
	// mostStreams may be open at once; one too many gets 503.
	mostStreams = 16
	// streamPace is at least between two batches of events: nobody sees more than ten
	// a second, and each brings the newest of every camera.
	streamPace = 100 * time.Millisecond
	// aliveEvery is how often a stream says something where nothing has changed.
	aliveEvery = 5 * time.Second
	// writeLimit is how long a viewer may take for a batch: then it is gone.
	writeLimit = 20 * time.Second
)

// viewer is one stream.
type viewer struct {
	version uint64          // of the page that it was sent
	stats   uint64          // version of the stats that it was sent
	buckets map[hours]int64 // from which on they may have changed since
}

// hours name the last hour of a camera, and of which of its models: "" for the first.
type hours struct{ camera, model string }

// stream sends events until either side has enough.
func (p *Page) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy is to hand on what it has
	if r.Method == http.MethodHead {
		return
	}
	release, ok := slot(w, p.streams)
	if !ok {
		return
	}
	defer release()
	defer p.watch()()
	control := http.NewResponseController(w)
	v := viewer{buckets: map[hours]int64{}}
	batch := []byte("retry: 2000\n\n")
	for {
		var changed <-chan struct{}
		batch, changed = p.batch(&v, batch)
		control.SetWriteDeadline(time.Now().Add(writeLimit)) // the server's is of a page; a recorder has none
		if _, err := w.Write(batch); err != nil || control.Flush() != nil {
			return
		}
		batch = batch[:0]
		if !p.await(r, changed) {
			return
		}
	}
}

// await waits for the next batch's time and something to say in it; false: the stream
// has ended.
func (p *Page) await(r *http.Request, changed <-chan struct{}) bool {
	pace, alive := time.NewTimer(p.pace), time.NewTimer(aliveEvery)
	defer pace.Stop()
	defer alive.Stop()
	for _, ready := range []<-chan struct{}{nil, changed} {
		waiting := pace.C
		if ready != nil {
			waiting = alive.C
		}
		select {
		case <-waiting:
		case <-ready:
		case <-r.Context().Done():
			return false
		case <-p.ctx.Done():
			return false
		}
	}
	return true
}

// batch appends what a viewer has not been sent yet, and what tells of the next change.
// There is always something.
func (p *Page) batch(v *viewer, to []byte) (batch []byte, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := v.stats
	for i := range p.told {
		t := &p.told[i]
		if t.version > v.version {
			to = appendEvent(to, t.event, t.payload)
		}
		stats = t.version // the last one's
	}
	now, ticked := time.Now(), stats > v.stats
	for _, name := range slices.Sorted(maps.Keys(p.cameras)) {
		c := p.cameras[name]
		to = p.appendView(to, v, hours{camera: name}, &c.view, now, ticked)
		for _, model := range slices.Sorted(maps.Keys(c.further)) {
			to = p.appendView(to, v, hours{name, model}, c.further[model], now, ticked)
		}
	}
	v.version, v.stats = p.version, stats
	if len(to) == 0 {
		to = append(to, ":\n\n"...)
	}
	return to, p.changed
}

// appendView appends the frame and the hour of one of a camera's models, as far as a viewer has
// not been sent them.
func (p *Page) appendView(to []byte, v *viewer, of hours, shown *view, now time.Time, ticked bool) []byte {
	_, known := v.buckets[of]
	if !known || shown.version > v.version {
		to = appendFrame(to, of.model, shown.event(now))
	}
	if !known || ticked {
		to = appendEvent(to, "history", messages.Encode(shown.history.since(of, v.buckets[of], p.bucket())))
		v.buckets[of] = shown.history.open
	}
	return to
}

// appendFrame writes a frame's payload: of a further model with its name around it.
func appendFrame(to []byte, model string, payload []byte) []byte {
	if model == "" {
		return appendEvent(to, "frame", payload)
	}
	around := append([]byte(`{"model":`), messages.Encode(model)...)
	around = append(append(around, `,"frame":`...), payload...)
	return appendEvent(to, "model", append(around, '}'))
}

// appendEvent writes a payload, which is one line.
func appendEvent(to []byte, event string, payload []byte) []byte {
	to = append(append(to, "event: "...), event...)
	to = append(append(to, "\ndata: "...), payload...)
	return append(to, "\n\n"...)
}

// slot takes one of so many, and is false, answered, where there is none.
func slot(w http.ResponseWriter, slots chan struct{}) (release func(), ok bool) {
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, true
	default:
		w.Header().Set("Retry-After", "5")
		w.Header().Del("Content-Type")
		http.Error(w, "too many look at this at once", http.StatusServiceUnavailable)
		return nil, false
	}
}

// answer writes JSON.
func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v) // a reader that went away is no concern of ours
}
