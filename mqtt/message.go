package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Why Publish did not take a message.
var (
	ErrClosed   = errors.New("mqtt: client closed")
	ErrOffline  = errors.New("mqtt: not connected, QoS 0 message dropped")
	ErrFull     = errors.New("mqtt: outbox full")
	ErrTooLarge = errors.New("mqtt: message larger than the outbox")
)

// maxTopic is the longest topic that the protocol can carry, in bytes.
const maxTopic = 1<<16 - 1

// maxPayload is the longest payload that goes into a packet beside any topic.
const maxPayload = maxPacket - maxTopic - 64

// Message is one publication. Retain makes it the present state of its topic;
// an empty retained payload removes that state from the broker.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte // 0 or 1
	Retain  bool
}

// check says what is wrong with m before it can reach the wire, where a broker
// would answer it by closing the connection.
func (m *Message) check() error {
	switch {
	case m.QoS > 1:
		return fmt.Errorf("mqtt: message on %q: QoS %d is not supported, only 0 and 1", m.Topic, m.QoS)
	case m.Topic == "":
		return errors.New("mqtt: message without a topic")
	case len(m.Topic) > maxTopic:
		return fmt.Errorf("mqtt: topic of %d bytes is longer than %d", len(m.Topic), maxTopic)
	case len(m.Payload) > maxPayload:
		return fmt.Errorf("mqtt: message on %q: payload of %d bytes is longer than %d", m.Topic, len(m.Payload), maxPayload)
	case strings.ContainsAny(m.Topic, "+#\x00"):
		return fmt.Errorf("mqtt: topic %q contains +, # or NUL", m.Topic)
	case !utf8.ValidString(m.Topic):
		return fmt.Errorf("mqtt: topic %q is not UTF-8", m.Topic)
	}
	return nil
}
