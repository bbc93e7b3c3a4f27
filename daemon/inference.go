package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/capture"
	"dynvit/engine"
	"dynvit/lineup"
	"dynvit/messages"
	"dynvit/mqtt"
	"dynvit/queue"
	"dynvit/timing"
)

// pulse is told whether a loop works or waits; *systemd.Loop is one.
type pulse interface {
	Busy(what string)
	Idle(why string)
}

// inference is the goroutine that looks at frames, one after another, and the
// only user of the model while it runs.
type inference struct {
	tuners    *tuners
	queue     *queue.Queue
	roster    *roster
	orders    *orders
	out       *announcer
	bootID    string
	encoders  map[messages.Engine]*messages.Encoder // one for all that looks at frames
	changed   func()                                // publishes what looks at the frames
	listeners []*Listener
	captures  *capture.Writer // nil: nothing is kept
	synced    func() bool
	now       func() time.Time
	pulse     pulse
	log       *slog.Logger

	watched   bool // a listener wants pictures
	turns     int  // frames taken since the last order in turn
	snapshots snapshots
	events    uint64
}

// run looks at frames until ctx ends, or the queue has ended and is empty. A
// frame in hand is finished and published either way.
func (w *inference) run(ctx context.Context) {
	defer close(w.orders.ended)
	heartbeat := time.NewTimer(0)
	defer heartbeat.Stop()
	for {
		w.beat(w.now())
		heartbeat.Reset(w.untilBeat(w.now()))
		if ctx.Err() != nil {
			return
		}
		if w.next() {
			continue
		}
		select {
		case <-ctx.Done():
		case <-w.queue.Ready():
		case o := <-w.orders.soon:
			w.carryOut(o)
		case o := <-w.orders.inTurn:
			w.carryOut(o)
		case <-heartbeat.C:
		case <-w.queue.Ended():
			if w.queue.Over() {
				return
			}
		}
	}
}

// next carries out an order or looks at a frame, and reports whether there was
// one. Orders in turn wait until each camera had its own.
func (w *inference) next() bool {
	if w.obey(w.orders.soon) {
		return true
	}
	if w.turns < len(w.roster.all()) && w.frame() {
		w.turns++
		return true
	}
	w.turns = 0
	return w.obey(w.orders.inTurn) || w.frame()
}

// obey carries out the order that waits, if one does.
func (w *inference) obey(waiting <-chan order) bool {
	select {
	case o := <-waiting:
		w.carryOut(o)
		return true
	default:
		return false
	}
}

func (w *inference) carryOut(o order) {
	w.pulse.Busy(o.what)
	defer w.pulse.Idle("no frame came")
	o.done <- o.do()
}

// frame takes the next frame that waits, and reports whether there was one.
func (w *inference) frame() bool {
	lane, f := w.queue.Take()
	if f == nil {
		return false
	}
	defer lane.GiveBack(f)
	w.heed()
	feed := w.roster.all().of(lane)
	w.serveRequest(feed, f)
	w.capture(feed, f)
	switch {
	case feed.isStill(f, feed.tuner.rate() == 1, w.now()):
		feed.wasStill()
	case feed.tuner.admit():
		w.look(feed, f)
	default:
		feed.counts.slowed.Add(1)
	}
	return true
}

// heed finds out whether anybody watches. Who has just begun to is shown a camera that
// stands still, too.
func (w *inference) heed() {
	before := w.watched
	w.watched = slices.ContainsFunc(w.listeners, func(l *Listener) bool { return l.watching.Load() })
	if !w.watched || before {
		return
	}
	for _, f := range w.roster.all() {
		f.motion.Limit(*f.config.Load())
	}
}

// look has a camera's models look at a frame and publishes what follows from it.
func (w *inference) look(feed *feed, f *camera.Frame) {
	w.pulse.Busy(feed.busy)
	defer w.pulse.Idle("no frame came")
	t := feed.tuner
	for _, p := range t.passes {
		p.Result.WantKept, p.Result.WantPicture = w.watched, w.watched
	}
	frame, latency, err := lineup.Look(t.passes, f, feed.config.Load().Region, t.plans, feed.watcher())
	for _, p := range t.passes {
		w.notice(p)
	}
	if errors.Is(err, engine.ErrStill) {
		feed.wasStill()
		return
	}
	if err != nil {
		feed.counts.failed.Add(1)
		feed.status.unread(err)
		feed.log.Warn("frame not classified", "picture", f.Name, "err", err)
		return
	}
	feed.counts.looked.Add(1)
	if lineup.Damaged(t.passes) {
		feed.counts.damaged.Add(1)
	}
	feed.status.read()
	feed.motion.Looked(w.now())
	for _, v := range feed.verdicts {
		w.judge(feed, v, f, frame)
	}
	if frame > t.shown().budget {
		feed.counts.late.Add(1)
	}
	feed.counts.latency.Add(latency)
	feed.counts.frame.Add(frame)
	feed.counts.age.Add(w.now().Sub(f.Captured))
	w.tune(t, frame)
}

