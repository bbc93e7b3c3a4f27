package mqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

var (
	errNoPing   = errors.New("no answer to keep-alive")
	errNoAck    = fmt.Errorf("no acknowledgement in %v", ackTimeout)
	errNoSuback = fmt.Errorf("no answer to a subscription in %v", ackTimeout)
)

// session is one connection, from CONNACK to its end. It belongs to the
// client's goroutine; abort alone may be called from elsewhere.
type session struct {
	link   link
	wire   *wire
	limits limits
	ready  bool     // the last message sent has been written
	flight []flight // in the order sent

	acknowledged bool     // the broker has answered to a message
	unconfirmed  *suspect // the oldest QoS 0 message written since it last did
}

// flight is a message that was handed to the link.
type flight struct {
	entry   *entry
	what    suspect
	qos     byte
	receipt receipt
}

// open connects to the broker within dialTimeout, or until ctx ends, and
// subscribes.
func open(ctx context.Context, o *Options, at address, topics *subscriptions) (*session, error) {
	conn, err := dial(ctx, o, at)
	if err != nil {
		return nil, err
	}
	s := &session{wire: newWire(conn, o.Log), ready: true}
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	if err := s.connect(o, at); err != nil {
		return nil, err
	}
	if err := topics.ask(s, time.Now()); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

func (s *session) connect(o *Options, at address) error {
	if o.Protocol == Protocol5 {
		l, err := connect5(s.wire, o, at)
		if err == nil {
			s.link, s.limits = l, l.limits
		}
		return err
	}
	l, err := connect3(s.wire, o, at)
	s.link, s.limits = l, o.limits()
	return err
}

// dial opens the network connection. A WebSocket's cannot be cut short by ctx,
// only by dialTimeout: paho offers no context for it.
func dial(ctx context.Context, o *Options, at address) (net.Conn, error) {
	if o.Dial != nil {
		return o.Dial(ctx)
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	switch at.transport {
	case overWebSocket:
		config, err := o.TLS.config(at.url.Hostname())
		if err != nil {
			return nil, err
		}
		return paho.NewWebsocket(at.url.String(), config, dialTimeout, nil, nil)
	case overTLS:
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		return dialTLS(ctx, dialer, o, at)
	}
	return dialer.DialContext(ctx, "tcp", at.url.Host)
}

// send hands m, which is e's, to the link, which may read the payload until the
// message is settled or the session has ended. To be called only when ready.
func (s *session) send(e *entry, m Message) {
	m.Retain = m.Retain && !s.limits.noRetain
	if s.limits.noQoS1 {
		m.QoS = 0
	}
	s.flight = append(s.flight, flight{e, suspectOf(e, m.Payload), m.QoS, s.link.publish(m)})
	s.ready = false
}

// tooLarge reports whether the broker said that it does not take a packet of m's
// size, and the smallest payload on its topic that it does not take.
func (s *session) tooLarge(m Message) (least int, too bool) {
	const header = 1 + 4 + 2 + 2 + 1 // at most: type, length, topic's length, identifier, properties' length
	least = max(s.limits.packet-header-len(m.Topic)+1, 0)
	return least, s.limits.packet > 0 && len(m.Payload) >= least
}

// oldest is closed when the fate of the oldest message in flight is known; nil
// when none is. Brokers acknowledge in order [MQTT-4.6.0-2], so waiting for
// the oldest alone is enough.
func (s *session) oldest() <-chan struct{} {
	if len(s.flight) == 0 {
		return nil
	}
	return s.flight[0].receipt.Done()
}

// settle calls done for each message at the head of the flight that was delivered,
// and refused for each that the broker does not take, and returns the error of the
// first that failed or that refused returns.
func (s *session) settle(done func(*entry), refused func(flight, code) error) error {
	n := 0
	defer func() { s.flight = append(s.flight[:0], s.flight[n:]...) }()
	for _, f := range s.flight {
		select {
		case <-f.receipt.Done():
		default:
			return nil
		}
		err := f.receipt.Error()
		if c, ok := codeOf(err); ok {
			err = refused(f, c)
		} else if err == nil {
			s.confirm(f)
			done(f.entry)
		}
		if err != nil {
			return err
		}
		n++
	}
	return nil
}

// confirm notes that f was acknowledged, or at QoS 0 written.
func (s *session) confirm(f flight) {
	switch {
	case f.qos > 0:
		s.acknowledged, s.unconfirmed = true, nil
	case s.unconfirmed == nil:
		s.unconfirmed = &f.what
	}
}

// suspects are the oldest and the newest message that the broker may not have
// taken.
func (s *session) suspects() (first suspect, last mark, some bool) {
	if n := len(s.flight); n > 0 {
		first, last, some = s.flight[0].what, s.flight[n-1].what.mark, true
	}
	if s.unconfirmed != nil {
		first = *s.unconfirmed
		if !some {
			last = first.mark
		}
		some = true
	}
	return first, last, some
}

// entries lists what is in flight.
func (s *session) entries() []*entry {
	list := make([]*entry, len(s.flight))
	for i, f := range s.flight {
		list[i] = f.entry
	}
	return list
}

// abort cuts the connection without a word: the broker publishes the will.
func (s *session) abort() { s.wire.Close() }

const (
	goodbyeTimeout = 250 * time.Millisecond // for DISCONNECT to be written
	joinTimeout    = time.Minute            // far more than a link's goroutines need once their connection is closed
)

// leave takes leave of the broker, which drops the will, and ends the session.
func (s *session) leave() {
	s.link.leave()
	s.end()
}

// end cuts the connection if it still stands and waits for the link's goroutines,
// after which nothing reads the payloads in flight any more.
func (s *session) end() {
	s.abort()
	s.link.join()
}

// link speaks one version of the protocol over a wire. All but what it hands to
// Options.Received is for one goroutine.
type link interface {
	// publish hands m over at once; to be called when the message before it has
	// been written. The payload is read until the receipt is done or join has
	// returned.
	publish(m Message) receipt
	// subscribe asks for topics at QoS 1 and waits for the answer, within
	// ackTimeout: a code for each, of which 0x80 and above are refusals.
	subscribe(filters []string) (map[string]byte, error)
	// leave takes leave of the broker, within goodbyeTimeout.
	leave()
	// join waits for the link's goroutines when the wire is closed.
	join()
}

// receipt is the fate of a message: PUBACK, or at QoS 0 that it was written.
type receipt interface {
	Done() <-chan struct{}
	Error() error // once done; a *refused where the broker does not take it
}

// limits are what a broker takes.
type limits struct {
	noRetain, noQoS1 bool
	window           int // messages unacknowledged; 0: any number
	packet           int // bytes of a packet; 0: any
}

// limits are those that are known before the broker tells its own.
func (o *Options) limits() limits { return limits{noRetain: o.NoRetain, noQoS1: o.NoQoS1} }
