package mqtt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"dynvit/backoff"
)

// closeGrace is what Close takes beyond its context: for its last messages,
// and again for the connection to end.
const closeGrace = 300 * time.Millisecond

// Client publishes to one broker. Its methods may be called from several
// goroutines at once.
type Client struct {
	plain *slog.Logger // names no broker
	pulse Pulse

	outbox    *outbox
	persister *persister // nil: events are in memory alone

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has ended

	// Of the goroutine, and of its turn.
	options  Options
	broker   address // written under mu, too
	log      *slog.Logger
	told     telling
	topics   *subscriptions
	closings closings
	known    limits // of the broker's, as last logged

	mu          sync.Mutex
	status      Status   // what it says of the connection
	session     *session // the open one, to be cut by Close
	next        *turn    // what Change asks for; nil: nothing new
	endTurn     context.CancelFunc
	connections uint64
	started     bool
	closing     *farewell // set once, before ctx ends
}

// farewell is what Close asks of the client's goroutine.
type farewell struct {
	ctx  context.Context // until it ends, waiting messages may still go out
	last []Message
	err  error // the outcome, valid once the goroutine has ended
}

// New returns a client that does nothing but queue until Start. An error means
// that the options are wrong, never that the broker is away.
func New(o Options) (*Client, error) {
	first, err := newTurn(o)
	if err != nil {
		return nil, err
	}
	o = first.options
	c := &Client{
		plain:  o.Log,
		pulse:  o.Pulse,
		outbox: newOutbox(o.QueueMessages, o.QueueBytes, o.EventTTL, o.OpenDisk != nil),
		done:   make(chan struct{}),
		status: Status{Broker: first.broker.String(), Since: time.Now()},
	}
	if o.OpenDisk != nil {
		c.persister = newPersister(c.outbox, o.OpenDisk, c.plain)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.next, c.endTurn = first, func() {}
	for _, m := range o.Birth {
		if err := c.Publish(m); err != nil {
			return nil, fmt.Errorf("birth message: %w", err)
		}
	}
	return c, nil
}

// Start begins to connect, in the background and for ever. Calls after the
// first do nothing.
func (c *Client) Start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started || c.closing != nil {
		return
	}
	c.started = true
	if c.persister != nil {
		go c.persister.run()
	}
	go c.run()
}

// Publish puts a copy of m into the outbox and returns at once. An error means
// that m was not taken: it is malformed, or ErrOffline, ErrFull, ErrTooLarge
// or ErrClosed. Updating a state allocates nothing once its buffers have grown
// to size.
func (c *Client) Publish(m Message) error {
	if err := m.check(); err != nil {
		return err
	}
	return c.outbox.put(m)
}

// Status returns the client's present condition.
func (c *Client) Status() Status {
	c.mu.Lock()
	s := c.status
	c.mu.Unlock()
	c.outbox.report(&s)
	return s
}

// Close publishes what is in the outbox until ctx ends, then last, and takes
// leave of the broker, so that the will is not published. It waits for the
// client's goroutines, and returns at most a moment (0.9 s, and 0.5 s more where
// the disk is slow) after ctx ends. The error says what was not delivered and is
// not on disk either; without a connection that is known at once. Publish fails
// from now on. A second Close waits for the first.
func (c *Client) Close(ctx context.Context, last ...Message) error {
	for i := range last {
		if err := last[i].check(); err != nil {
			return fmt.Errorf("last message: %w", err)
		}
	}
	bye, started := c.beginClose(ctx, last)
	c.cancel()
	if !started {
		return nil
	}
	// The disk last: it keeps what the broker did not get.
	return errors.Join(c.endConnection(ctx, bye), c.persister.end())
}

func (c *Client) endConnection(ctx context.Context, bye *farewell) error {
	select {
	case <-c.done:
		return bye.err
	case <-ctx.Done():
	}
	if c.wait(2 * closeGrace) {
		return bye.err
	}
	c.abort()
	if c.wait(closeGrace) {
		return bye.err
	}
	return errors.New("mqtt: close: the connection did not end in time")
}

func (c *Client) beginClose(ctx context.Context, last []Message) (bye *farewell, started bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil {
		c.closing = &farewell{ctx: ctx, last: last}
		c.outbox.close()
	}
	return c.closing, c.started
}

// wait reports whether the client's goroutine ended within d.
func (c *Client) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-timer.C:
		return false
	}
}

// abort cuts the open connection, if any, to free a goroutine that is blocked
// writing to it.
func (c *Client) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil {
		c.session.abort()
	}
}

// run connects again and again until Close, to one broker after another.
func (c *Client) run() {
	defer close(c.done)
	for ctx := c.take(); c.connect(ctx); ctx = c.take() {
	}
}

// connect connects again and again until ctx ends, and reports whether that was
// for another turn.
func (c *Client) connect(ctx context.Context) (more bool) {
	pause := backoff.Backoff{First: time.Second, Max: 10 * time.Second}
	other := rival{id: c.options.ClientID}
	var out outage
	for {
		c.pulse.Idle("connecting to the broker")
		s, err := open(ctx, &c.options, c.broker, c.topics)
		if err == nil {
			began := time.Now()
			lost := out.ended(c.log, began)
			c.tellLimits(s.limits)
			var explanation error
			err, explanation = c.serve(ctx, s)
			lost()
			if err == nil {
				return false
			}
			lasted, sound := time.Since(began), s.acknowledged && explanation == nil
			if sound && !forLater(err) || lasted >= steady {
				pause.Reset()
			}
			err = cmp.Or(explanation, other.lost(err, lasted, sound))
		} else {
			other.refused()
			c.adapt(err)
		}
		if c.ctx.Err() != nil {
			c.closeOffline(err)
			return false
		}
		if ctx.Err() != nil {
			return true
		}
		c.failed(err)
		out.failed(c.log, reason(err))
		c.told.tell(c.log, c.outbox.drops(), time.Now())
		c.pulse.Idle("broker away")
		backoff.Wait(ctx, pause.Next())
	}
}

// forLater reports that the broker wants to be left alone for a while.
func forLater(err error) bool {
	c, ok := codeOf(err)
	return ok && c.passes()
}

// adapt changes a will that the broker does not know.
func (c *Client) adapt(err error) {
	will := c.options.Will
	switch why, _ := codeOf(err); {
	case will == nil:
	case why == codeNoRetain:
		will.Retain = false
	case why == codeNoQoS:
		will.QoS = 0
	}
}

// tellLimits logs what the broker does not take, where it is new.
func (c *Client) tellLimits(l limits) {
	if l == c.known {
		return
	}
	c.known = l
	if l.noRetain && !c.options.NoRetain {
		c.log.Warn("mqtt: the broker keeps no retained messages: who subscribes later sees no states until they change")
	}
	if l.noQoS1 && !c.options.NoQoS1 {
		c.log.Warn("mqtt: the broker takes QoS 0 alone: events on their way when a connection breaks are lost")
	}
	if l.packet > 0 || l.window > 0 {
		c.log.Info("mqtt: the broker's limits", "packet_bytes", l.packet, "in_flight", l.window)
	}
}

func (c *Client) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.LastError = reason(err)
}

// closeOffline settles a Close that found no connection, or lost it.
func (c *Client) closeOffline(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !errors.Is(err, context.Canceled) {
		c.status.LastError = reason(err)
	}
	given, _ := c.outbox.replace(nil)
	if lost := given + len(c.closing.last); lost > 0 {
		c.closing.err = fmt.Errorf("mqtt: close: not connected to %v: %d messages were not delivered", c.broker, lost)
	}
}
