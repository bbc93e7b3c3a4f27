package mqtt

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"dynvit/mqtt/spool"
)

const (
	defaultQueueMessages = 100_000
	defaultQueueBytes    = 16 << 20 // states, snapshots and some ten thousand events

	keepAlive    = 30 * time.Second // half-open connections are found after at most 45 s
	pingTimeout  = 10 * time.Second
	dialTimeout  = 10 * time.Second       // network, TLS and the broker's CONNACK together
	writeTimeout = 5 * time.Second        // of one packet
	handOver     = 500 * time.Millisecond // of a message to paho, which is idle then
	ackTimeout   = 20 * time.Second       // of the oldest message in flight

	// maxInFlight is how many messages may be unacknowledged: mosquitto's
	// max_inflight_messages.
	maxInFlight = 20
)

// Protocol is a version of MQTT.
type Protocol uint8

const (
	Protocol3 Protocol = iota // 3.1.1
	Protocol5                 // in which the broker says what it does not take, and why
)

// Options say where a Client publishes and what it begins and ends with.
type Options struct {
	Broker             string // see Check
	Protocol           Protocol
	Username, Password string
	ClientID           string // unique at the broker: a second client of that name ends the first

	// Will is what the broker publishes when the connection ends without
	// Close.
	Will *Message

	// For a broker that knows no retained messages, or QoS 0 alone: nothing is sent
	// retained; all is sent at QoS 0, so that what is in flight when a connection
	// breaks is lost.
	NoRetain, NoQoS1 bool

	// Subscribe are topic filters, subscribed at QoS 1 on every connection.
	// Received gets what comes: on the connection's reader, which stops until
	// it returns, so it only hands over. The payload is the receiver's to keep.
	Subscribe []string
	Received  func(Message)

	// Birth are the first states, published first on every connection. They
	// must be retained.
	Birth []Message

	Log   *slog.Logger // nil: no log
	Pulse Pulse        // nil: nobody watches

	// Bounds of the outbox, in memory and on disk; 0 is 100 000 messages, 16 MiB
	// of topics and payloads. Of one message a disk takes spool.MaxMessage.
	QueueMessages, QueueBytes int

	// EventTTL is how long an event may wait; 0: for ever.
	EventTTL time.Duration

	// OpenDisk opens what keeps events over a restart; nil: events are in memory
	// alone. It is called by a goroutine of the client's, and again after it failed.
	OpenDisk func() (spool.Disk, error)

	TLS TLS // for mqtts and wss

	// Dial opens the connection in place of the network, nil except in tests.
	Dial func(context.Context) (net.Conn, error)
}

// withDefaults fills what was left out and copies what the caller may reuse.
func (o Options) withDefaults() Options {
	if o.QueueMessages == 0 {
		o.QueueMessages = defaultQueueMessages
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = defaultQueueBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Pulse == nil {
		o.Pulse = noPulse{}
	}
	if o.Will != nil {
		will := *o.Will
		will.Payload = slices.Clone(will.Payload)
		will.Retain = will.Retain && !o.NoRetain
		if o.NoQoS1 {
			will.QoS = 0
		}
		o.Will = &will
	}
	return o
}

// Check reports what New would not take.
func (o Options) Check() error {
	_, err := newTurn(o)
	return err
}

func (o *Options) check() error {
	if o.QueueMessages < 0 || o.QueueBytes < 0 {
		return fmt.Errorf("mqtt: outbox of %d messages and %d bytes", o.QueueMessages, o.QueueBytes)
	}
	if err := o.TLS.Check(); err != nil {
		return fmt.Errorf("mqtt: TLS: %w", err)
	}
	if o.Password != "" && o.Username == "" {
		return fmt.Errorf("mqtt: a password without a user name")
	}
	if len(o.Username) > maxTopic || len(o.Password) > maxTopic || len(o.ClientID) > maxTopic {
		return fmt.Errorf("mqtt: user name, password or client id longer than %d bytes", maxTopic)
	}
	if o.Will != nil {
		if err := o.Will.check(); err != nil {
			return fmt.Errorf("will: %w", err)
		}
		if len(o.Will.Payload) > maxTopic { // the same length field
			return fmt.Errorf("mqtt: will of %d bytes is longer than %d", len(o.Will.Payload), maxTopic)
		}
	}
	if len(o.Subscribe) > 0 && o.Received == nil {
		return fmt.Errorf("mqtt: subscription to %q without a receiver", o.Subscribe[0])
	}
	for _, m := range o.Birth {
		if !m.Retain {
			return fmt.Errorf("mqtt: birth message on %q is not retained", m.Topic)
		}
	}
	return nil
}

// Same reports whether a client would connect in the same way.
func (o Options) Same(p Options) bool {
	type way struct {
		broker, user, password, id string
		protocol                   Protocol
		noRetain, noQoS1           bool
		tls                        TLS
	}
	of := func(o *Options) way {
		return way{o.Broker, o.Username, o.Password, o.ClientID, o.Protocol, o.NoRetain, o.NoQoS1, o.TLS}
	}
	return of(&o) == of(&p) && slices.Equal(o.Subscribe, p.Subscribe)
}
