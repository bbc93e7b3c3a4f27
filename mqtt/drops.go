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
// dropped ever. QoS 0 messages without a connection are no news.
func (t *telling) tell(log *slog.Logger, d Dropped, now time.Time) {
	last := t.seen
	d.Offline = last.Offline
	if d == last || now.Sub(t.at) < steady {
		return
	}
	*t = telling{now, d}
	log.Warn("mqtt: outbox: messages dropped", "overflow", d.Overflow-last.Overflow,
		"expired", d.Expired-last.Expired, "refused", d.Refused-last.Refused)
}
