package page

import (
	"encoding/json"
	"testing"
	"time"

	"dynvit/messages"
)

// report is of one frame, for a history.
func report(label string, score float32, took time.Duration) *messages.Report {
	return &messages.Report{Label: label, Score: score, Frame: took}
}

// TestHistory: a bucket has the label of most of its frames with their mean score, and
// the times of all; buckets without frames are left out.
func TestHistory(t *testing.T) {
	var h history
	for range 3 {
		h.add(5, report("cat", 0.9, 10*time.Millisecond))
	}
	h.add(5, report("dog", 0.4, 40*time.Millisecond))
	h.add(7, report("", 0.1, 20*time.Millisecond))
	h.add(7, report("", 0.2, 20*time.Millisecond))
	h.add(8, report("cat", 1, 30*time.Millisecond))
	got, _ := json.Marshal(h.since(hours{camera: "door"}, 0, 9))
	const want = `{"camera":"door","every_s":10,"now":9,"labels":["cat"],"at":[5,7,8],"label":[0,-1,0],"score":[0.9,0.15,1],` +
		`"p50_ms":[10.048,20.096,30.08],"p95_ms":[40.192,20.096,30.08],"frames":[4,2,1]}`
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	h.add(8, report("cat", 0.5, 30*time.Millisecond)) // the open one goes on
	if l := h.since(hours{camera: "door"}, 8, 8); len(l.At) != 1 || l.Frames[0] != 2 || l.Score[0] != 0.75 {
		t.Errorf("the open bucket: %+v", l)
	}
}

// TestHistoryForgets: after an hour the oldest is gone, and after a night all is.
func TestHistoryForgets(t *testing.T) {
	var h history
	for n := range int64(1000) {
		h.add(n, report("cat", 0.5, time.Millisecond))
	}
	if l := h.since(hours{camera: "door"}, 0, 999); len(l.At) != buckets || l.At[0] != 1000-buckets || l.At[buckets-1] != 999 {
		t.Errorf("%d buckets from %d to %d", len(l.At), l.At[0], l.At[len(l.At)-1])
	}
	if l := h.since(hours{camera: "door"}, 995, 999); len(l.At) != 5 {
		t.Errorf("since 995: %v", l.At)
	}
	if l := h.since(hours{camera: "door"}, 0, 9000); len(l.At) != 0 {
		t.Errorf("after a night: %v", l.At)
	}
	h.add(9001, report("dog", 0.5, time.Millisecond))
	if l := h.since(hours{camera: "door"}, 0, 9001); len(l.At) != 1 || l.Labels[0] != "dog" {
		t.Errorf("after a night, anew: %+v", l)
	}
}

// TestHistoryAllocations: what every frame costs, watched or not, allocates nothing.
func TestHistoryAllocations(t *testing.T) {
	p, _, _ := newPage("")
	f := unwatched("door", 1)
	p.Hear(f)
	if n := testing.AllocsPerRun(100, func() { p.Hear(f) }); n != 0 {
		t.Errorf("%v allocations a frame that nobody watches", n)
	}
	defer p.watch()()
	seen := frame("door", 2)
	p.Hear(seen)
	if n := testing.AllocsPerRun(100, func() { p.Hear(seen) }); n > 2 { // what wakes the viewers
		t.Errorf("%v allocations a frame", n)
	}
	further := unwatched("door", 2)
	further.Further, further.Report.Model = true, "weather"
	p.Hear(further)
	if n := testing.AllocsPerRun(100, func() { p.Hear(further) }); n > 2 {
		t.Errorf("%v allocations a frame of a further model", n)
	}
}
