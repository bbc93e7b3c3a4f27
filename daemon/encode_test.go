package daemon

import (
	"encoding/json"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"dynvit/backends/all"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/mqtt"
	"dynvit/systemd"
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
func countFrames(t *testing.T, c Classifier, picture camera.Frame) lastMessage {
	t.Helper()
	plan, err := c.Plan(vit.Keep{Ratio: 0.7})
	if err != nil {
		t.Fatal(err)
	}
	m, out := &model{Classifier: c, info: c.Info(), plan: plan, ratio: 0.7}, &lastMessage{}
	loops := new(systemd.Health)
	config := DefaultCamera()
	config.Stable, config.Publish.Frame, config.Motion = 1, true, 0.02
	u := &unit{name: "door", config: config, topics: newTopics("dynvit", "box").camera("door"), log: slog.New(slog.DiscardHandler)}
	u.status = &status{timeout: time.Hour, log: u.log, publish: func(string) {}}
	u.status.opened()
	defer u.status.closed("")
	v := &view{unit: u, busy: "a frame", judge: newJudge(config, nil), gate: newGate(config)}
	w := &inference{
		model: m, tuner: newTuner(Default("box").Latency, m.plan, m.ratio), queue: newQueue(1), views: []*view{v}, out: out, encoder: NewEncoder(m.info, "b00t"),
		tally: new(tally), synced: clockSynced, now: time.Now, pulse: loops.Loop("inference", time.Hour), log: u.log,
		show: func(*Report, bool) {},
	}
	r := &reader{unit: u, queue: w.queue, frame: &camera.Frame{}, pace: newPace(0)}
	one := func() {
		picture.Data[0]++ // for the fake another label each time: state, event and frame
		f := r.frame
		data, seq := append(f.Data[:0], picture.Data...), f.Seq
		*f = picture
		f.Data, f.Seq = data, seq+1
		f.Captured = time.Now()
		u.status.frame()
		r.pass()
		i, taken := w.queue.take()
		w.isStill(w.views[i], taken) // looked at all the same
		w.look(w.views[i], taken)
		w.queue.giveBack(i, taken)
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

func TestAppendNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{string(appendScore(nil, 0.98766)), "0.9877"},
		{string(appendScore(nil, 1)), "1"},
		{string(appendScore(nil, 1e-9)), "0"},
		{string(appendScore(nil, float32(math.NaN()))), "0"},
		{string(appendNumber(nil, math.Inf(1))), "0"},
		{string(appendMilliseconds(nil, 12345678*time.Nanosecond)), "12.346"},
		{string(appendMilliseconds(nil, 1e9*time.Second)), "1000000000000"},
		{string(appendMilliseconds(nil, -time.Millisecond)), "-1"},
		{string(appendInts(nil, nil)), "[]"},
		{string(appendTop(nil, nil)), "[]"},
		{string(appendTime(nil, time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.FixedZone("", 3600)))), `"2026-01-02T02:04:05.678Z"`},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

// FuzzAppendString: what is written reads back, bytes that are no UTF-8 as
// U+FFFD.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "golf ball", `"\`, "a\x00\n\x1f", "é 漢 🚪", "\xff\xc0", "\u2028<&>\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil || !utf8.Valid(b) {
			t.Fatalf("%q: %v", b, err)
		}
		want := ""
		for _, r := range s { // ranging replaces each bad byte by U+FFFD
			want += string(r)
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
