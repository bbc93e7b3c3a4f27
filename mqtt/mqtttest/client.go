package mqtttest

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

var errCut = errors.New("mqtttest: cut on command")

// client is one connection to the broker, served by one goroutine.
type client struct {
	broker *Broker
	conn   net.Conn
	number int
	id     string
	will   *Message // nil once DISCONNECT has been read
	count  int      // messages published
}

// serve ends with the connection, and publishes the will if it broke.
func (c *client) serve() {
	defer c.broker.wg.Done()
	c.converse()
	c.conn.Close()
	if c.will != nil {
		c.broker.record(*c.will)
	}
	c.broker.forget(c.conn)
}

func (b *Broker) forget(conn net.Conn) {
	b.update(func(s *State) {
		delete(b.conns, conn)
		b.readers = slices.DeleteFunc(b.readers, func(r net.Conn) bool { return r == conn })
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
		packet, err := packets.ReadPacket(c.conn)
		if err != nil {
			return err
		}
		if err := c.answer(packet); err != nil {
			return err
		}
	}
}

// greet reads CONNECT and answers it.
func (c *client) greet() error {
	packet, err := packets.ReadPacket(c.conn)
	if err != nil {
		return err
	}
	connect, ok := packet.(*packets.ConnectPacket)
	if !ok {
		return fmt.Errorf("mqtttest: %T before CONNECT", packet)
	}
	fault, _ := c.broker.behaviour()
	c.broker.update(func(s *State) {
		s.Connects++
		s.Username, s.Password = connect.Username, string(connect.Password)
	})
	if fault.Mute {
		_, err := packets.ReadPacket(c.conn) // nothing comes but the end
		return err
	}
	ack := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
	ack.ReturnCode = fault.Refuse
	if err := ack.Write(c.conn); err != nil || fault.Refuse != 0 {
		return errors.Join(err, errCut)
	}
	c.id = connect.ClientIdentifier
	c.takeWill(connect)
	return nil
}

func (c *client) takeWill(p *packets.ConnectPacket) {
	if p.WillFlag {
		c.will = &Message{
			Client: c.id, Conn: c.number, Will: true,
			Topic: p.WillTopic, Payload: string(p.WillMessage), QoS: p.WillQos, Retain: p.WillRetain,
		}
	}
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

func (c *client) answer(packet packets.ControlPacket) error {
	fault, _ := c.broker.behaviour()
	switch p := packet.(type) {
	case *packets.PublishPacket:
		return c.publish(p, fault)
	case *packets.SubscribePacket:
		return c.subscribe(p, fault)
	case *packets.PubackPacket:
		c.broker.update(func(s *State) { s.Acks++ })
		return nil
	case *packets.PingreqPacket:
		if fault.NoPing {
			return nil
		}
		return packets.NewControlPacket(packets.Pingresp).Write(c.conn)
	case *packets.DisconnectPacket:
		c.will = nil
		return errors.New("mqtttest: client left")
	}
	return fmt.Errorf("mqtttest: unexpected %T", packet)
}

func (c *client) subscribe(p *packets.SubscribePacket, fault Fault) error {
	if fault.ForbidFilter != "" && strings.Contains(strings.Join(p.Topics, " "), fault.ForbidFilter) {
		return errCut
	}
	ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
	ack.MessageID = p.MessageID
	for range p.Topics {
		ack.ReturnCodes = append(ack.ReturnCodes, fault.Suback)
	}
	if err := ack.Write(c.conn); err != nil {
		return err
	}
	c.broker.update(func(s *State) {
		s.Subscribed = append(s.Subscribed, p.Topics...)
		if fault.Suback < 0x80 {
			c.broker.readers = append(c.broker.readers, c.conn)
		}
	})
	return nil
}

func (c *client) publish(p *packets.PublishPacket, fault Fault) error {
	c.count++
	cut := fault.CutFrom > 0 && c.count >= fault.CutFrom
	if fault.Forbid != "" && strings.Contains(p.TopicName, fault.Forbid) || fault.MaxPayload > 0 && len(p.Payload) > fault.MaxPayload {
		return errCut
	}
	if cut && !fault.Taken {
		return errCut
	}
	c.broker.record(Message{
		Client: c.id, Conn: c.number,
		Topic: p.TopicName, Payload: string(p.Payload), QoS: p.Qos, Retain: p.Retain, Dup: p.Dup,
	})
	if cut {
		return errCut
	}
	if p.Qos == 0 || fault.NoAck {
		return nil
	}
	ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	ack.MessageID = p.MessageID
	return ack.Write(c.conn)
}
