package mqtt

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

var errNoConnack = errors.New("the broker refused the connection with an unknown code")

// link3 is MQTT 3.1.1 by paho.mqtt.golang.
type link3 struct {
	paho     paho.Client
	wire     *wire
	received func(Message)
}

// connect3 shakes hands over w within dialTimeout, or fails and has closed it.
func connect3(w *wire, o *Options, at address) (*link3, error) {
	l := &link3{paho.NewClient(options3(w, o, at)), w, o.Received}
	token := l.paho.Connect()
	<-token.Done() // bounded by the deadline that paho sets for the handshake
	if err := token.Error(); err != nil {
		w.Close() // not join: paho started nothing that would take a DISCONNECT
		return nil, refusedConnect(err, o.Will, at)
	}
	if w.isClosed() {
		l.join()
		return nil, errNoConnack
	}
	return l, nil
}

// refusedConnect says of paho's error whether the broker refused or the network
// failed.
func refusedConnect(err error, will *Message, at address) error {
	switch {
	case errors.Is(err, packets.ErrorRefusedIDRejected):
		return fmt.Errorf("the broker refused the connection: %w (or, by mosquitto, a keep-alive of %v, above its max_keepalive)", err, keepAlive)
	case !errors.Is(err, packets.ErrorNetworkError):
		return fmt.Errorf("the broker refused the connection: %w", err)
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		err = joined.Unwrap()[1] // paho's "network Error : <the error>"
	}
	return closedUnanswered(err, will, at)
}

// options3 turns everything in paho off that this package does itself.
func options3(w *wire, o *Options, at address) *paho.ClientOptions {
	p := paho.NewClientOptions()
	p.Servers = []*url.URL{at.url}
	p.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return w, nil })
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

// publish blocks for handOver where the connection has just been lost. While it
// stands, a QoS 1 token without an error means PUBACK; it is reconnecting that
// makes paho's tokens lie, and that is off.
func (l *link3) publish(m Message) receipt {
	return l.paho.Publish(m.Topic, m.QoS, m.Retain, m.Payload)
}

func (l *link3) subscribe(filters []string) (map[string]byte, error) {
	wanted := make(map[string]byte)
	for _, f := range filters {
		wanted[f] = 1
	}
	token := l.paho.SubscribeMultiple(wanted, func(_ paho.Client, m paho.Message) {
		l.received(Message{Topic: m.Topic(), Payload: m.Payload(), QoS: min(m.Qos(), 1), Retain: m.Retained()})
	})
	if !token.WaitTimeout(ackTimeout) {
		return nil, errNoSuback
	}
	if err := token.Error(); err != nil {
		return nil, fmt.Errorf("subscribe: %w", l.wire.why(err))
	}
	return token.(*paho.SubscribeToken).Result(), nil
}

func (l *link3) leave() { l.paho.Disconnect(uint(goodbyeTimeout.Milliseconds())) }

// join may return early where paho is down already.
func (l *link3) join() { l.paho.Disconnect(uint(joinTimeout.Milliseconds())) }
