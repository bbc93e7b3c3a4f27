package mqtt

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// serve publishes over s until Close has been carried out, or until the connection is
// lost, or is to be left for another turn, which it returns as an error. explanation is
// a message of ours that made the broker close it.
func (c *Client) serve(ctx context.Context, s *session) (err, explanation error) {
	c.begin(s)
	err = c.pump(s, ctx.Done(), maxInFlight, false)
	switch {
	case err != nil:
	case c.ctx.Err() != nil:
		err = c.depart(s)
	default:
		err = ctx.Err() // another turn
	}
	c.pulse.Busy("closing the connection")
	if err == nil {
		s.leave()
	} else {
		s.end()
	}
	return err, c.finish(s, err)
}

func (c *Client) begin(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
	c.connections++
	c.status.Reconnects = c.connections - 1
	c.status.Connected, c.status.Since = true, time.Now()
	c.outbox.connected()
}

// finish puts what was in flight back into the outbox, s having ended with err.
func (c *Client) finish(s *session, err error) (explanation error) {
	s.settle(c.delivered, c.refusedBy(s)) // acknowledged between the last look and the end
	explanation = c.lost(s, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = nil
	c.status.Connected, c.status.Since = false, time.Now()
	return explanation
}

func (c *Client) delivered(e *entry) {
	if c.closings.acknowledged(mark{e.topic, e.seq}) {
		c.outbox.retryAll() // what it refuses must have changed
	}
	c.outbox.ack(e)
}

// refusedBy is what becomes of messages that the broker answered with a reason not
// to take them. An error says that the connection is to end, and the message to
// wait: for the broker to have room, or because it may be that the broker takes
// nothing at all, which is not an event's fault, or because it is not known whether
// the same happens again (closing.go).
func (c *Client) refusedBy(s *session) func(flight, code) error {
	return func(f flight, why code) error {
		if !why.final() || f.what.seq > 0 && !s.acknowledged {
			return f.receipt.Error()
		}
		c.reject(f.entry, f.what, 0, why)
		return nil
	}
}

// reject gives up a message that was given out; payloads on its topic of at least
// so many bytes are not tried again for a while.
func (c *Client) reject(e *entry, m suspect, least int, why code) {
	level := slog.LevelDebug
	if c.outbox.reject(e, m, least) {
		level = slog.LevelWarn
	}
	c.log.Log(c.ctx, level, "mqtt: the broker does not take a message: set aside", "topic", m.topic, "bytes", m.bytes, "reason", why.String())
}

// pump sends what the outbox holds, at most window messages unacknowledged at
// a time, until stop is closed or, if drain is set, until all is delivered.
func (c *Client) pump(s *session, stop <-chan struct{}, window int, drain bool) error {
	patience := time.NewTimer(ackTimeout)
	defer patience.Stop()
	for {
		c.told.tell(c.log, c.outbox.drops(), time.Now())
		c.pulse.Busy("publishing")
		if c.sendNext(s, window) && drain && len(s.flight) == 0 {
			return nil
		}
		c.pulse.Idle(waitsFor(s))
		select {
		case <-s.oldest():
			if err := s.settle(c.delivered, c.refusedBy(s)); err != nil {
				return s.wire.why(err)
			}
			patience.Reset(ackTimeout)
		case <-s.wire.wrote:
			s.ready = true
		case <-c.outbox.news:
			if len(s.flight) == 0 {
				patience.Reset(ackTimeout)
			}
		case <-patience.C:
			if len(s.flight) > 0 {
				return errNoAck
			}
		case <-s.wire.closed:
			return s.wire.why(errNoPing)
		case <-stop:
			return nil
		}
	}
}

func waitsFor(s *session) string {
	if len(s.flight) > 0 {
		return "waiting for the broker's acknowledgement"
	}
	return "nothing to publish"
}

// sendNext sends one message if the session can take it. It reports whether
// there was nothing to send.
func (c *Client) sendNext(s *session, window int) (none bool) {
	if s.limits.window > 0 {
		window = min(window, s.limits.window)
	}
	if c.closings.careful {
		window = 1
	}
	if !s.ready || len(s.flight) >= window || s.wire.isClosed() {
		return false
	}
	e, m := c.outbox.next()
	if e == nil {
		if len(s.flight) == 0 {
			c.closings.drained()
		}
		return true
	}
	if least, too := s.tooLarge(m); too {
		c.reject(e, suspectOf(e, m.Payload), least, codeTooLarge)
		return false
	}
	if c.closings.careful {
		m.QoS = 1 // so that it is acknowledged
	}
	s.send(e, m)
	return false
}

// depart carries out Close over a connection that stands: what waits goes out
// until Close's context ends, then the last messages, whatever is still
// unacknowledged. They have as long, and closeGrace more.
func (c *Client) depart(s *session) error {
	if err := c.pump(s, c.closing.ctx.Done(), maxInFlight, true); err != nil {
		return err
	}
	given, err := c.outbox.replace(c.closing.last)
	if err != nil {
		c.closing.err = fmt.Errorf("mqtt: close: last message: %w", err)
		return nil
	}
	window := len(s.flight) + len(c.closing.last)
	if err := c.pump(s, c.closing.ctx.Done(), window, true); err != nil {
		return err
	}
	grace, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	if err := c.pump(s, grace.Done(), window, true); err != nil {
		return err
	}
	if left := given + c.unkept(s) + c.outbox.waiting(); left > 0 {
		c.closing.err = fmt.Errorf("mqtt: close: %d messages were not delivered", left)
	}
	return nil
}

// unkept counts what is in flight and not on disk.
func (c *Client) unkept(s *session) (n int) {
	for _, f := range s.flight {
		if c.persister == nil || f.entry.seq == 0 {
			n++
		}
	}
	return n
}
