package daemon

import (
	"encoding/json"
	"time"
)

// info is the payload of the topic info: what runs here.
type info struct {
	Schema       int      `json:"schema"`
	Version      string   `json:"version"`
	Node         string   `json:"node"`
	Model        string   `json:"model"`
	SHA256       string   `json:"model_sha256,omitempty"`
	Architecture string   `json:"architecture"`
	Classes      int      `json:"classes"`
	Backend      string   `json:"backend"`
	Why          string   `json:"backend_why"`
	Precision    string   `json:"precision"`
	Threads      int      `json:"threads"`
	Scorer       string   `json:"scorer"`
	Machine      hardware `json:"machine"`
	BootID       string   `json:"boot_id"`
	Started      string   `json:"started_at"`
}

func (d *Daemon) info() info {
	m := d.model.info
	return info{
		Schema: schema, Version: d.deps.Version, Node: d.config.Node,
		Model: m.Model, SHA256: m.SHA256, Architecture: m.Architecture, Classes: m.Classes,
		Backend: m.Backend, Why: m.Why, Precision: m.Precision.String(), Threads: m.Threads, Scorer: m.Scorer,
		Machine: d.machine.hardware(), BootID: d.bootID, Started: d.started.UTC().Format(timeFormat),
	}
}

// settings is the payload of the topic settings: what commands can change.
type settings struct {
	Schema     int                       `json:"schema"`
	Auto       bool                      `json:"auto"` // keep follows the budget
	Keep       float64                   `json:"keep"` // the ratio in force
	BudgetMS   float64                   `json:"budget_ms"`
	Percentile float64                   `json:"percentile"`
	Cameras    map[string]cameraSettings `json:"cameras"`
}

type cameraSettings struct {
	Enabled bool `json:"enabled"`
}

func (d *Daemon) settings() settings {
	now := d.tuner.shown()
	s := settings{
		Schema: schema, Auto: now.auto, Keep: now.ratio,
		BudgetMS: milliseconds(now.budget), Percentile: now.percentile, Cameras: map[string]cameraSettings{},
	}
	for name, t := range d.toggles {
		s.Cameras[name] = cameraSettings{t.isOn()}
	}
	return s
}

// stats is the payload of the topic stats. Times and rates are of the period
// since the last one, counts since the start.
type stats struct {
	Schema      int                    `json:"schema"`
	At          string                 `json:"at"`
	Uptime      float64                `json:"uptime_s"`
	Latency     spread                 `json:"latency_ms"`
	Frame       spread                 `json:"frame_ms"`
	Age         spread                 `json:"age_ms"`
	KeepRatio   float64                `json:"keep_ratio"`
	Rate        float64                `json:"rate"` // share of the frames that the budget lets look at
	Drops       drops                  `json:"drops"`
	Temperature *float64               `json:"temperature_c"`
	RSS         uint64                 `json:"rss_bytes"`
	Outbox      outboxStats            `json:"outbox"`
	Cameras     map[string]cameraStats `json:"cameras"`
}

// drops counts frames that were not classified, by reason.
type drops struct {
	Busy    uint64 `json:"busy"`    // a newer frame came while it waited
	Slowed  uint64 `json:"budget"`  // even the least keep ratio misses the budget
	TooFast uint64 `json:"max_fps"` // more than max_fps
	Failed  uint64 `json:"failed"`  // damaged
	Missed  uint64 `json:"source"`  // never handed over by the source
	Still   uint64 `json:"motion"`  // hardly different from the last one looked at
}

func (d *drops) add(o drops) {
	d.Busy += o.Busy
	d.Slowed += o.Slowed
	d.TooFast += o.TooFast
	d.Failed += o.Failed
	d.Missed += o.Missed
	d.Still += o.Still
}

func (d drops) total() uint64 { return d.Busy + d.Slowed + d.TooFast + d.Failed + d.Missed + d.Still }

// outboxStats says how publishing goes.
type outboxStats struct {
	Depth      int    `json:"depth"` // messages not yet acknowledged
	Events     int    `json:"events"`
	Bytes      int    `json:"bytes"`   // topics and payloads of the events
	OnDisk     bool   `json:"on_disk"` // events are kept on disk
	Dropped    uint64 `json:"dropped"`
	By         losses `json:"dropped_by"`
	Published  uint64 `json:"published"`
	Reconnects uint64 `json:"reconnects"`
}

// losses counts messages that were never published, by reason.
type losses struct {
	Overflow uint64 `json:"overflow"` // made room for newer ones
	Expired  uint64 `json:"expired"`  // waited for longer than the time to live
	Offline  uint64 `json:"offline"`  // QoS 0, and the broker was away
	Refused  uint64 `json:"refused"`  // found no room
}

type cameraStats struct {
	FPS    float64 `json:"fps"` // frames classified a second
	Frames uint64  `json:"frames"`
	Status string  `json:"status"`
	Drops  drops   `json:"drops"`
}

// stats ends a period of the given length.
func (d *Daemon) stats(period time.Duration) stats {
	now, force := time.Now(), d.tuner.shown()
	s := stats{
		Schema: schema, At: now.UTC().Format(timeFormat), Uptime: now.Sub(d.started).Round(time.Second).Seconds(),
		KeepRatio: force.ratio, Rate: force.rate, Temperature: d.machine.temperature(), RSS: d.machine.rss(),
		Outbox: d.outbox(), Cameras: map[string]cameraStats{},
	}
	s.Latency, s.Frame, s.Age = d.tally.drain()
	for _, u := range d.units {
		one := u.stats(period)
		s.Drops.add(one.Drops)
		s.Cameras[u.name] = one
	}
	return s
}

func (d *Daemon) outbox() outboxStats {
	s := d.client.Status()
	return outboxStats{
		Depth: s.Waiting + s.InFlight, Events: s.Events, Bytes: s.EventBytes, OnDisk: s.OnDisk,
		Dropped: s.Dropped.Total(), By: losses(s.Dropped), Published: s.Published, Reconnects: s.Reconnects,
	}
}

// encode writes a payload that is not on the frame path.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("daemon: " + err.Error()) // structs of numbers and strings always encode
	}
	return data
}
