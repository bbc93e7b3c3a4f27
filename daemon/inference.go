package daemon

import (
	"log/slog"
	"time"

	"dynvit/camera"
	"dynvit/engine"
	"dynvit/mqtt"
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

	newest    Report    // of the last frame
	state     Report    // what the state shows: the newest frame that agrees with it
	published time.Time // when the state last was; zero: never
}

// inference is the goroutine that looks at frames, one after another, and the
// only user of the model while it runs.
type inference struct {
	model   *model
	queue   *queue
	views   []*view // by the queue's index
	out     publisher
	encoder *Encoder
	tally   *tally
	synced  func() bool
	show    func(*Report, bool)
	pulse   pulse
	log     *slog.Logger

	result engine.Result
	events uint64
}

// run looks at frames until stop is closed or the queue has ended and is empty.
// A frame in hand is finished and published either way.
func (w *inference) run(stop <-chan struct{}) {
	heartbeat := time.NewTimer(0)
	defer heartbeat.Stop()
	for {
		w.beat(time.Now())
		heartbeat.Reset(w.untilBeat(time.Now()))
		select {
		case <-stop:
			return
		default:
		}
		if i, f := w.queue.take(); f != nil {
			w.look(w.views[i], f)
			w.queue.giveBack(i, f)
			continue
		}
		select {
		case <-stop:
		case <-w.queue.ready:
		case <-heartbeat.C:
		case <-w.queue.ended:
			if w.queue.empty() {
				return
			}
		}
	}
}

// look classifies a frame and publishes what follows from it.
func (w *inference) look(v *view, f *camera.Frame) {
	w.pulse.Busy(v.busy)
	defer w.pulse.Idle("no frame came")
	if err := w.model.Classify(&w.result, f, v.config.Region, w.model.plan); err != nil {
		v.counts.failed.Add(1)
		v.log.Warn("frame not classified", "picture", f.Name, "err", err)
		return
	}
	v.counts.looked.Add(1)
	r := &v.newest
	r.Fill(f, &w.result, w.model.Label)
	r.KeepRatio, r.Synced = w.model.ratio, w.synced()
	r.name(v.judge.class(r.best(), r.Score), w.model.Label)
	w.decide(v, r)
	w.tally.add(r, time.Since(r.Captured))
}

// decide publishes the state on a change and at least every heartbeat, the
// change itself, and the frame where that is wanted.
func (w *inference) decide(v *view, r *Report) {
	change, changed := v.judge.see(r.Class, r.Captured)
	if changed || v.judge.holds == r.Class || v.judge.holds == noClass {
		v.state.copyFrom(r)
		v.state.name(v.judge.holds, w.model.Label)
	}
	now := time.Now()
	if changed || v.due(now) {
		w.publishState(v, now)
	}
	if changed {
		w.publishEvent(v, change, now)
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
