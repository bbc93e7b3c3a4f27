package mqtt

import "time"

// telling remembers what was logged of the messages that were dropped.
type telling struct {
	at   time.Time
	seen Dropped
}

// tellDrops logs once a minute what was dropped since the last time. QoS 0
// messages without a connection are no news.
func (c *Client) tellDrops(now time.Time) {
	c.mu.Lock()
	d, last := c.outbox.dropped, c.told
	d.Offline = last.seen.Offline
	news := d != last.seen && now.Sub(last.at) >= steady
	if news {
		c.told = telling{now, d}
	}
	c.mu.Unlock()
	if news {
		c.log.Warn("mqtt: outbox: messages dropped", "overflow", d.Overflow-last.seen.Overflow,
			"expired", d.Expired-last.seen.Expired, "refused", d.Refused-last.seen.Refused)
	}
}
