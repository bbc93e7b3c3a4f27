package mqtt

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"syscall"
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

// ended reports that a connection stands, and lost that it does no longer. Within a minute of the
// last that was news it is no news yet, but becomes so when it has lasted that long: the last word of
// the log is what holds.
func (o *outage) ended(log *slog.Logger, now time.Time) (lost func()) {
	failures := o.attempts
	o.attempts = 0
	if o.logged.IsZero() || now.Sub(o.logged) >= steady {
		o.logged, o.told = now, nil
		log.Info("mqtt: connected", "failures", failures)
		return func() {}
	}
	log.Debug("mqtt: connected", "failures", failures)
	later := time.AfterFunc(steady, func() { log.Info("mqtt: connected", "failures", failures) })
	return func() {
		if !later.Stop() {
			o.logged, o.told = now.Add(steady), nil
		}
	}
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

// rivalTimes is how often in a row a connection must have been taken away before
// somebody is suspected.
const rivalTimes = 3

// rival finds out that another client has the same id. The protocol does not
// tell: the broker accepts a connection, acknowledges what comes, and closes it
// as soon as the other one is back [MQTT-3.1.4-2].
type rival struct {
	id    string
	times int // in a row
}

// lost reports how a connection ended that lasted so long. sound says that the
// broker acknowledged something on it. It returns err, or in its place what is
// probably behind it.
func (r *rival) lost(err error, lasted time.Duration, sound bool) error {
	if !sound || lasted >= steady || !closedByPeer(err) {
		r.times = 0
		return err
	}
	if r.times++; r.times < rivalTimes {
		return err
	}
	return fmt.Errorf("the broker closes the connection again and again after accepting it: probably another client has the client id %q", r.id)
}

// refused reports that no connection came about: no other client does that.
func (r *rival) refused() { r.times = 0 }

func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
