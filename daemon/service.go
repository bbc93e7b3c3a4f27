package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"dynvit/backoff"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/gate"
	"dynvit/homeassistant/announced"
	"dynvit/httpserver"
	"dynvit/messages"
	"dynvit/systemd"
)

// service is all that works while the daemon runs, built whole.
type service struct {
	tuner       *tuner
	feeds       feeds
	queue       *queue
	readers     []*reader
	inference   *inference
	calibration *calibration
	connection  *connection
	inbox       *inbox
	commands    *commands
	condition   *condition
	discovery   *announced.Discovery
	reporting   *reporting
	watchdog    *systemd.Supervisor
	local       httpserver.Options
	ends        bool // when all sources have ended
	log         *slog.Logger
}

// build makes the parts, from below: feeds, what looks at them, what commands it,
// what reports on it.
func (d *Daemon) build(m *model, t *tuner, c *connection, in *inbox) *service {
	out := &announcer{out: c.client, topics: d.topics, settings: func() messages.Settings { return d.settings(t) }, log: d.log}
	t.changed = out.changed
	list := d.newFeeds(m.wanted, out)
	q, o := newQueue(len(list)), newOrders()
	calibration := d.newCalibration(m, t, o)
	cond := &condition{loops: d.loops, outbox: c.client.Status, feeds: list}
	counted := d.newStatistics(list, t, c.client.Status)
	return &service{
		tuner: t, feeds: list, queue: q, readers: d.newReaders(m, list, q), inference: d.newInference(m, t, list, q, o, out),
		calibration: calibration, connection: c, inbox: in, discovery: d.newDiscovery(m, c.client), condition: cond, local: d.localServer(m, cond.health, counted), ends: d.deps.NoFile, log: d.log,
		commands: &commands{
			allowed: d.config.MQTT.Commands, model: m, tuner: t, orders: o, calibration: calibration, feeds: list, out: out, log: d.log,
		},
		reporting: &reporting{
			notify: d.deps.Notify, condition: cond, statistics: counted, out: out, log: d.log,
		},
		watchdog: &systemd.Supervisor{Notifier: d.deps.Notify, Health: d.loops, Log: d.log},
	}
}

func (d *Daemon) newReaders(m *model, list feeds, q *queue) []*reader {
	var readers []*reader
	for i, f := range list {
		readers = append(readers, &reader{
			feed: f, index: i, queue: q,
			open:  func() (camera.Source, error) { return d.openCamera(m, f.config, f.log) },
			pulse: d.loops.Loop("camera "+f.name, readerLimit),
			frame: new(camera.Frame), pace: gate.NewPace(f.config.MaxFPS),
			// A camera plugged in again is seen within ten seconds.
			retry: backoff.Backoff{First: 500 * time.Millisecond, Max: 10 * time.Second, Least: 0.5},
		})
	}
	return readers
}

func (d *Daemon) newInference(m *model, t *tuner, list feeds, q *queue, o *orders, out *announcer) *inference {
	looks := looksOf(m.info)
	for _, l := range d.deps.Listeners {
		l.begin(looks)
	}
	return &inference{
		model: m, tuner: t, queue: q, feeds: list, orders: o, out: out, looks: looks, bootID: d.bootID, encoder: messages.NewEncoder(looks, d.bootID),
		changed:   func(now engine.Info) { out.send(infoMessage(d.topics, d.info(now))) },
		listeners: d.deps.Listeners, synced: d.deps.synced, now: d.deps.now, log: d.log,
		pulse: d.loops.Loop("inference", inferenceLimit),
	}
}

// looksOf is what of a model is told with every frame.
func looksOf(m engine.Info) messages.Engine {
	return messages.Engine{Backend: m.Backend, Precision: m.Precision.String(), Model: m.Model}
}

// run works until ctx ends or all sources have, and takes leave of the broker.
func (s *service) run(ctx context.Context, port net.Listener, measure bool) error {
	err := s.serve(ctx, port, measure)
	return errors.Join(err, s.connection.close(s.discovery.Settled))
}

// serve works, and answers on the local server's port if there is one.
func (s *service) serve(ctx context.Context, port net.Listener, measure bool) error {
	if port == nil {
		return s.work(ctx, measure)
	}
	local := httpserver.Serve(port, s.local)
	s.log.Info("http server started", "address", local.Addr())
	err := s.work(ctx, measure)
	closing, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	return errors.Join(err, local.Close(closing))
}

// work runs the cameras and the inference, and what watches them for as long.
func (s *service) work(ctx context.Context, measure bool) error {
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	var watchers sync.WaitGroup
	watchers.Go(func() { s.watchdog.Run(background) })
	watchers.Go(func() { s.reporting.run(background) })
	s.discovery.Begin()
	watchers.Go(func() { s.inbox.run(background, s.commands, s.born) })
	watchers.Go(func() { s.inbox.presence.run(background, s.reporting.out.online) })
	defer watchers.Wait()
	defer stopBackground()

	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	inferring, stopInferring := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInferring()
	inferred := going(func() { s.inference.run(inferring) })
	calibrated := going(func() {
		if measure {
			s.calibration.measure(inferring) // logged
		}
	})
	read := s.startReaders(reading)
	s.becomeReady()
	select {
	case <-ctx.Done():
	case <-inferred:
		s.log.Info("all sources have ended")
	}
	s.condition.ready.Store(false)
	s.reporting.told(s.reporting.notify.Stopping())
	stopReading()
	stopInferring()
	return s.join(inferred, calibrated, read)
}

// born tells a Home Assistant that has just started what it cannot find on the
// broker.
func (s *service) born() {
	s.discovery.Announce()
	s.reporting.stats()
}

// going runs do in a goroutine. The channel is closed when it has returned.
func going(do func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	return done
}

// startReaders starts the cameras' readers. The channel is closed when all have
// returned, as they do when ctx ends. When all sources have ended by themselves,
// and only a command could start one again, the queue ends with them.
func (s *service) startReaders(ctx context.Context) <-chan struct{} {
	var running sync.WaitGroup
	var ended atomic.Int64
	for _, r := range s.readers {
		r.status.start(r.first())
		r.ended = func() {
			if ended.Add(1) == int64(len(s.readers)) && s.ends {
				s.queue.end()
			}
		}
		r.again = func() { ended.Add(-1) }
		running.Go(func() { r.run(ctx) })
	}
	return going(running.Wait)
}

func (s *service) becomeReady() {
	info := s.inference.model.info
	s.log.Info("ready", "model", info.Model, "backend", info.Backend, "precision", info.Precision.String(),
		"keep", s.tuner.shown().ratio, "cameras", len(s.feeds), "topics", s.inference.out.topics.Root+"/#")
	s.condition.ready.Store(true)
	s.reporting.told(s.reporting.notify.Ready(s.condition.line()))
}

// join waits for the inference, which finishes the frame in hand, for the
// calibration that it ends, and for the readers, which may hang in a driver.
func (s *service) join(inferred, calibrated, read <-chan struct{}) error {
	if !within(inferenceLimit, inferred) {
		return fmt.Errorf("stop: %w for %v", errStuck, inferenceLimit)
	}
	if !within(closeLimit, calibrated) {
		s.log.Warn("the calibration still opens a model, left behind")
		s.calibration.note().Remove() // it was not killed
	}
	if !within(closeLimit, read) {
		s.log.Warn("a camera does not close, left behind")
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
