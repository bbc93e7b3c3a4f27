package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dynvit/capture"
	"dynvit/classroom"
	"dynvit/homeassistant"
	"dynvit/httpserver"
	"dynvit/lineup"
	"dynvit/messages"
	"dynvit/page"
	"dynvit/queue"
	"dynvit/retained"
	"dynvit/systemd"
)

// service is all that works while the daemon runs, built whole.
type service struct {
	models      *atomic.Pointer[lineup.Lineup]
	asked       lineup.Asked // by the configuration in force; of the goroutine of Run
	tuners      *tuners
	queue       *queue.Queue
	cameras     *cameras
	inference   *inference
	calibration *calibration
	connection  *connection
	inbox       *inbox
	commands    *commands
	condition   *condition
	retained    *retained.Retained
	reporting   *reporting
	watchdog    *systemd.Supervisor
	captures    *capture.Writer // nil: nothing is kept
	local       httpserver.Options
	live        *live           // nil: there is no local server
	page        *page.Page      // likewise
	room        *classroom.Room // nil: nothing is taught
	log         *slog.Logger

	hangups  <-chan os.Signal // ask for a reload
	renewals chan renewing    // likewise, of what is in force on the page
	renew    func(ctx context.Context) error
	reload   func(ctx context.Context) // reads the configuration anew
	stand    func()                    // has what the configuration says stand at the broker
	reloads  int
	clear    *time.Timer // runs out when topics that are gone are to be taken back

	calibrating sync.WaitGroup
	unused      []*lineup.Pass // that are to be closed
}

// build makes the parts, from below: feeds, what looks at them, what commands it,
// what reports on it.
func (d *Daemon) build(from *beginning, c *connection, in *inbox) *service {
	l, t := from.models, from.tuners
	out := &announcer{out: c.client, topics: d.topics, settings: func() messages.Settings { return d.settings(t, d.roster.all().settings(len(t.all()))) }, log: d.log}
	t.changed = out.changed
	q, o := queue.New(), newOrders()
	calibration := d.newCalibration(l, t, o)
	cond := &condition{loops: d.loops, outbox: c.client.Status, roster: &d.roster}
	counted := d.newStatistics(l, t, c.client.Status)
	s := &service{
		models: l, asked: from.asked, tuners: t, queue: q,
		calibration: calibration, connection: c, inbox: in, retained: d.newRetained(c.client), condition: cond, log: d.log,
		commands: &commands{
			tuners: t, orders: o, calibration: calibration, roster: &d.roster, out: out, log: d.log,
		},
		reporting: &reporting{
			notify: d.deps.Notify, condition: cond, statistics: counted, out: out, log: d.log,
		},
		watchdog: &systemd.Supervisor{Notifier: d.deps.Notify, Health: d.loops, Log: d.log},
		hangups:  d.deps.Reload, renewals: make(chan renewing), clear: time.NewTimer(0),
	}
	s.clear.Stop()
	listeners := d.deps.Listeners
	if d.deps.State != "" {
		folder := capture.New(filepath.Join(d.deps.State, "teach"), capture.MostBytes)
		s.captures, s.commands.keeps = capture.NewWriter(folder, d.log), true
		s.room = d.newRoom(s, folder)
	}
	if d.config.HTTP.Listen != "" {
		s.live = &live{
			Listener: NewListener(heardByPage), commands: s.commands, health: cond.health, settings: out.settings,
			info: func() messages.Info { return d.info(l.Load()) }, counted: d.newStatistics(l, t, c.client.Status),
		}
		s.page = page.New(page.Options{Source: s.live, Room: s.room, Token: d.token, Log: d.log})
		listeners = append(slices.Clip(listeners), s.live.Listener)
	}
	s.inference = d.newInference(l, t, q, o, out, listeners)
	s.local = d.localServer(cond.health, counted, s.page)
	s.commands.allowed.Store(d.config.MQTT.Commands)
	s.inference.captures = s.captures
	s.cameras = d.newCameras(s, from.asked, out)
	s.reload = func(ctx context.Context) { d.reload(ctx, s) }
	s.renew = func(ctx context.Context) error {
		_, err := d.adopt(ctx, s, *d.configured.Load())
		return err
	}
	s.stand = func() { s.standBy(d.standing(s.asked, s.retained.Known())) }
	return s
}

