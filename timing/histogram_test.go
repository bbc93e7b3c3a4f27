package timing

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
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
	h := new(Histogram)
	var before Counts
	for _, n := range []int{1, 2, 100, 5000, 0, 7} {
		times := make([]time.Duration, n)
		for i := range times {
			times[i] = time.Duration(random.ExpFloat64() * 3e7)
			h.Add(times[i])
		}
		slices.Sort(times)
		var now Counts
		now.AddFrom(h)
		for _, p := range []float64{50, 95, 99} {
			var period Counts
			period.AddSince(&now, &before)
			got, ok := period.Percentile(p)
			if ok != (n > 0) {
				t.Fatalf("of %d times: %v", n, ok)
			}
			if n == 0 {
				continue
			}
			if want := times[Rank(n, p)]; (got - want).Abs() > want/128+time.Microsecond {
				t.Errorf("p%v of %d times: %v, want %v", p, n, got, want)
			}
		}
		before = now
	}
}

// TestBounds: as many times are at most each bound as there are, and their sum is
// theirs, to within a bucket's width.
func TestBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	bounds := []time.Duration{0, time.Millisecond, 50 * time.Millisecond, time.Second, time.Minute, time.Hour}
	h := new(Histogram)
	var now Counts
	if n, sum := now.All(); n != 0 || sum != 0 || !slices.Equal(now.UpTo(bounds), make([]uint64, len(bounds))) {
		t.Errorf("of no times: %d, %v, %v", n, sum, now.UpTo(bounds))
	}
	want, near, all := make([]uint64, len(bounds)), make([]uint64, len(bounds)), time.Duration(0)
	const times = 5000
	for range times {
		d := time.Duration(random.ExpFloat64() * 3e7)
		h.Add(d)
		all += d
		for i, b := range bounds {
			if d <= b {
				want[i]++
			}
			if (d - b).Abs() <= b/64 {
				near[i]++
			}
		}
	}
	now.AddFrom(h)
	for i, got := range now.UpTo(bounds) {
		if got > want[i]+near[i] || got+near[i] < want[i] {
			t.Errorf("%d times are at most %v, want %d", got, bounds[i], want[i])
		}
	}
	if n, sum := now.All(); n != times || (sum-all).Abs() > all/128 {
		t.Errorf("%d times of %v in all, want %d of %v", n, sum, times, all)
	}
	if got := now.UpTo(nil); len(got) != 0 {
		t.Errorf("of no bounds %v", got)
	}
}
