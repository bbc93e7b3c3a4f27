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
	version uint64           // of the page that it was sent
	stats   uint64           // version of the stats that it was sent
	buckets map[string]int64 // by camera: from which on they may have changed since
}

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
	v := viewer{buckets: map[string]int64{}}
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
		_, known := v.buckets[name]
		if !known || c.version > v.version {
			to = appendEvent(to, "frame", c.event(now))
		}
		if !known || ticked {
			to = appendEvent(to, "history", messages.Encode(c.history.since(name, v.buckets[name], p.bucket())))
			v.buckets[name] = c.history.open
		}
	}
	v.version, v.stats = p.version, stats
	if len(to) == 0 {
		to = append(to, ":\n\n"...)
	}
	return to, p.changed
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