// judge publishes what follows from a frame for one of the camera's models.
func (w *inference) judge(feed *feed, v *verdict, f *camera.Frame, frame time.Duration) {
	said, err := v.model.Answer()
	if err != nil {
		v.model.Counts.Failed.Add(1)
		feed.log.Warn("frame not classified", "model", v.model.Name, "picture", f.Name, "err", err)
		return
	}
	r := &v.newest
	r.Rank(said.Top, said.Scores, v.model.Label)
	w.report(r, &v.model.Pass.Result, f)
	r.Frame, r.KeepRatio = frame, feed.tuner.shown().ratio
	best := r.Best()
	if said.Unknown {
		best = messages.NoClass
	}
	r.SetLabel(v.debounce.Class(best, r.Score), v.model.Label)
	v.model.Counts.Looked.Add(1)
	v.model.Counts.Latency.Add(r.Latency)
	w.decide(feed, v, f)
}

// notice tells of a classifier that looks by another backend than before.
func (w *inference) notice(p *lineup.Pass) {
	now := p.Info()
	looks := lineup.LooksOf(now)
	if looks == p.Looks {
		return
	}
	p.Looks = looks
	w.log.Warn("backend changed", "backend", now.Backend, "precision", looks.Precision, "why", now.Why)
	w.changed()
}

// encoder writes the reports of a model.
func (w *inference) encoder(m *lineup.Model) *messages.Encoder {
	looks := m.Looks()
	e := w.encoders[looks]
	if e == nil {
		e = messages.NewEncoder(looks, w.bootID)
		w.encoders[looks] = e
	}
	return e
}

// report fills r with what of a frame is the same for all models of a pass.
func (w *inference) report(r *messages.Report, res *engine.Result, f *camera.Frame) {
	r.Seq, r.Captured, r.Synced = f.Seq, f.Captured, w.synced()
	r.Latency, r.Tokens = res.Latency, append(r.Tokens[:0], res.Tokens...)
}

// tune lets the frame's time decide on the next one's plans.
func (w *inference) tune(t *tuner, frame time.Duration) {
	reason := t.step(frame)
	if reason == calibrate.Steady {
		return
	}
	level, now := slog.LevelDebug, t.shown()
	if reason == calibrate.Overloaded {
		level = slog.LevelWarn
	}
	w.log.Log(context.Background(), level, "keep changed", "why", reason.String(), "keep", now.ratio,
		"frame_ms", timing.Rounded(frame), "budget", now.budget, "rate", now.rate)
}

// decide publishes the state on a change and at least every heartbeat, the
// change itself, and the frame where that is wanted.
func (w *inference) decide(feed *feed, v *verdict, f *camera.Frame) {
	r := &v.newest
	change, changed := v.debounce.See(r.Class, r.Captured)
	if holds := v.debounce.Holds(); changed || holds == r.Class || holds == messages.NoClass {
		v.state.CopyFrom(r)
		v.state.SetLabel(holds, v.model.Label)
	}
	now := w.now()
	if changed || feed.due(v, now) {
		w.publishState(v, now)
	}
	if changed {
		w.publishChange(feed, v, change, f, now)
	}
	if feed.config.Load().Publish.Frame {
		w.out.send(mqtt.Message{Topic: v.topics.Frame, Payload: w.encoder(v.model).Report(r, now)})
	}
	for _, l := range w.listeners {
		l.put(r, changed, &v.model.Pass.Result, looker{v.model.Looks(), v.model.Pass.Opened.Patches, v == feed.verdicts[0]})
	}
}

func (w *inference) publishState(v *verdict, now time.Time) {
	v.published = now
	w.out.send(mqtt.Message{Topic: v.topics.State, Payload: w.encoder(v.model).Report(&v.state, now), QoS: 1, Retain: true})
}

// publishChange publishes the event, and the frame where that is wanted.
func (w *inference) publishChange(feed *feed, v *verdict, c messages.Change, f *camera.Frame, now time.Time) {
	w.events++
	c.ID = w.events
	if c.Previous != messages.NoClass {
		c.Label = v.model.Label(c.Previous)
	}
	w.out.send(mqtt.Message{Topic: v.topics.Event, Payload: w.encoder(v.model).Event(&v.state, c, now), QoS: 1})
	if !feed.config.Load().Publish.Snapshot || feed.shot == f.Seq {
		return // or another model's change has shown it
	}
	feed.shot = f.Seq
	if err := w.publishSnapshot(feed, f); err != nil {
		feed.log.Warn("no snapshot published", "err", err)
	}
}

// beat publishes the states that are due.
func (w *inference) beat(now time.Time) {
	for _, f := range w.roster.all() {
		for _, v := range f.verdicts {
			if f.beats(v) && f.due(v, now) {
				w.publishState(v, now)
			}
		}
	}
}

// untilBeat is how long until a state may be due. A camera that comes back
// online does so with a frame, which wakes the inference.
func (w *inference) untilBeat(now time.Time) time.Duration {
	wait := time.Hour
	for _, f := range w.roster.all() {
		for _, v := range f.verdicts {
			if f.beats(v) {
				wait = min(wait, max(0, v.published.Add(f.config.Load().Heartbeat).Sub(now)))
			}
		}
	}
	return wait
}
