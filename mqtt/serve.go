package mqtt

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// serve publishes over s until the connection is lost, which it returns as an
// error, or until Close has been carried out.
func (c *Client) serve(s *session) error {
	c.begin(s)
	err := c.pump(s, c.ctx.Done(), maxInFlight, false)
	if err == nil {
		err = c.sayFarewell(s)
	}
	c.pulse.Busy("closing the connection")
	if err != nil {
		s.end()
	}
	c.finish(s, err)
	return err
}

func (c *Client) begin(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
	if c.outbox.connections++; c.outbox.connections > 1 {
		c.status.Reconnects++
	}
	c.status.Connected, c.status.Since = true, time.Now()
	c.outbox.renew()
}

func (c *Client) finish(s *session, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.settle(c.delivered) // acknowledged between the last look and the end
	c.session = nil
	c.outbox.lost(s.entries())
	c.status.InFlight = 0
	c.status.Connected, c.status.Since = false, time.Now()
	c.status.LastError = reason(err)
}
