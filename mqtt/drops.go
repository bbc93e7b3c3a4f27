package mqtt

import (
	"log/slog"
	"time"
)

// telling remembers what was logged of the messages that were dropped.
type telling struct {
	at   time.Time
	seen Dropped
}

// tell logs once a minute what was dropped since the last time; d is what was
// dropped ever. QoS 0 messages without a connection are no
// news, and of those that a broker does not take the topic is logged.
func (t *telling) tell(log *slog.Logger, d Dropped, now time.Time) {
	last := t.seen
	d.Offline, d.Rejected = last.Offline, last.Rejected
	if d == last || now.Sub(t.at) < steady {
		return
	}
	*t = telling{now, d}
	log.Warn("mqtt: outbox: messages dropped", "overflow", d.Overflow-last.Overflow,
		"expired", d.Expired-last.Expired, "refused", d.Refused-last.Refused)
}
