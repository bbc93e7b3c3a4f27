package timing

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// subBuckets of each power of two: a time read back is off by 1/128 at most.
	subBuckets = 64
	// longest is what longer times count as, two minutes.
	longest = 1<<27 - 1 // µs
	// buckets: below 64 µs one a microsecond, then 64 for each of 21 powers.
	buckets = subBuckets * 22
)

// Histogram counts times since the start, in buckets whose width grows with the
// time. It only grows and is safe for concurrent use; adding allocates nothing.
type Histogram [buckets]atomic.Uint64

// Add counts a time; less than none counts as none, more than two minutes as
// that.
func (h *Histogram) Add(d time.Duration) { h[bucketOf(d)].Add(1) }

func bucketOf(d time.Duration) int {
	us := uint64(min(max(d.Microseconds(), 0), longest))
	if us < subBuckets {
		return int(us)
	}
	power := bits.Len64(us) - bits.Len64(subBuckets) // 0 for 64 to 127 µs
	return subBuckets*(power+1) + int(us>>power) - subBuckets
}

// middle is the time that a bucket stands for.
func middle(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket) * time.Microsecond
	}
	power := bucket/subBuckets - 1
	low := uint64(subBuckets+bucket%subBuckets) << power
	return time.Duration(low+(1<<power)/2) * time.Microsecond
}

// Counts are what a Histogram held at some time.
type Counts [buckets]uint64

// Count counts a time, as Histogram's Add does.
func (c *Counts) Count(d time.Duration) { c[bucketOf(d)]++ }

// AddFrom adds what h holds now.
func (c *Counts) AddFrom(h *Histogram) {
	for i := range h {
		c[i] += h[i].Load()
	}
}

// Add adds what o holds.
func (c *Counts) Add(o *Counts) {
	for i, n := range o {
		c[i] += n
	}
}

// AddSince adds what came to now after the earlier counts before.
func (c *Counts) AddSince(now, before *Counts) {
	for i := range c {
		c[i] += now[i] - before[i]
	}
}

// Percentile is the nearest rank: the bucket of the least time that at least p
// percent do not exceed. It is false where there are no times.
func (c *Counts) Percentile(p float64) (time.Duration, bool) {
	var all uint64
	for _, n := range c {
		all += n
	}
	rank := uint64(Rank(int(max(all, 1)), p)) + 1
	for i, n := range c {
		if n >= rank {
			return middle(i), true
		}
		rank -= n
	}
	return 0, false
}

// UpTo counts the times that are at most each of the bounds, which ascend: those of a
// bucket count as its middle.
func (c *Counts) UpTo(bounds []time.Duration) []uint64 {
	below := make([]uint64, len(bounds))
	var all uint64
	next := 0
	for i, n := range c {
		for next < len(bounds) && middle(i) > bounds[next] {
			below[next] = all
			next++
		}
		all += n
	}
	for ; next < len(bounds); next++ {
		below[next] = all
	}
	return below
}

// All is how many times there are, and their sum as their buckets stand for them: to
// within 1/128. Of counts that grow, it grows.
func (c *Counts) All() (n uint64, sum time.Duration) {
	for i := range c {
		n += c[i]
		sum += time.Duration(c[i]) * middle(i)
	}
	return n, sum
}
