package daemon

import (
	"math"
	"testing"
	"time"
)

// TestReadersDoNotStealFromEachOther: two statistics of the same feeds each see
// all frames of their own periods.
func TestReadersDoNotStealFromEachOther(t *testing.T) {
	f := &feed{name: "door", counts: new(counts)}
	look := func(n int) {
		for range n {
			f.counts.looked.Add(1)
			f.counts.latency.Add(time.Millisecond)
		}
	}
	first, second := feeds{f}.read(), feeds{f}.read()
	look(3)
	again := feeds{f}.read()
	look(4)
	end := feeds{f}.read()
	if a, b := end.looked[0]-again.looked[0], end.looked[0]-second.looked[0]; a != 4 || b != 7 || first.looked[0] != 0 {
		t.Errorf("periods of %d and %d frames", a, b)
	}
	if s := spread(end.latency.Since(&second.latency)); s.P50 == nil || math.Abs(*s.P50-1) > 1.0/128 {
		t.Errorf("%+v", s)
	}
	if s := spread(end.latency.Since(&end.latency)); s.P50 != nil || s.P95 != nil {
		t.Errorf("an empty period has %+v", s)
	}
}
