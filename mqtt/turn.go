package mqtt

import "context"

// turn is what a client connects by until Change asks for another.
type turn struct {
	options Options
	broker  address
}

func newTurn(o Options) (*turn, error) {
	at, err := parseAddress(o.Broker)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	return &turn{o, at}, o.check()
}

// Change has the client go on by other options: another broker, other
// credentials, subscriptions. What waits in the outbox stays, and is for the new
// connection. The old one is cut, so that the will tells the truth should there be
// no new one. Bounds, Birth, Log, Pulse and what is on disk stay as New had them. An
// error means that the options are wrong, and that nothing has changed.
func (c *Client) Change(o Options) error {
	next, err := newTurn(o)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next = next
	c.endTurn()
	return nil
}

// take begins a turn: the one asked for, or else the same again. Its context ends
// with the client's, and when there is another.
func (c *Client) take() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endTurn()
	if n := c.next; n != nil {
		c.options, c.broker, c.next = n.options, n.broker, nil
		c.log = c.plain.With("broker", n.broker.String())
		c.options.Log = c.log
		c.topics = newSubscriptions(&c.options, c.log)
		c.known, c.status.Broker, c.status.LastError = limits{}, n.broker.String(), ""
	}
	ctx, end := context.WithCancel(c.ctx)
	c.endTurn = end
	return ctx
}