func (d *Daemon) newInference(l *atomic.Pointer[lineup.Lineup], t *tuners, q *queue.Queue, o *orders, out *announcer, listeners []*Listener) *inference {
	return &inference{
		tuners: t, queue: q, roster: &d.roster, orders: o, out: out, bootID: d.bootID, encoders: map[messages.Engine]*messages.Encoder{},
		changed:   func() { out.send(infoMessage(d.topics, d.info(l.Load()))) },
		listeners: listeners, synced: d.deps.synced, now: d.deps.now, log: d.log,
		pulse: d.loops.Loop("inference", inferenceLimit),
	}
}

// run works until ctx ends or all sources have, and takes leave of the broker.
func (s *service) run(ctx context.Context, port net.Listener, measure bool) error {
	err := s.serve(ctx, port, measure)
	if !errors.Is(err, errStuck) {
		s.closeUnused(s.models.Load())
	}
	return errors.Join(err, s.connection.close(s.retained.Settled))
}

// serve works, and answers on the local server's port if there is one.
func (s *service) serve(ctx context.Context, port net.Listener, measure bool) error {
	if port == nil {
		return s.work(ctx, measure)
	}
	shown := going(func() { s.live.show(s.page) })
	local := httpserver.Serve(port, s.local)
	s.log.Info("http server started", "address", local.Addr())
	err := s.work(ctx, measure)
	s.page.Close()
	s.live.end()
	<-shown
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
	if s.captures != nil {
		watchers.Go(func() { s.captures.Run(background) })
	}
	s.stand()
	watchers.Go(func() { s.inbox.run(background, s.commands, s.born) })
	watchers.Go(func() { s.inbox.presence.Run(background, s.reporting.out.online) })
	defer watchers.Wait()
	defer stopBackground()

	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	inferring, stopInferring := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInferring()
	inferred := going(func() { s.inference.run(inferring) })
	if measure {
		s.calibrating.Go(func() { s.calibration.measure(inferring, s.calibration.lacking(s.models.Load().Passes)) }) // logged
	}
	s.cameras.start(reading)
	s.becomeReady()
	s.attend(ctx, inferred)
	s.condition.ready.Store(false)
	s.reporting.told(s.reporting.notify.Stopping())
	stopReading()
	stopInferring()
	taught := going(s.endLesson)
	err := s.join(inferred, going(s.calibrating.Wait), going(s.cameras.running.Wait))
	if !within(closeLimit, taught) {
		s.log.Warn("a lesson does not end, left behind")
	}
	return err
}

func (s *service) endLesson() {
	if s.room != nil {
		s.room.Close()
	}
}

// attend reloads when it is asked to, until ctx ends or all sources have.
func (s *service) attend(ctx context.Context, inferred <-chan struct{}) {
	defer s.clear.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-inferred:
			s.log.Info("all sources have ended")
			return
		case <-s.hangups:
			s.reload(ctx)
		case r := <-s.renewals:
			r.done <- s.renew(ctx)
		case <-s.clear.C:
			s.retained.Clear()
		}
	}
}

// standBy has other announcements and topics stand at the broker.
func (s *service) standBy(list []homeassistant.Announcement, topics []string) {
	if s.retained.Stand(list, topics) {
		s.clear.Reset(afterRemoval)
	}
}

// born tells a Home Assistant that has just started what it cannot find on the
// broker.
func (s *service) born() {
	s.retained.Announce()
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

func (s *service) becomeReady() {
	open := s.models.Load()
	info := open.Passes[0].Opened
	s.log.Info("ready", "model", open.Names(), "backend", info.Backend, "precision", info.Precision.String(),
		"keep", s.tuners.shown().ratio, "cameras", len(s.cameras.roster.all()), "topics", s.inference.out.topics.Root+"/#")
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
		s.calibration.tables.note().Remove() // it was not killed
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
