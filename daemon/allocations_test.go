package daemon

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"dynvit/backends/all"
	"dynvit/camera"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/gate"
	"dynvit/lineup"
	"dynvit/machine"
	"dynvit/messages"
	"dynvit/mqtt"
	"dynvit/preprocess"
	"dynvit/queue"
	"dynvit/systemd"
	"dynvit/tuning"
	"dynvit/vit"
)

// lastMessage is a publisher that keeps sizes alone, so that it allocates
// nothing.
type lastMessage struct{ states, events, frames, bytes int }

func (p *lastMessage) Publish(m mqtt.Message) error {
	switch p.bytes += len(m.Payload); {
	case strings.HasSuffix(m.Topic, "/state"):
		p.states++
	case strings.HasSuffix(m.Topic, "/event"):
		p.events++
	case strings.HasSuffix(m.Topic, "/frame"):
		p.frames++
	}
	return nil
}

// TestNoAllocations: from pixels in hand to the encoded frame, state and event
// nothing is allocated after the first frames, with the default model and with a
// classifier whose answer changes each time.
func TestNoAllocations(t *testing.T) {
	t.Run("changing", func(t *testing.T) {
		out := countFrames(t, &fake{}, camera.Frame{Format: camera.RGB24, Width: 1, Height: 1, Data: []byte{0, 90, 0}})
		if want := (lastMessage{111, 111, 111, out.bytes}); out != want || out.bytes/333 < 300 {
			t.Errorf("published %+v, want %+v", out, want)
		}
	})
	t.Run("default model", func(t *testing.T) {
		if testing.Short() {
			t.Skip("needs more than a short run: it runs the default model")
		}
		e, err := engine.Open(engine.Options{Threads: 2}, all.List())
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		out := countFrames(t, e, camera.Frame{Format: camera.RGB24, Width: 320, Height: 240, Data: make([]byte, 320*240*3)})
		if out.frames != 111 {
			t.Errorf("published %+v", out)
		}
	})
}

// countFrames looks at a frame 111 times and fails where that allocates.
func countFrames(t *testing.T, c tuning.Classifier, picture camera.Frame) lastMessage {
	t.Helper()
	plan, err := c.Plan(vit.Keep{Ratio: 0.7})
	if err != nil {
		t.Fatal(err)
	}
	p, out := &lineup.Pass{Classifier: c, Opened: c.Info(), Looks: lineup.LooksOf(c.Info())}, &lastMessage{}
	passes := []*lineup.Pass{p}
	conf := config.DefaultCamera()
	conf.Stable, conf.Publish.Frame, conf.Motion = 1, true, 0.02
	log := slog.New(slog.DiscardHandler)
	feed := &feed{
		name: "door", topics: messages.NewTopics("dynvit", "box").Camera("door"), counts: new(counts), log: log,
		busy: "a frame", motion: gate.NewMotion(conf, new(preprocess.Thumbnailer)),
	}
	feed.adopt(conf, []lineup.View{{Model: &lineup.Model{Name: "fake", Pass: p}, Camera: conf}},
		newTuner(passes, []vit.Plan{plan}, inForce{auto: true, ratio: 0.7, budget: 50 * time.Millisecond, percentile: 95, rate: 1}), messages.NewTopics("dynvit", "box"))
	q := queue.New()
	feed.lane = q.Add()
	feed.status = &status{log: log, publish: func(string) {}}
	feed.status.opened(time.Hour)
	defer feed.status.closed("")
	w := &inference{
		queue: q, roster: new(roster), bootID: "b00t",
		out: &announcer{out: out, log: log}, encoders: map[messages.Engine]*messages.Encoder{}, listeners: []*Listener{NewListener(4)},
		synced: machine.ClockSynced, now: time.Now, pulse: new(systemd.Health).Loop("inference", time.Hour), log: log,
	}
	w.roster.set(feeds{feed})
	r := &reader{feed: feed, frame: &camera.Frame{}}
	one := func() {
		picture.Data[0]++ // for the fake another label each time: state, event and frame
		f := r.frame
		data, seq := append(f.Data[:0], picture.Data...), f.Seq
		*f = picture
		f.Data, f.Seq = data, seq+1
		f.Captured = time.Now()
		feed.status.frame()
		r.pass()
		lane, taken := w.queue.Take()
		feed.isStill(taken, true, w.now()) // looked at all the same
		w.look(feed, taken)
		lane.GiveBack(taken)
		w.beat(f.Captured)
		w.untilBeat(f.Captured)
	}
	for range 10 {
		one()
	}
	if n := testing.AllocsPerRun(100, one); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
	return *out
}
