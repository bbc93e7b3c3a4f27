package mqtt

import (
	"fmt"
	"log/slog"
)

// closingTimes is how often in a row a broker must have closed the connection at
// a message before that is set aside.
const closingTimes = 3

// mark tells messages apart: events by their numbers, others by their topics.
type mark struct {
	topic string
	seq   uint64 // 0: no event
}

// suspect is a message at which the broker may have closed the connection.
type suspect struct {
	mark
	bytes int // of its payload
}

func suspectOf(e *entry, payload []byte) suspect {
	return suspect{mark{e.topic, e.seq}, len(payload)}
}

// closings finds out at which message a broker closes the connection, which is
// all the answer that MQTT 3.1.1 has to a topic that is not allowed [MQTT-3.3.5-2]
// and to a packet that is too large. With many messages in flight it is only
// likely to be the oldest; so after a closing one message is sent at a time, until
// all that were in flight are acknowledged or nothing is left to send. It belongs
// to the client's goroutine.
type closings struct {
	at      mark
	times   int // in a row
	careful bool
	last    mark // with its acknowledgement care ends
	starved bool // the last connection ended like this before anything was acknowledged
}

// judge notes that the connection was closed at first, or at a later message up to
// last. explained says that first is probably why, aside that it should be given
// up. progress says that the broker had acknowledged something on this connection,
// known that a message on first's topic was given up before.
func (c *closings) judge(first, last mark, progress, known bool) (explained, aside bool) {
	if first != c.at {
		c.at, c.times = first, 0
	}
	c.times++
	enough := c.times >= closingTimes || known && c.careful
	c.careful, c.last, c.starved = true, last, !progress
	if !enough {
		return c.times > 1, false // a broker may go away once at any time
	}
	if first.seq > 0 && !progress {
		return true, false // it may take nothing at all, which is not the event's fault
	}
	c.at, c.times = mark{}, 0
	return true, true
}

// acknowledged notes that the broker took a message. It reports whether that is
// the first after it had taken none.
func (c *closings) acknowledged(m mark) (relieved bool) {
	relieved, c.starved = c.starved, false
	if m == c.at {
		c.at, c.times = mark{}, 0
	}
	c.careful = c.careful && m != c.last
	return relieved
}

// drained notes that the broker took all there was.
func (c *closings) drained() { c.careful = false }

// aboutMessage reports an end of a connection that may be the answer to a message.
func aboutMessage(err error) bool {
	c, ok := codeOf(err)
	return ok && c.ofMessage() || closedByPeer(err)
}

// lost ends a connection: the outbox takes back what was in flight, but for a
// message at which the broker closes again and again. err is why the connection
// ended; where such a message explains that, lost returns words for it.
func (c *Client) lost(s *session, err error) (explanation error) {
	var explained, aside bool
	m, last, some := s.suspects()
	if some && aboutMessage(err) {
		explained, aside = c.closings.judge(m.mark, last, s.acknowledged, c.outbox.wasRefused(m.topic))
	}
	c.outbox.lost(s.entries())
	if aside {
		level := slog.LevelDebug
		if c.outbox.setAside(m) {
			level = slog.LevelWarn
		}
		c.log.Log(c.ctx, level, "mqtt: the broker closes the connection at a message: set aside", "topic", m.topic, "bytes", m.bytes, "err", reason(err))
	}
	if _, ok := codeOf(err); ok && explained {
		return fmt.Errorf("%w, at the message on %q", err, m.topic)
	}
	if explained {
		return fmt.Errorf("the broker closes the connection at the message on %q: is it not allowed there, or too large?", m.topic)
	}
	return nil
}
