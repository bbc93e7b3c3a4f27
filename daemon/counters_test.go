package daemon

import (
	"math"
	"testing"
	"time"
)

// TestReadersDoNotStealFromEachOther: two statistics of the same feeds each see
// all frames of their own periods.
func TestReadersDoNotStealFromEachOther(t *testing.T) {
	c := new(counts)
	look := func(n int) {
		for range n {
			c.looked.Add(1)
			c.latency.Add(time.Millisecond)
		}
	}
	second := c.read()
	look(3)
	again := c.read()
	look(4)
	end := c.read()
	if a, b, all := end.since(again).looked, end.since(second).looked, end.since(nil).looked; a != 4 || b != 7 || all != 7 {
		t.Errorf("periods of %d, %d and %d frames", a, b, all)
	}
	if s := spread(&end.since(second).latency); s.P50 == nil || math.Abs(*s.P50-1) > 1.0/128 {
		t.Errorf("%+v", s)
	}
	if s := spread(&end.since(end).latency); s.P50 != nil || s.P95 != nil {
		t.Errorf("an empty period has %+v", s)
	}
}
