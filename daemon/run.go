package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"dynvit/camera"
	"dynvit/preprocess"
	"dynvit/systemd"
)

// errStuck says that the inference did not come back from a frame; it still uses
// the model.
var errStuck = errors.New("inference is stuck")

// Run starts everything, works until ctx ends or all sources have ended
// (Deps.NoFile), and stops everything: within a second and the frame in hand,
// which is still published. That ctx ended is no error. Run is called once.
func (d *Daemon) Run(ctx context.Context) error {
	m, err := openModel(&d.config, &d.deps)
	if err != nil {
		return d.config.Place(err)
	}
	d.model = m
	if err := d.recall(); err != nil {
		return errors.Join(d.config.Place(err), d.model.Close())
	}
	err = d.runModel(ctx)
	if errors.Is(err, errStuck) {
		return err
	}
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		err = nil
	}
	return errors.Join(d.config.Place(err), d.model.Close())
}

func (d *Daemon) runModel(ctx context.Context) error {
	if err := d.checkSources(); err != nil {
		return err
	}
	if err := d.model.warm(ctx); err != nil {
		return err
	}
	// The port comes before the broker: a daemon started twice must not speak up
	// in the first one's topics before it fails.
	port, err := d.listen()
	if err != nil {
		return err
	}
	if err := d.connect(); err != nil {
		if port != nil {
			port.Close() // nothing was served
		}
		return err
	}
	err = d.runConnected(ctx, port)
	return errors.Join(err, d.disconnect())
}

func (d *Daemon) runConnected(ctx context.Context, port net.Listener) error {
	d.build()
	stopHTTP := d.serve(port)
	err := d.work(ctx)
	return errors.Join(err, stopHTTP())
}

// checkSources finds what is plainly missing where the sources were typed by
// somebody who waits for an answer. A camera may be plugged in later.
func (d *Daemon) checkSources() error {
	if !d.deps.NoFile {
		return nil
	}
	for _, name := range d.config.CameraNames() {
		c := d.config.Cameras[name]
		spec, err := camera.Parse(c.Source)
		if err != nil {
			return err
		}
		if s := spec.Scheme(); s != "file" && s != "exec" {
			continue
		}
		source, err := d.openCamera(c, nil)
		if err != nil {
			return err
		}
		source.Close() // nothing was read
	}
	return nil
}

func (d *Daemon) openCamera(c Camera, log *slog.Logger) (camera.Source, error) {
	return d.deps.openSource(c.Source, camera.Options{
		ShortSide: shortSide(d.model.info.ShortSide, c.Region),
		// The status says stalled before the source gives up.
		Stall: c.Timeout + time.Second,
		Log:   log,
	})
}

func openSource(uri string, o camera.Options) (camera.Source, error) {
	spec, err := camera.Parse(uri)
	if err != nil {
		return nil, err
	}
	return camera.Open(spec, o)
}

// shortSide is what a whole picture's short side must be for the region's to be
// at least side.
func shortSide(side int, r preprocess.Region) int {
	return int(math.Ceil(float64(side) / min(r.X1-r.X0, r.Y1-r.Y0)))
}

// build makes the units and what works on them.
func (d *Daemon) build() {
	names := d.config.CameraNames()
	d.queue = newQueue(len(names))
	d.inference = &inference{
		model: d.model, tuner: d.tuner, queue: d.queue, orders: make(chan order, 1),
		calibrator: d.calibrator, uncertain: d.uncalibrated, out: d.client, encoder: NewEncoder(d.model.info, d.bootID),
		tally: d.tally, synced: d.deps.synced, now: d.deps.now, show: d.deps.Show, log: d.log,
		pulse: d.loops.Loop("inference", inferenceLimit),
	}
	for _, name := range names {
		u := d.newUnit(name)
		d.units = append(d.units, u)
		v := &view{unit: u, busy: "a frame of camera " + name, judge: newJudge(u.config, d.model.wanted[name]), gate: newGate(u.config)}
		v.newest.Camera = name
		d.inference.views = append(d.inference.views, v)
	}
}

// listen takes the local server's port; nil where none is wanted.
func (d *Daemon) listen() (net.Listener, error) {
	if d.config.HTTP.Listen == "" {
		return nil, nil
	}
	address, err := listenAddress(d.config.HTTP.Listen)
	if err != nil {
		return nil, err
	}
	return listenHTTP(address)
}

// serve starts the local server on its port, if it has one, and returns what ends
// it.
func (d *Daemon) serve(port net.Listener) (stop func() error) {
	if port == nil {
		return func() error { return nil }
	}
	s := serveHTTP(port, d.routes(), d.log)
	d.log.Info("http server started", "address", s.addr)
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
		defer cancel()
		return s.close(ctx)
	}
}

// work runs the cameras and the inference.
func (d *Daemon) work(ctx context.Context) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var watchers sync.WaitGroup
	watchdog := systemd.Supervisor{Notifier: d.deps.Notify, Health: d.loops, Log: d.log}
	watchers.Go(func() { watchdog.Run(background) })
	d.lastStats = time.Now()
	watchers.Go(func() { d.oversee(background) })
	watchers.Go(func() { d.receive(background) })
	defer watchers.Wait()
	defer stopBackground()

	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	inferring, stopInferring := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInferring()
	inferred := d.startInference(inferring)
	read := d.startReaders(reading)
	d.becomeReady()
	select {
	case <-ctx.Done():
	case <-inferred:
		d.log.Info("all sources have ended")
	}
	d.stopping.Store(true)
	d.notified(d.deps.Notify.Stopping())
	stopReading()
	stopInferring()
	return d.join(inferred, read)
}

func (d *Daemon) startInference(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.inference.run(ctx)
	}()
	return done
}

// startReaders starts the cameras' readers. The channel is closed when all have
// returned, as they do when ctx ends. When all sources have ended by themselves,
// and only a command could start one again, the queue ends with them.
func (d *Daemon) startReaders(ctx context.Context) <-chan struct{} {
	var running sync.WaitGroup
	var ended atomic.Int64
	for i, u := range d.units {
		u.status.start(u.first())
		r := d.newReader(i, u)
		r.ended = func() {
			if ended.Add(1) == int64(len(d.units)) && d.deps.NoFile {
				d.queue.end()
			}
		}
		r.again = func() { ended.Add(-1) }
		running.Go(func() { r.run(ctx) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		running.Wait()
	}()
	return done
}

func (d *Daemon) becomeReady() {
	info := d.model.info
	d.log.Info("ready", "model", info.Model, "backend", info.Backend, "precision", info.Precision.String(),
		"keep", d.tuner.shown().ratio, "cameras", len(d.units), "topics", d.topics.root+"/#")
	close(d.ready)
	d.notified(d.deps.Notify.Ready(d.statusLine()))
}

func (d *Daemon) isReady() bool {
	select {
	case <-d.ready:
		return !d.stopping.Load()
	default:
		return false
	}
}

// join waits for the inference, which finishes the frame in hand, and for the
// readers, which may hang in a driver.
func (d *Daemon) join(inferred, read <-chan struct{}) error {
	if !within(inferenceLimit, inferred) {
		return fmt.Errorf("stop: %w for %v", errStuck, inferenceLimit)
	}
	if !within(closeLimit, read) {
		d.log.Warn("a camera does not close, left behind")
	}
	return nil
}

// within waits for done, at most for limit.
func within(limit time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// Totals are the frames classified and dropped since the start.
func (d *Daemon) Totals() (frames, dropped uint64) {
	for _, u := range d.units {
		frames += u.counts.looked.Load()
		dropped += u.counts.drops().total()
	}
	return frames, dropped
}
