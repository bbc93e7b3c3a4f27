package daemon

import (
	"math"
	"slices"
	"sync"
	"time"
)

// tallyFrames is how many frames of a period are remembered: 30 s at 68 frames a
// second. Of more, the newest count.
const tallyFrames = 2048

// tally gathers the times of frames between two stats. It is safe for concurrent
// use and allocates nothing a frame.
type tally struct {
	mu      sync.Mutex
	frames  uint64 // of the period
	latency [tallyFrames]time.Duration
	frame   [tallyFrames]time.Duration
	age     [tallyFrames]time.Duration
}

func (t *tally) add(r *Report, age time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.frames % tallyFrames
	t.latency[i], t.frame[i], t.age[i] = r.Latency, r.Frame, age
	t.frames++
}

// spread is a median and a 95th percentile in milliseconds, null in JSON where
// there were no frames.
type spread struct {
	P50 *float64 `json:"p50"`
	P95 *float64 `json:"p95"`
}

// drain returns the spreads of the period and begins another.
func (t *tally) drain() (latency, frame, age spread) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(t.frames, tallyFrames)
	t.frames = 0
	return spreadOf(t.latency[:n]), spreadOf(t.frame[:n]), spreadOf(t.age[:n])
}

// spreadOf sorts times in place.
func spreadOf(times []time.Duration) spread {
	if len(times) == 0 {
		return spread{}
	}
	slices.Sort(times)
	p50, p95 := percentile(times, 50), percentile(times, 95)
	return spread{&p50, &p95}
}

// percentile is the nearest rank: the least value that at least p percent of the
// sorted times do not exceed.
func percentile(sorted []time.Duration, p float64) float64 {
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return milliseconds(sorted[max(rank, 1)-1])
}

// milliseconds is a duration to a microsecond.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / 1e6
}
