package mqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

var (
	errNoPing    = errors.New("no answer to keep-alive")
	errNoAck     = fmt.Errorf("no acknowledgement in %v", ackTimeout)
	errNoSuback  = fmt.Errorf("no answer to a subscription in %v", ackTimeout)
	errNoConnack = errors.New("the broker refused the connection with an unknown code")
)

// session is one connection, from CONNACK to its end. It belongs to the
// client's goroutine; abort alone may be called from elsewhere.
type session struct {
	paho   paho.Client
	wire   *wire
	ready  bool     // the last message sent has been written
	flight []flight // in the order sent

	noRetain, noQoS1 bool // the broker knows neither

	acknowledged bool     // the broker has answered to a message
	unconfirmed  *suspect // the oldest QoS 0 message written since it last did
}

// flight is a message that was handed to paho, and paho's promise.
type flight struct {
	entry *entry
	what  suspect
	qos   byte
	token paho.Token
}

// open connects to the broker within dialTimeout, or until ctx ends, and
// subscribes.
func open(ctx context.Context, o *Options, at address, topics *subscriptions) (*session, error) {
	conn, err := dial(ctx, o, at)
	if err != nil {
		return nil, err
	}
	s := &session{wire: newWire(conn, o.Log), ready: true, noRetain: o.NoRetain, noQoS1: o.NoQoS1}
	s.paho = paho.NewClient(s.options(o, at))
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	token := s.paho.Connect()
	<-token.Done() // bounded by the deadline that paho sets for the handshake
	if err := token.Error(); err != nil {
		s.abort() // not end: paho started nothing that would take a DISCONNECT
		return nil, refusedConnect(err, o.Will, at)
	}
	if s.wire.isClosed() {
		s.end()
		return nil, errNoConnack
	}
	if err := topics.ask(s, time.Now()); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// subscribe asks for topics and waits for the answer: a return code for each.
func (s *session) subscribe(filters []string, received func(Message)) (map[string]byte, error) {
	wanted := make(map[string]byte)
	for _, f := range filters {
		wanted[f] = 1
	}
	token := s.paho.SubscribeMultiple(wanted, func(_ paho.Client, m paho.Message) {
		received(Message{Topic: m.Topic(), Payload: m.Payload(), QoS: min(m.Qos(), 1), Retain: m.Retained()})
	})
	if !token.WaitTimeout(ackTimeout) {
		return nil, errNoSuback
	}
	if err := token.Error(); err != nil {
		return nil, fmt.Errorf("subscribe: %w", s.cause(err))
	}
	return token.(*paho.SubscribeToken).Result(), nil
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

// options turns everything in paho off that this package does itself.
func (s *session) options(o *Options, at address) *paho.ClientOptions {
	p := paho.NewClientOptions()
	p.Servers = []*url.URL{at.url}
	p.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return s.wire, nil })
	p.SetProtocolVersion(4) // named, else a refusal is tried again as MQTT 3.1
	p.SetCleanSession(true)
	p.SetAutoReconnect(false)
	p.SetConnectRetry(false)
	p.SetConnectTimeout(dialTimeout)
	p.SetWriteTimeout(handOver)
	p.SetKeepAlive(keepAlive)
	p.SetPingTimeout(pingTimeout)
	p.SetClientID(o.ClientID)
	p.SetUsername(o.Username)
	p.SetPassword(o.Password)
	if w := o.Will; w != nil {
		p.SetBinaryWill(w.Topic, w.Payload, w.QoS, w.Retain)
	}
	return p
}

// send hands m, which is e's, to paho, which reads the payload until its token
// is done or the session has ended. To be called only when ready: paho then
// takes m at once unless the connection has just been lost, in which case send
// blocks for handOver.
func (s *session) send(e *entry, m Message) {
	m.Retain = m.Retain && !s.noRetain
	if s.noQoS1 {
		m.QoS = 0
	}
	token := s.paho.Publish(m.Topic, m.QoS, m.Retain, m.Payload)
	s.flight = append(s.flight, flight{e, suspectOf(e, m.Payload), m.QoS, token})
	s.ready = false
}

// oldest is closed when the fate of the oldest message in flight is known; nil
// when none is. Brokers acknowledge in order [MQTT-4.6.0-2], so waiting for
// the oldest alone is enough.
func (s *session) oldest() <-chan struct{} {
	if len(s.flight) == 0 {
		return nil
	}
	return s.flight[0].token.Done()
}

// settle calls done for each message at the head of the flight that was
// delivered, and returns the error of the first that failed. While the
// connection stands, a QoS 1 token without an error means PUBACK; it is
// reconnecting that makes paho's tokens lie, and that is off.
func (s *session) settle(done func(*entry)) error {
	n := 0
	defer func() { s.flight = append(s.flight[:0], s.flight[n:]...) }()
	for _, f := range s.flight {
		select {
		case <-f.token.Done():
		default:
			return nil
		}
		if err := f.token.Error(); err != nil {
			return err
		}
		s.confirm(f)
		done(f.entry)
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

// cause is why the connection ended: the wire knows better than paho, whose
// guess is taken only where the wire saw nothing.
func (s *session) cause(guess error) error {
	if err := s.wire.err(); err != nil {
		return err
	}
	return guess
}

// abort cuts the connection without a word: the broker publishes the will.
func (s *session) abort() { s.wire.Close() }

const (
	goodbyeTimeout = 250 * time.Millisecond // for DISCONNECT to be written
	joinTimeout    = time.Minute            // far more than paho's goroutines need once their connection is closed
)

// leave takes leave of the broker, which drops the will, and ends the session.
func (s *session) leave() {
	s.paho.Disconnect(uint(goodbyeTimeout.Milliseconds()))
	s.end()
}

// end cuts the connection if it still stands and waits for paho's goroutines,
// after which nothing reads the payloads in flight any more. Disconnect
// returns early where paho is down already.
func (s *session) end() {
	s.abort()
	s.paho.Disconnect(uint(joinTimeout.Milliseconds()))
}
