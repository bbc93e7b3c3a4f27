package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"dynvit/mqtt"
)

var (
	connected  = gauge("broker_connected", "1 while the broker takes messages.")
	reconnects = counter("broker_reconnects_total", "Connections after the first.")

	depth      = gauge("outbox_messages", "Messages not yet acknowledged.")
	events     = gauge("outbox_events", "Of the messages not yet acknowledged, events.")
	eventBytes = gauge("outbox_bytes", "Topics and payloads of the events.")
	limit      = gauge("outbox_limit_bytes", "Topics and payloads that may wait.")
	onDisk     = gauge("outbox_on_disk", "1 while events are kept on disk.")
	published  = counter("outbox_published_total", "Messages that the broker has.")
	lost       = counter("outbox_dropped_total", "Messages that were never published, by reason.", "reason")
)

// losses are those of stats, by the same names.
func losses(d mqtt.Dropped) map[string]uint64 {
	return map[string]uint64{
		"overflow": d.Overflow, "expired": d.Expired, "offline": d.Offline, "refused": d.Refused, "rejected": d.Rejected,
	}
}

func collectOutbox(out chan<- prometheus.Metric, r *Readings) {
	s := &r.Outbox
	out <- connected.is(truth(s.Connected))
	out <- reconnects.is(float64(s.Reconnects))
	out <- depth.is(float64(s.Waiting + s.InFlight))
	out <- events.is(float64(s.Events))
	out <- eventBytes.is(float64(s.EventBytes))
	out <- limit.is(float64(r.OutboxLimit))
	out <- onDisk.is(truth(s.OnDisk))
	out <- published.is(float64(s.Published))
	for reason, n := range losses(s.Dropped) {
		out <- lost.is(float64(n), reason)
	}
}
