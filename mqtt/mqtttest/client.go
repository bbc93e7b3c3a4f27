package mqtttest

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
)

var errCut = errors.New("mqtttest: cut on command")

// Reason codes of MQTT 5 that the broker gives by itself.
const (
	NotAuthorized      = 0x87
	PacketTooLarge     = 0x95
	RetainNotSupported = 0x9a
	QoSNotSupported    = 0x9b
)

// client is one connection to the broker, served by one goroutine.
type client struct {
	broker  *Broker
	conn    net.Conn
	number  int
	version byte // of the protocol
	id      string
	will    *Message // nil once DISCONNECT has been read
	count   int      // messages published
}

// serve ends with the connection, and publishes the will if it broke.
func (c *client) serve() {
	defer c.broker.wg.Done()
	c.converse()
	c.conn.Close()
	if c.will != nil {
		c.broker.record(*c.will)
	}
	c.broker.forget(c)
}

func (b *Broker) forget(c *client) {
	b.update(func(s *State) {
		delete(b.conns, c.conn)
		b.clients = slices.DeleteFunc(b.clients, func(r *client) bool { return r == c })
		b.readers = slices.DeleteFunc(b.readers, func(r *client) bool { return r == c })
		s.Open--
	})
}

func (c *client) converse() error {
	if err := c.greet(); err != nil {
		return err
	}
	for {
		if err := c.stall(); err != nil {
			return err
		}
		packet, err := ReadPacket(c.conn)
		if err != nil {
			return err
		}
		if err := c.answer(packet); err != nil {
			return err
		}
	}
}

func (c *client) write(packet []byte) error {
	_, err := c.conn.Write(packet)
	return err
}

// closeAt ends the connection, in MQTT 5 with a word why.
func (c *client) closeAt(code byte) error {
	if c.version >= 5 {
		c.write(disconnect(code))
	}
	return errCut
}

// greet reads CONNECT and answers it.
func (c *client) greet() error {
	packet, err := ReadPacket(c.conn)
	if err != nil {
		return err
	}
	connect, err := parseConnect(packet)
	if err != nil {
		return err
	}
	c.version = connect.version
	fault, _ := c.broker.behaviour()
	c.broker.update(func(s *State) {
		s.Connects++
		s.Version = connect.version
		s.Username, s.Password = connect.username, connect.password
	})
	if fault.Mute {
		_, err := ReadPacket(c.conn) // nothing comes but the end
		return err
	}
	if fault.Only3 && c.version >= 5 {
		return errors.Join(c.write(connack(4, 1, &fault)), errCut)
	}
	if w := connect.will; fault.Refuse == 0 && w != nil && (fault.NoRetain && w.Retain || fault.NoQoS1 && w.QoS > 0) {
		return c.refuseWill(w, &fault)
	}
	if err := c.write(connack(c.version, fault.Refuse, &fault)); err != nil || fault.Refuse != 0 {
		return errors.Join(err, errCut)
	}
	c.id = connect.id
	if c.will = connect.will; c.will != nil {
		c.will.Client, c.will.Conn = c.id, c.number
	}
	c.broker.update(func(*State) { c.broker.clients = append(c.broker.clients, c) })
	return nil
}

func (c *client) refuseWill(w *Message, f *Fault) error {
	code := byte(QoSNotSupported)
	if f.NoRetain && w.Retain {
		code = RetainNotSupported
	}
	if c.version >= 5 {
		return errors.Join(c.write(connack(c.version, code, &Fault{})), errCut)
	}
	return errCut
}

// stall holds the reader while the broker is told to, and until it is down.
func (c *client) stall() error {
	for {
		fault, changed := c.broker.behaviour()
		if !fault.Stall {
			return nil
		}
		if c.broker.isDown() {
			return errDown
		}
		<-changed
	}
}

func (c *client) answer(p Packet) error {
	fault, _ := c.broker.behaviour()
	switch p.Type() {
	case typePublish:
		return c.publish(p, &fault)
	case typeSubscribe:
		return c.subscribe(p, &fault)
	case typePuback:
		c.broker.update(func(s *State) { s.Acks++ })
		return nil
	case typePingreq:
		c.broker.update(func(s *State) { s.Pings++ })
		if fault.NoPing {
			return nil
		}
		return c.write([]byte{typePingresp << 4, 0})
	case typeDisconnect:
		c.will = nil
		return errors.New("mqtttest: client left")
	}
	return fmt.Errorf("mqtttest: unexpected packet of type %d", p.Type())
}

func (c *client) subscribe(p Packet, fault *Fault) error {
	id, filters, err := parseSubscribe(p, c.version)
	if err != nil {
		return err
	}
	if fault.ForbidFilter != "" && strings.Contains(strings.Join(filters, " "), fault.ForbidFilter) {
		return c.closeAt(NotAuthorized)
	}
	codes := slices.Repeat([]byte{fault.Suback}, len(filters))
	if err := c.write(suback(c.version, id, codes)); err != nil {
		return err
	}
	c.broker.update(func(s *State) {
		s.Subscribed = append(s.Subscribed, filters...)
		if fault.Suback < 0x80 {
			c.broker.readers = append(c.broker.readers, c)
		}
	})
	return nil
}

func (c *client) publish(p Packet, fault *Fault) error {
	m, id, err := ParsePublish(p, c.version)
	if err != nil {
		return err
	}
	m.Client, m.Conn = c.id, c.number
	c.count++
	if code := fault.closes(m, len(p.Bytes())); code != 0 {
		return c.closeAt(code)
	}
	cut := fault.CutFrom > 0 && c.count >= fault.CutFrom
	if cut && !fault.Taken {
		return errCut
	}
	if fault.Deny != "" && strings.Contains(m.Topic, fault.Deny) && c.version >= 5 && m.QoS > 0 {
		return c.write(puback(c.version, id, fault.DenyCode))
	}
	c.broker.record(m)
	if cut {
		return errCut
	}
	if m.QoS == 0 || fault.NoAck {
		return nil
	}
	return c.write(puback(c.version, id, 0))
}

// closes is the reason to close the connection at a message; 0: none.
func (f *Fault) closes(m Message, packet int) byte {
	switch {
	case f.Forbid != "" && strings.Contains(m.Topic, f.Forbid):
		return NotAuthorized
	case f.MaxPayload > 0 && len(m.Payload) > f.MaxPayload, f.MaxPacket > 0 && packet > int(f.MaxPacket):
		return PacketTooLarge
	case f.NoRetain && m.Retain:
		return RetainNotSupported
	case f.NoQoS1 && m.QoS > 0:
		return QoSNotSupported
	}
	return 0
}
