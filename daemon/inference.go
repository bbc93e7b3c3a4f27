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
	model     *model
	tuner     *tuner
	queue     *queue.Queue
	roster    *roster
	orders    *orders
	out       *announcer
	looks     messages.Engine // at the frames
	bootID    string
	encoder   *messages.Encoder
	changed   func(engine.Info) // publishes what looks at the frames
	listeners []*Listener
	captures  *capture.Writer // nil: nothing is kept
	synced    func() bool
	now       func() time.Time
	pulse     pulse
	log       *slog.Logger

	watched   bool // a listener wants pictures
	turns     int  // frames taken since the last order in turn
	snapshots snapshots
	result    engine.Result
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
	case feed.isStill(f, w.tuner.rate() == 1, w.now()):
		feed.wasStill()
	case w.tuner.admit():
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

// look classifies a frame and publishes what follows from it.
func (w *inference) look(feed *feed, f *camera.Frame) {
	w.pulse.Busy(feed.busy)
	defer w.pulse.Idle("no frame came")
	w.result.Watcher = feed.watcher()
	w.result.WantKept, w.result.WantPicture = w.watched, w.watched
	err := w.model.Classify(&w.result, f, feed.config.Load().Region, w.tuner.plan)
	w.notice(w.model.Info())
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
	if w.result.Damaged {
		feed.counts.damaged.Add(1)
	}
	feed.status.read()
	feed.motion.Looked(w.now())
	r := &feed.newest
	w.report(r, f)
	best := r.Best()
	if w.result.Unknown {
		best = messages.NoClass
	}
	r.SetLabel(feed.debounce.Class(best, r.Score), w.model.Label)
	w.decide(feed, r, f)
	if r.Frame > w.tuner.shown().budget {
		feed.counts.late.Add(1)
	}
	feed.counts.latency.Add(r.Latency)
	feed.counts.frame.Add(r.Frame)
	feed.counts.age.Add(w.now().Sub(r.Captured))
	w.tune(r.Frame)
}

// notice tells of a classifier that looks by another backend than before.
func (w *inference) notice(now engine.Info) {
	looks := looksOf(now)
	if looks == w.looks {
		return
	}
	w.looks, w.encoder = looks, messages.NewEncoder(looks, w.bootID)
	for _, l := range w.listeners {
		l.begin(looks)
	}
	w.log.Warn("backend changed", "backend", now.Backend, "precision", looks.Precision, "why", now.Why)
	w.changed(now)
}

// report fills r with the result of a frame, but for the label that holds.
func (w *inference) report(r *messages.Report, f *camera.Frame) {
	res := &w.result
	r.Rank(res.Top, res.Scores, w.model.Label)
	r.Seq, r.Captured, r.Synced = f.Seq, f.Captured, w.synced()
	r.Latency, r.Frame, r.Tokens = res.Latency, res.Frame, append(r.Tokens[:0], res.Tokens...)
	r.KeepRatio = w.tuner.shown().ratio
}

// tune lets the frame's time decide on the next one's plan.
func (w *inference) tune(frame time.Duration) {
	reason := w.tuner.step(frame)
	if reason == calibrate.Steady {
		return
	}
	level, now := slog.LevelDebug, w.tuner.shown()
	if reason == calibrate.Overloaded {
		level = slog.LevelWarn
	}
	w.log.Log(context.Background(), level, "keep changed", "why", reason.String(), "keep", now.ratio,
		"frame_ms", timing.Rounded(frame), "budget", now.budget, "rate", now.rate)
}

// decide publishes the state on a change and at least every heartbeat, the
// change itself, and the frame where that is wanted.
func (w *inference) decide(feed *feed, r *messages.Report, f *camera.Frame) {
	change, changed := feed.debounce.See(r.Class, r.Captured)
	if holds := feed.debounce.Holds(); changed || holds == r.Class || holds == messages.NoClass {
		feed.state.CopyFrom(r)
		feed.state.SetLabel(holds, w.model.Label)
	}
	now := w.now()
	if changed || feed.due(now) {
		w.publishState(feed, now)
	}
	if changed {
		w.publishChange(feed, change, f, now)
	}
	if feed.config.Load().Publish.Frame {
		w.out.send(mqtt.Message{Topic: feed.topics.Frame, Payload: w.encoder.Report(r, now)})
	}
	for _, l := range w.listeners {
		l.put(r, changed, &w.result)
	}
}

func (w *inference) publishState(feed *feed, now time.Time) {
	feed.published = now
	w.out.send(mqtt.Message{Topic: feed.topics.State, Payload: w.encoder.Report(&feed.state, now), QoS: 1, Retain: true})
}

// publishChange publishes the event, and the frame where that is wanted.
func (w *inference) publishChange(feed *feed, c messages.Change, f *camera.Frame, now time.Time) {
	w.events++
	c.ID = w.events
	if c.Previous != messages.NoClass {
		c.Label = w.model.Label(c.Previous)
	}
	w.out.send(mqtt.Message{Topic: feed.topics.Event, Payload: w.encoder.Event(&feed.state, c, now), QoS: 1})
	if !feed.config.Load().Publish.Snapshot {
		return
	}
	if err := w.publishSnapshot(feed, f); err != nil {
		feed.log.Warn("no snapshot published", "err", err)
	}
}

// beat publishes the states that are due.
func (w *inference) beat(now time.Time) {
	for _, f := range w.roster.all() {
		if f.beats() && f.due(now) {
			w.publishState(f, now)
		}
	}
}

// untilBeat is how long until a state may be due. A camera that comes back
// online does so with a frame, which wakes the inference.
func (w *inference) untilBeat(now time.Time) time.Duration {
	wait := time.Hour
	for _, f := range w.roster.all() {
		if f.beats() {
			wait = min(wait, max(0, f.published.Add(f.config.Load().Heartbeat).Sub(now)))
		}
	}
	return wait
}
