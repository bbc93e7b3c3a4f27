package daemon

import (
	"sync"
	"time"

	"dynvit/machine"
	"dynvit/messages"
	"dynvit/mqtt"
)

// statistics makes the payload of the topic stats. Its times and rates are of
// the period since the last one: it keeps what the counters were then. It is safe
// for concurrent use.
type statistics struct {
	feeds   feeds
	tuner   *tuner
	machine machine.Machine
	outbox  func() mqtt.Status
	started time.Time

	mu     sync.Mutex
	since  time.Time
	before readings
}

// readings are what the counters held at some time.
type readings struct {
	looked              []uint64 // by feed
	latency, frame, age histogramCounts
}

func (l feeds) read() (r readings) {
	for _, f := range l {
		r.looked = append(r.looked, f.counts.looked.Load())
		r.latency.addFrom(&f.counts.latency)
		r.frame.addFrom(&f.counts.frame)
		r.age.addFrom(&f.counts.age)
	}
	return r
}

func newStatistics(l feeds, t *tuner, m machine.Machine, outbox func() mqtt.Status, started time.Time) *statistics {
	return &statistics{feeds: l, tuner: t, machine: m, outbox: outbox, started: started, since: time.Now(), before: l.read()}
}

// take ends a period and begins another.
func (s *statistics) take() messages.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, read, force := time.Now(), s.feeds.read(), s.tuner.shown()
	m := messages.Stats{
		Schema: messages.Schema, At: messages.Time(now), Uptime: now.Sub(s.started).Round(time.Second).Seconds(),
		Latency: spread(read.latency.since(&s.before.latency)), Frame: spread(read.frame.since(&s.before.frame)), Age: spread(read.age.since(&s.before.age)),
		KeepRatio: force.ratio, Rate: force.rate, Temperature: s.machine.Temperature(), RSS: s.machine.RSS(),
		Outbox: outboxStats(s.outbox()), Cameras: map[string]messages.CameraStats{},
	}
	for i, f := range s.feeds {
		one := messages.CameraStats{
			FPS:    float64(read.looked[i]-s.before.looked[i]) / now.Sub(s.since).Seconds(),
			Frames: read.looked[i], Status: f.status.get().Word, Drops: f.counts.drops(),
		}
		m.Drops.Add(one.Drops)
		m.Cameras[f.name] = one
	}
	s.since, s.before = now, read
	return m
}

// spread is of the times of a period.
func spread(c *histogramCounts) messages.Spread {
	p50, ok := c.percentile(50)
	p95, _ := c.percentile(95)
	if !ok {
		return messages.Spread{}
	}
	low, high := messages.Milliseconds(p50), messages.Milliseconds(p95)
	return messages.Spread{P50: &low, P95: &high}
}

func outboxStats(s mqtt.Status) messages.OutboxStats {
	return messages.OutboxStats{
		Depth: s.Waiting + s.InFlight, Events: s.Events, Bytes: s.EventBytes, OnDisk: s.OnDisk,
		Dropped: s.Dropped.Total(), By: messages.Losses(s.Dropped), Published: s.Published, Reconnects: s.Reconnects,
	}
}
