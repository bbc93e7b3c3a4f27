package daemon

import (
	"encoding/json"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"dynvit/camera"
	"dynvit/mqtt"
	"dynvit/systemd"
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
// nothing is allocated after the first frames. The model's own part is tested in
// package engine.
func TestNoAllocations(t *testing.T) {
	m, out := &model{Classifier: &fake{}, info: (&fake{}).Info(), ratio: 0.7}, &lastMessage{}
	loops := new(systemd.Health)
	config := DefaultCamera()
	config.Stable, config.Publish.Frame = 1, true
	u := &unit{name: "door", config: config, topics: newTopics("dynvit", "box").camera("door"), log: slog.New(slog.DiscardHandler)}
	u.status = &status{timeout: time.Hour, log: u.log, publish: func(string) {}}
	u.status.opened()
	defer u.status.closed("")
	v := &view{unit: u, busy: "a frame", judge: newJudge(config, nil)}
	w := &inference{
		model: m, queue: newQueue(1), views: []*view{v}, out: out, encoder: NewEncoder(m.info, "b00t"),
		tally: new(tally), synced: clockSynced, pulse: loops.Loop("inference", time.Hour), log: u.log,
		show: func(*Report, bool) {},
	}
	r := &reader{unit: u, queue: w.queue, frame: &camera.Frame{}, pace: newPace(0)}
	pixels := []byte{0, 90, 0}
	one := func() {
		pixels[0]++ // another label each time: state, event and frame
		f := r.frame
		f.Format, f.Width, f.Height, f.Data = camera.RGB24, 1, 1, append(f.Data[:0], pixels...)
		f.Seq++
		f.Captured = time.Now()
		u.status.frame()
		r.pass()
		i, taken := w.queue.take()
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
	if want := (lastMessage{111, 111, 111, out.bytes}); *out != want || out.bytes/333 < 300 {
		t.Errorf("published %+v, want %+v", *out, want)
	}
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
