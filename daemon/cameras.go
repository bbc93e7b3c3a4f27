package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dynvit/backoff"
	"dynvit/camera"
	"dynvit/config"
	"dynvit/lineup"
	"dynvit/preprocess"
)

// cameras start and stop the readers of the feeds in the roster. The service's
// goroutine alone uses them.
type cameras struct {
	roster    *roster
	newReader func(name string, c config.Camera, views []lineup.View) *reader
	allEnded  func() // told when all sources have shown all they have

	ctx     context.Context // of the readers
	readers map[string]*reader
	running sync.WaitGroup
	ended   atomic.Int64 // sources that have shown all they have
}

// add makes the feed of a camera and what reads it.
func (c *cameras) add(name string, conf config.Camera, views []lineup.View) *reader {
	r := c.newReader(name, conf, views)
	c.readers[name] = r
	all := append(slices.Clone(c.roster.all()), r.feed)
	slices.SortFunc(all, func(a, b *feed) int { return cmp.Compare(a.name, b.name) })
	c.roster.set(all)
	return r
}

// start starts all readers; they end with ctx. When all sources have ended by
// themselves, and only a command could start one again, allEnded is told.
func (c *cameras) start(ctx context.Context) {
	c.ctx = ctx
	total := int64(len(c.readers))
	for _, name := range slices.Sorted(maps.Keys(c.readers)) {
		r := c.readers[name]
		r.ended = func() {
			if c.ended.Add(1) == total {
				c.allEnded()
			}
		}
		r.again = func() { c.ended.Add(-1) }
		c.begin(r)
	}
}

// begin starts a reader.
func (c *cameras) begin(r *reader) {
	ctx, stop := context.WithCancel(c.ctx)
	done := make(chan struct{})
	r.stop, r.done = stop, done
	r.status.start(r.first())
	c.running.Go(func() {
		defer close(done)
		defer r.pulse.Done()
		r.run(ctx)
	})
}

// stop ends the reader of a camera that has left the roster, of which nothing is
// told any more. It may hang in a driver.
func (c *cameras) stop(name string) (done <-chan struct{}) {
	r := c.readers[name]
	delete(c.readers, name)
	r.status.retire()
	r.stop()
	return r.done
}

// newCameras makes feeds and readers of all cameras of the configuration.
func (d *Daemon) newCameras(s *service, asked lineup.Asked, out *announcer) *cameras {
	thumbs := new(preprocess.Thumbnailer)
	c := &cameras{
		roster: &d.roster, readers: map[string]*reader{},
		newReader: func(name string, conf config.Camera, views []lineup.View) *reader {
			f := d.newFeed(name, conf, views, s.tuners.of(lineup.Passes(views), s.tuners.shown()), thumbs, out)
			f.lane = s.queue.Add()
			return d.newReader(f)
		},
		allEnded: func() {
			if d.deps.NoFile {
				s.queue.End()
			}
		},
	}
	for _, name := range d.config.CameraNames() {
		c.add(name, d.config.Cameras[name], asked.Cameras[name])
	}
	return c
}

func (d *Daemon) newReader(f *feed) *reader {
	return &reader{
		feed:  f,
		open:  func(c config.Camera) (camera.Source, error) { return d.openCamera(f.looks.Load().side, c, f.log) },
		pulse: d.loops.Loop("camera "+f.name, readerLimit),
		frame: new(camera.Frame), ended: func() {}, again: func() {},
		// A camera plugged in again is seen within ten seconds.
		retry: backoff.Backoff{First: 500 * time.Millisecond, Max: 10 * time.Second, Least: 0.5},
	}
}

func (d *Daemon) openCamera(side int, c config.Camera, log *slog.Logger) (camera.Source, error) {
	o := cameraOptions(side, &c)
	o.Log = log
	return d.deps.openSource(c.Source, o)
}

// cameraOptions are how a camera is opened whose models want side pixels.
func cameraOptions(side int, c *config.Camera) camera.Options {
	return camera.Options{
		ShortSide: shortSide(side, c.Region),
		// The status says stalled before the source gives up.
		Stall: c.Timeout + time.Second,
		Trust: c.Trust(),
	}
}

// shortSide is what a whole picture's short side must be for the region's to be
// at least side.
func shortSide(side int, r preprocess.Region) int {
	return int(math.Ceil(float64(side) / min(r.X1-r.X0, r.Y1-r.Y0)))
}
