package mqtt

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

const (
	// steady is how long a connection lasts before its end is news again. Two
	// clients of one id throw each other out about once a second.
	steady = time.Minute

	maxReasons = 8 // told apart in one outage
)

// outage folds what happens while no connection lasts into few log lines: one
// for each reason, and one when the broker is back.
type outage struct {
	attempts int       // failed since the last connection
	told     []string  // reasons that were logged
	logged   time.Time // when a connection was last logged
}

// failed reports that an attempt failed or a connection was lost.
func (o *outage) failed(log *slog.Logger, why string) {
	o.attempts++
	if slices.Contains(o.told, why) || len(o.told) == maxReasons {
		log.Debug("mqtt: still no connection", "attempts", o.attempts, "err", why)
		return
	}
	o.told = append(o.told, why)
	log.Warn("mqtt: no connection, trying again", "err", why)
}

// ended reports that a connection stands.
func (o *outage) ended(log *slog.Logger, now time.Time) {
	level := slog.LevelDebug
	if o.logged.IsZero() || now.Sub(o.logged) >= steady {
		level = slog.LevelInfo
		o.logged, o.told = now, nil
	}
	log.Log(context.Background(), level, "mqtt: connected", "failures", o.attempts)
	o.attempts = 0
}

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
