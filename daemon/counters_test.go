package daemon

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"dynvit/messages"
)

// TestHistogramIsExactEnough: a bucket's middle is within 1/128 of any time in it,
// from a microsecond to two minutes, and buckets do not overlap.
func TestHistogramIsExactEnough(t *testing.T) {
	last := 0
	for us := 1; us < 2*longest; us += 1 + us/997 {
		d := time.Duration(us) * time.Microsecond
		b := bucketOf(d)
		if b < last || b >= buckets {
			t.Fatalf("%v is in bucket %d after %d", d, b, last)
		}
		last = b
		if off := (middle(b) - min(d, longest*time.Microsecond)).Abs(); float64(off) > float64(d)/128 {
			t.Fatalf("%v counts as %v", d, middle(b))
		}
	}
	if last != buckets-1 || bucketOf(-time.Second) != 0 {
		t.Errorf("the last bucket used is %d of %d; a time before zero is in %d", last, buckets, bucketOf(-time.Second))
	}
}

// TestPeriods: each reader has percentiles of its own period, near the nearest
// rank of the times themselves.
func TestPeriods(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	h := new(histogram)
	var before histogramCounts
	for _, n := range []int{1, 2, 100, 5000, 0, 7} {
		times := make([]time.Duration, n)
		for i := range times {
			times[i] = time.Duration(random.ExpFloat64() * 3e7)
			h.add(times[i])
		}
		slices.Sort(times)
		var now histogramCounts
		now.addFrom(h)
		for _, p := range []int{50, 95, 99} {
			got, ok := now.since(&before).percentile(float64(p))
			if ok != (n > 0) {
				t.Fatalf("of %d times: %v", n, ok)
			}
			if n == 0 {
				continue
			}
			if want := percentile(times, p); math.Abs(messages.Milliseconds(got)-want) > want/128+0.001 {
				t.Errorf("p%v of %d times: %v, want %v ms", p, n, got, want)
			}
		}
		before = now
	}
}

// TestReadersDoNotStealFromEachOther: two statistics of the same feeds each see
// all frames of their own periods.
func TestReadersDoNotStealFromEachOther(t *testing.T) {
	f := &feed{name: "door", counts: new(counts)}
	look := func(n int) {
		for range n {
			f.counts.looked.Add(1)
			f.counts.latency.add(time.Millisecond)
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
	if s := spread(end.latency.since(&second.latency)); s.P50 == nil || *s.P50 != messages.Milliseconds(middle(bucketOf(time.Millisecond))) {
		t.Errorf("%+v", s)
	}
	if s := spread(end.latency.since(&end.latency)); s.P50 != nil || s.P95 != nil {
		t.Errorf("an empty period has %+v", s)
	}
}
