package daemon

import (
	"context"
	"log/slog"
	"time"

	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/mqtt"
	"dynvit/preprocess"
)

// publisher takes messages without waiting; *mqtt.Client is one.
type publisher interface{ Publish(mqtt.Message) error }

// pulse is told whether a loop works or waits; *systemd.Loop is one.
type pulse interface {
	Busy(what string)
	Idle(why string)
}

// view is one camera as the inference sees it.
type view struct {
	*unit
	busy  string // what the inference does while it looks at a frame of this camera
	judge judge
	gate  gate

	request   *request  // a command that waits for a frame; nil: none
	newest    Report    // of the last frame
	state     Report    // what the state shows: the newest frame that agrees with it
	published time.Time // when the state last was; zero: never
}

// inference is the goroutine that looks at frames, one after another, and the
// only user of the model while it runs.
type inference struct {
	model   *model
	tuner   *tuner
	queue   *queue
	views   []*view // by the queue's index
	out     publisher
	encoder *Encoder
	tally   *tally
	synced  func() bool
	now     func() time.Time
	show    func(*Report, bool)
	pulse   pulse
	log     *slog.Logger

	orders      chan order  // from commands
	calibrator  *calibrator // nil: calibration is off
	uncertain   bool        // calibrate first
	calibrating bool        //
	snapshots   snapshots   //
	thumbs      preprocess.Thumbnailer
	result      engine.Result //
	events      uint64
}

// order is something to do between two frames, on the goroutine that owns the
// model.
type order struct {
	do   func(context.Context) error
	done chan error // holds one
}

// run looks at frames until ctx ends, or the queue has ended and is empty. A
// frame in hand is finished and published either way.
func (w *inference) run(ctx context.Context) {
	heartbeat := time.NewTimer(0)
	defer heartbeat.Stop()
	for {
		w.beat(w.now())
		heartbeat.Reset(w.untilBeat(w.now()))
		if ctx.Err() != nil {
			return
		}
		if w.uncertain {
			w.uncertain = false
			w.recalibrate(ctx) // logged
			continue
		}
		if w.next(ctx) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-w.queue.ready:
		case o := <-w.orders:
			o.done <- o.do(ctx)
		case <-heartbeat.C:
		case <-w.queue.ended:
			if w.queue.over() {
				return
			}
		}
	}
}

// next carries out an order or looks at a frame, and reports whether there was
// one.
func (w *inference) next(ctx context.Context) bool {
	select {
	case o := <-w.orders:
		o.done <- o.do(ctx)
		return true
	default:
	}
	i, f := w.queue.take()
	if f == nil {
		return false
	}
	v := w.views[i]
	w.serveRequest(v, f)
	switch {
	case w.isStill(v, f):
		v.counts.still.Add(1)
	case w.tuner.admit():
		w.look(v, f)
	default:
		v.counts.slowed.Add(1)
	}
	w.queue.giveBack(i, f)
	return true
}

// look classifies a frame and publishes what follows from it.
func (w *inference) look(v *view, f *camera.Frame) {
	w.pulse.Busy(v.busy)
	defer w.pulse.Idle("no frame came")
	if err := w.model.Classify(&w.result, f, v.config.Region, w.tuner.plan); err != nil {
		v.counts.failed.Add(1)
		v.log.Warn("frame not classified", "picture", f.Name, "err", err)
		return
	}
	v.counts.looked.Add(1)
	v.gate.looked(w.now())
	r := &v.newest
	r.Fill(f, &w.result, w.model.Label)
	r.KeepRatio, r.Synced = w.tuner.shown().ratio, w.synced()
	r.name(v.judge.class(r.best(), r.Score), w.model.Label)
	w.decide(v, r, f)
	w.tally.add(r, w.now().Sub(r.Captured))
	w.tune(r.Frame)
}

// tune lets the frame's time decide on the next one's plan. While it calibrates,
// the processor is not what it will be.
func (w *inference) tune(frame time.Duration) {
	if w.calibrating {
		return
	}
	if reason := w.tuner.step(frame); reason != calibrate.Steady {
		now := w.tuner.shown()
		level := slog.LevelDebug
		if reason == calibrate.Overloaded {
			level = slog.LevelWarn
		}
		w.log.Log(context.Background(), level, "keep changed", "why", reason.String(), "keep", now.ratio, "frame_ms", milliseconds(frame),
			"budget", now.budget, "rate", now.rate)
	}
}

// decide publishes the state on a change and at least every heartbeat, the
// change itself, and the frame where that is wanted.
func (w *inference) decide(v *view, r *Report, f *camera.Frame) {
	change, changed := v.judge.see(r.Class, r.Captured)
	if changed || v.judge.holds == r.Class || v.judge.holds == noClass {
		v.state.copyFrom(r)
		v.state.name(v.judge.holds, w.model.Label)
	}
	now := w.now()
	if changed || v.due(now) {
		w.publishState(v, now)
	}
	if changed {
		w.publishEvent(v, change, now)
	}
	if changed && v.config.Publish.Snapshot {
		if err := w.publishSnapshot(v, f); err != nil {
			v.log.Warn("no snapshot published", "err", err)
		}
	}
	if v.config.Publish.Frame {
		w.publish(mqtt.Message{Topic: v.topics.frame, Payload: w.encoder.Report(r, now)})
	}
	if w.show != nil {
		w.show(r, changed)
	}
}

func (w *inference) publishState(v *view, now time.Time) {
	v.published = now
	w.publish(mqtt.Message{Topic: v.topics.state, Payload: w.encoder.Report(&v.state, now), QoS: 1, Retain: true})
}

func (w *inference) publishEvent(v *view, c Change, now time.Time) {
	w.events++
	c.ID = w.events
	if c.Previous != noClass {
		c.Label = w.model.Label(c.Previous)
	}
	w.publish(mqtt.Message{Topic: v.topics.event, Payload: w.encoder.event(&v.state, c, now), QoS: 1})
}

// publish hands over to the outbox, which counts what it drops; being offline is
// reported by the client.
func (w *inference) publish(m mqtt.Message) {
	if err := w.out.Publish(m); err != nil {
		w.log.Debug("not published", "topic", m.Topic, "err", err)
	}
}

// due reports whether the state was not published for a heartbeat, or never.
func (v *view) due(now time.Time) bool {
	return now.Sub(v.published) >= v.config.Heartbeat
}

// beat publishes the states that are due. A camera that does not deliver has no
// present classification to repeat; its status says so.
func (w *inference) beat(now time.Time) {
	for _, v := range w.views {
		if v.beats() && v.due(now) {
			w.publishState(v, now)
		}
	}
}

func (v *view) beats() bool {
	return !v.published.IsZero() && v.status.get().Word == cameraOnline
}

// untilBeat is how long until a state may be due. A camera that comes back
// online does so with a frame, which wakes the inference.
func (w *inference) untilBeat(now time.Time) time.Duration {
	wait := time.Hour
	for _, v := range w.views {
		if v.beats() {
			wait = min(wait, max(0, v.published.Add(v.config.Heartbeat).Sub(now)))
		}
	}
	return wait
}
