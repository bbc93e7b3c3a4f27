package messages

// Stats is the payload of the topic stats. Times and rates are of the period
// since the last one, counts since the start.
type Stats struct {
	Schema      int                    `json:"schema"`
	At          string                 `json:"at"`
	Uptime      float64                `json:"uptime_s"`
	Latency     Spread                 `json:"latency_ms"`
	Frame       Spread                 `json:"frame_ms"`
	Age         Spread                 `json:"age_ms"`
	KeepRatio   float64                `json:"keep_ratio"`
	Rate        float64                `json:"rate"` // share of the frames that the budget lets look at
	Drops       Drops                  `json:"drops"`
	Temperature *float64               `json:"temperature_c"`
	RSS         uint64                 `json:"rss_bytes"`
	Outbox      OutboxStats            `json:"outbox"`
	Cameras     map[string]CameraStats `json:"cameras"`
	Models      map[string]ModelStats  `json:"models,omitempty"` // where there are several
}

// ModelStats are of one of several models.
type ModelStats struct {
	Frames  uint64 `json:"frames"` // that it has looked at
	Failed  uint64 `json:"failed"` // that it could not be run on, though the camera's others may have been
	Latency Spread `json:"latency_ms"`
}

// Drops counts frames that were not classified, by reason.
type Drops struct {
	Busy    uint64 `json:"busy"`    // a newer frame came while it waited
	Slowed  uint64 `json:"budget"`  // even the least keep ratio misses the budget
	TooFast uint64 `json:"max_fps"` // more than max_fps
	Failed  uint64 `json:"failed"`  // damaged
	Missed  uint64 `json:"source"`  // never handed over by the source
	Still   uint64 `json:"motion"`  // hardly different from the last one looked at
}

// Add sums up.
func (d *Drops) Add(o Drops) {
	d.Busy += o.Busy
	d.Slowed += o.Slowed
	d.TooFast += o.TooFast
	d.Failed += o.Failed
	d.Missed += o.Missed
	d.Still += o.Still
}

// Total is the sum of all reasons.
func (d Drops) Total() uint64 { return d.Busy + d.Slowed + d.TooFast + d.Failed + d.Missed + d.Still }

// OutboxStats says how publishing goes.
type OutboxStats struct {
	Depth      int    `json:"depth"` // messages not yet acknowledged
	Events     int    `json:"events"`
	Bytes      int    `json:"bytes"`   // topics and payloads of the events
	OnDisk     bool   `json:"on_disk"` // events are kept on disk
	Dropped    uint64 `json:"dropped"`
	By         Losses `json:"dropped_by"`
	Published  uint64 `json:"published"`
	Reconnects uint64 `json:"reconnects"`
}

// Losses counts messages that were never published, by reason.
type Losses struct {
	Overflow uint64 `json:"overflow"` // made room for newer ones
	Expired  uint64 `json:"expired"`  // waited for longer than the time to live
	Offline  uint64 `json:"offline"`  // QoS 0, and the broker was away
	Refused  uint64 `json:"refused"`  // found no room
	Rejected uint64 `json:"rejected"` // the broker closes the connection at them
}

// CameraStats are of one camera.
type CameraStats struct {
	FPS     float64 `json:"fps"` // frames classified a second
	Frames  uint64  `json:"frames"`
	Damaged uint64  `json:"damaged"` // frames classified although a part of them is lost
	Status  string  `json:"status"`
	Drops   Drops   `json:"drops"`
}

// Spread is a median and a 95th percentile in milliseconds, null in JSON where
// there were no frames.
type Spread struct {
	P50 *float64 `json:"p50"`
	P95 *float64 `json:"p95"`
}
