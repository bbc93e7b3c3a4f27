package daemon

import (
	"sync"
	"sync/atomic"
	"time"

	"dynvit/lineup"
	"dynvit/machine"
	"dynvit/messages"
	"dynvit/metrics"
	"dynvit/mqtt"
	"dynvit/timing"
)

// counts are of one camera's frames since it is configured. They are safe for
// concurrent use and only grow; whoever reads them keeps what it saw last for a
// period of its own.
type counts struct {
	looked  atomic.Uint64 // classified
	damaged atomic.Uint64 // those of them that lack a part
	late    atomic.Uint64 // those of them that took longer than the budget
	still   atomic.Uint64 // hardly different from the last one looked at
	missed  atomic.Uint64 // the source saw it and did not hand it over
	tooFast atomic.Uint64 // over max_fps
	slowed  atomic.Uint64 // the budget cannot be held at the full rate
	busy    atomic.Uint64 // a newer one came while it waited
	failed  atomic.Uint64 // too damaged, or the model could not be run on it

	// Of the frames looked at.
	latency timing.Histogram // the model alone
	frame   timing.Histogram // decode, preprocess and model
	age     timing.Histogram // from capture to result
}

func (c *counts) drops() messages.Drops {
	return messages.Drops{
		Busy: c.busy.Load(), Slowed: c.slowed.Load(), TooFast: c.tooFast.Load(),
		Failed: c.failed.Load(), Missed: c.missed.Load(), Still: c.still.Load(),
	}
}

// statistics makes the payload of the topic stats, whose times and rates are of the
// period since the last one: it keeps what the counters were then. What is scraped has
// no period. It is safe for concurrent use.
type statistics struct {
	open    *atomic.Pointer[lineup.Lineup]
	roster  *roster
	tuners  *tuners
	machine machine.Machine
	outbox  func() mqtt.Status
	limit   int // of the outbox, in bytes
	started time.Time

	mu     sync.Mutex
	since  time.Time
	before map[*feed]*reading
	models map[*lineup.Model]*timing.Counts // their latency then

	present, all reading // of one camera, and the period's of all: a reading is large
}

// reading is what a camera's counters held at some time, or how much they grew.
type reading struct {
	looked              uint64
	latency, frame, age timing.Counts
}

// load reads counters.
func (r *reading) load(c *counts) {
	*r = reading{looked: c.looked.Load()}
	r.latency.AddFrom(&c.latency)
	r.frame.AddFrom(&c.frame)
	r.age.AddFrom(&c.age)
}

// addSince adds how much they grew from an earlier reading to a later one.
func (r *reading) addSince(now, before *reading) {
	r.looked += now.looked - before.looked
	r.latency.AddSince(&now.latency, &before.latency)
	r.frame.AddSince(&now.frame, &before.frame)
	r.age.AddSince(&now.age, &before.age)
}

func (d *Daemon) newStatistics(l *atomic.Pointer[lineup.Lineup], t *tuners, outbox func() mqtt.Status) *statistics {
	return &statistics{
		open: l, roster: &d.roster, tuners: t, machine: d.machine, outbox: outbox, limit: d.config.MQTT.Outbox.SizeMiB << 20, started: d.started,
		since: time.Now(), models: map[*lineup.Model]*timing.Counts{},
	}
}

// take ends a period and begins another.
func (s *statistics) take() messages.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, force := time.Now(), s.tuners.shown()
	m := messages.Stats{
		Schema: messages.Schema, At: messages.Time(now), Uptime: now.Sub(s.started).Round(time.Second).Seconds(),
		KeepRatio: force.ratio, Rate: force.rate, Temperature: s.machine.Temperature(), RSS: s.machine.RSS(),
		Outbox: outboxStats(s.outbox()), Cameras: map[string]messages.CameraStats{},
	}
	s.all = reading{}
	read := map[*feed]*reading{}
	for _, f := range s.roster.all() {
		before := s.before[f]
		if before == nil {
			before = new(reading) // since ever
		}
		s.present.load(f.counts)
		s.all.addSince(&s.present, before)
		one := messages.CameraStats{
			FPS:    float64(s.present.looked-before.looked) / now.Sub(s.since).Seconds(),
			Frames: s.present.looked, Damaged: f.counts.damaged.Load(), Status: f.status.get().Word, Drops: f.counts.drops(),
		}
		m.Drops.Add(one.Drops)
		m.Cameras[f.name] = one
		*before, read[f] = s.present, before
	}
	m.Latency, m.Frame, m.Age = spread(&s.all.latency), spread(&s.all.frame), spread(&s.all.age)
	m.Models = s.takeModels()
	s.since, s.before = now, read
	return m
}

// takeModels is of the models of a period, where there are several.
func (s *statistics) takeModels() map[string]messages.ModelStats {
	models := s.open.Load().Models
	if len(models) == 1 {
		return nil
	}
	list, read := map[string]messages.ModelStats{}, map[*lineup.Model]*timing.Counts{}
	for _, m := range models {
		before := s.models[m]
		if before == nil {
			before = new(timing.Counts)
		}
		var now, period timing.Counts
		now.AddFrom(&m.Counts.Latency)
		period.AddSince(&now, before)
		read[m] = &now
		list[m.Name] = messages.ModelStats{Frames: m.Counts.Looked.Load(), Failed: m.Counts.Failed.Load(), Latency: spread(&period)}
	}
	s.models = read
	return list
}

// Read implements metrics.Source.
func (s *statistics) Read() metrics.Readings {
	force := s.tuners.shown()
	r := metrics.Readings{
		Engines:   s.open.Load().Engines(),
		KeepRatio: force.ratio, Rate: force.rate, Budget: force.budget, Percentile: force.percentile,
		Outbox: s.outbox(), OutboxLimit: s.limit, Temperature: s.machine.Temperature(),
		RSS: s.machine.RSS(), Started: s.started,
	}
	for _, f := range s.roster.all() {
		c := f.counts
		r.Cameras = append(r.Cameras, metrics.Camera{
			Name: f.name, Status: f.status.get().Word, Looked: c.looked.Load(), Damaged: c.damaged.Load(), Late: c.late.Load(), Drops: c.drops(),
			Latency: &c.latency, Frame: &c.frame, Age: &c.age,
		})
		if len(s.tuners.all()) > 1 {
			ratio := f.looks.Load().tuner.shown().ratio
			r.Cameras[len(r.Cameras)-1].KeepRatio = &ratio
		}
	}
	for _, m := range s.open.Load().Models {
		r.Models = append(r.Models, metrics.Model{Name: m.Name, Failed: m.Counts.Failed.Load(), Latency: &m.Counts.Latency})
	}
	return r
}

// spread is of the times of a period.
func spread(c *timing.Counts) messages.Spread {
	p50, ok := c.Percentile(50)
	p95, _ := c.Percentile(95)
	if !ok {
		return messages.Spread{}
	}
	low, high := timing.Rounded(p50), timing.Rounded(p95)
	return messages.Spread{P50: &low, P95: &high}
}

func outboxStats(s mqtt.Status) messages.OutboxStats {
	return messages.OutboxStats{
		Depth: s.Waiting + s.InFlight, Events: s.Events, Bytes: s.EventBytes, OnDisk: s.OnDisk,
		Dropped: s.Dropped.Total(), By: messages.Losses(s.Dropped), Published: s.Published, Reconnects: s.Reconnects,
	}
}
