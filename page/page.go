// Package page is the live page of the local server: what each camera shows, what the
// model kept of it, what that costs, and a few controls. Files are embedded, nothing is
// asked of elsewhere.
//
// What moves is sent as server-sent events that are called as MQTT's topics are and have
// their payloads; pictures are fetched by whoever wants one. Nothing is encoded or copied
// while nobody watches, but for some numbers a frame that make the last hour. Whoever
// watches is sent the newest as often as they take it, so that a slow viewer costs
// nobody anything, itself the frames between.
package page

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"dynvit/classroom"
	"dynvit/messages"
)

// Source is what the page shows, and carries out what is changed on it; the daemon is
// one. It is safe for concurrent use.
type Source interface {
	Info() messages.Info
	Settings() messages.Settings
	Stats() messages.Stats // times and rates are of the period since the last call
	Health() any           // as /readyz shows it

	// Command carries out what MQTT has below cmd/. known is false where there is no
	// such command.
	Command(ctx context.Context, name string, payload []byte) (o messages.Outcome, known bool)

	// Watch says whether Hear is to be given pictures.
	Watch(on bool)
}

// Frame is what Hear takes; it is valid until Hear returns.
type Frame struct {
	Report  *messages.Report
	Engine  messages.Engine // looked at it
	Further bool            // of several models that look at the camera, not the first
	Picture []byte          // [S, S, 3], R, G, B: what the model was shown; nil: nobody watches
	Kept    [][]int32       // patches alive after each stage; nil: nobody watches
	Groups  [][]int32       // the patch that each lives on in after each stage, -1: dropped; nil where none are merged
	Patches int             // of the picture, side by side
}

// Options are what a page is made of.
type Options struct {
	Source Source
	Room   *classroom.Room // nil: nothing is taught here
	Token  string          // who sends it may change something, and read from elsewhere; "": nobody
	Log    *slog.Logger
}

// refreshEvery is how often stats, settings and condition are looked at while somebody
// watches.
const refreshEvery = 2 * time.Second

// mostLeft is how many bytes of what was sent may lie about before they are collected. Left to
// itself the heap doubles first, which on a box whose cameras hold 50 MB is 50 MB more: an open
// page of four cameras leaves behind some 0.3 MB a second, and a collection takes milliseconds.
const mostLeft = 6 << 20

// Page shows one daemon. It is safe for concurrent use.
type Page struct {
	source Source
	room   *classroom.Room // nil: there is no teach view
	access *access
	log    *slog.Logger
	files  []file

	ctx  context.Context // ends when the page is closed
	stop context.CancelFunc
	done sync.WaitGroup // of refreshing

	streams, pictures chan struct{} // slots
	pace              time.Duration // at least between what a viewer is sent
	pictureWait       time.Duration
	started           time.Time

	encoding encoder
	encoded  atomic.Uint64 // pictures

	mu       sync.Mutex
	changed  chan struct{} // closed when version has grown
	version  uint64
	watchers int
	unwatch  context.CancelFunc // ends refreshing
	told     []told
	cameras  map[string]*camera
}

// told is the newest payload of one of the node's topics.
type told struct {
	event   string
	payload []byte
	version uint64 // when it changed last
}

// New makes a page that nobody watches yet.
func New(o Options) *Page {
	p := &Page{
		source: o.Source, room: o.Room, access: newAccess(o.Token), log: o.Log, files: embedded(),
		streams: make(chan struct{}, mostStreams), pictures: make(chan struct{}, mostPictures),
		pace: streamPace, pictureWait: pictureWait, started: time.Now(),
		changed: make(chan struct{}), cameras: map[string]*camera{},
		told: []told{{event: "info"}, {event: "settings"}, {event: "health"}, {event: "teach"}, {event: "stats"}},
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	if p.room != nil {
		p.room.OnChange(p.tellTeach)
	}
	return p
}

// Register adds the page's routes.
func (p *Page) Register(mux *http.ServeMux) {
	for i := range p.files {
		mux.Handle("GET "+p.files[i].route(), hardened(&p.files[i]))
	}
	mux.Handle("GET /page/languages", hardened(languages(p.files)))
	mux.Handle("GET /page/access", hardened(p.access.reading(p.showAccess)))
	mux.Handle("GET /page/events", hardened(p.access.reading(p.stream)))
	mux.Handle("GET /page/camera/{camera}/picture", hardened(p.access.reading(p.picture)))
	mux.Handle("POST /page/cmd/{command...}", hardened(p.access.changing(p.command)))
	p.registerTeach(mux)
}

// Hear takes the result of a frame. One goroutine calls it.
func (p *Page) Hear(f *Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.cameras[f.Report.Camera]
	if c == nil {
		c = new(camera)
		p.cameras[f.Report.Camera] = c
	}
	v := c.of(f)
	v.take(f)
	v.history.add(p.bucket(), f.Report)
	if p.watchers > 0 {
		c.show(f)
		v.version = p.grow()
	}
}

// grow wakes whoever waits for a change. It needs p.mu.
func (p *Page) grow() uint64 {
	p.version++
	close(p.changed)
	p.changed = make(chan struct{})
	return p.version
}

// watch has pictures come until the returned function is called, once.
func (p *Page) watch() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchers++; p.watchers == 1 {
		ctx, unwatch := context.WithCancel(p.ctx)
		p.unwatch = unwatch
		p.source.Watch(true)
		if ctx.Err() == nil { // else the page is closed, and nobody waits for it
			p.done.Go(func() { p.refreshing(ctx) })
		}
	}
	return p.release
}

func (p *Page) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchers--; p.watchers > 0 {
		return
	}
	p.unwatch()
	p.source.Watch(false)
	for _, c := range p.cameras {
		c.forget()
	}
	for i := range p.told {
		p.told[i].payload, p.told[i].version = nil, 0
	}
}

// refreshing looks at what is not told by frames until ctx ends.
func (p *Page) refreshing(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		p.refresh()
		p.update("stats", messages.Encode(p.source.Stats()))
		collect()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// collect has the heap collected where more than mostLeft came to it since it was last. How long
// a viewer stays does not matter: many may come, each for less than it takes to leave that much.
func collect() {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(heap)
	if heap[0].Value.Uint64() > heap[1].Value.Uint64()+mostLeft {
		runtime.GC()
	}
}

// refresh looks at what a command may have changed.
func (p *Page) refresh() {
	settings := p.source.Settings()
	p.keep(settings.Cameras)
	p.update("info", messages.Encode(p.source.Info()))
	p.update("settings", messages.Encode(settings))
	p.update("health", messages.Encode(p.source.Health()))
	p.tellTeach()
}

// update takes over the payload of an event, if it is another one.
func (p *Page) update(event string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.told {
		if t := &p.told[i]; t.event == event && string(t.payload) != string(payload) {
			t.payload, t.version = payload, p.grow()
		}
	}
}

// keep forgets the cameras, and their further models, that are configured no more.
func (p *Page) keep(configured map[string]messages.CameraSettings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, c := range p.cameras {
		settings, is := configured[name]
		if !is {
			delete(p.cameras, name)
		}
		c.keep(settings.Models)
	}
}

// Close ends all streams, but no command on its way.
func (p *Page) Close() {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	p.done.Wait()
}
