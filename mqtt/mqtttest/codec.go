package mqtttest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The broker has a codec of its own, so that the clients' libraries are not tested
// against themselves. It knows MQTT 3.1.1 and 5, by the version in CONNECT.

// Types of packets [MQTT-2.1.2].
const (
	typeConnect    = 1
	typeConnack    = 2
	typePublish    = 3
	typePuback     = 4
	typeSubscribe  = 8
	typeSuback     = 9
	typePingreq    = 12
	typePingresp   = 13
	typeDisconnect = 14
)

// Properties of CONNACK [MQTT-5 3.2.2.3].
const (
	propServerKeepAlive = 0x13
	propReceiveMaximum  = 0x21
	propMaximumQoS      = 0x24
	propRetainAvailable = 0x25
	propMaximumPacket   = 0x27
)

var errMalformed = errors.New("mqtttest: malformed packet")

// Packet is one as it came: its first byte, and what follows the length.
type Packet struct {
	First byte
	Body  []byte
}

// Type is the packet's type.
func (p Packet) Type() byte { return p.First >> 4 }

// ReadPacket reads a packet of either version.
func ReadPacket(r io.Reader) (Packet, error) {
	var b [1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return Packet{}, err
	}
	p, n := Packet{First: b[0]}, 0
	for shift := 0; ; shift += 7 {
		if _, err := io.ReadFull(r, b[:]); err != nil || shift > 21 {
			return Packet{}, errors.Join(err, errMalformed)
		}
		if n |= int(b[0]&0x7f) << shift; b[0] < 0x80 {
			break
		}
	}
	p.Body = make([]byte, n)
	_, err := io.ReadFull(r, p.Body)
	return p, err
}

// Bytes is the packet as it goes over the wire.
func (p Packet) Bytes() []byte {
	list := binary.AppendUvarint([]byte{p.First}, uint64(len(p.Body)))
	return append(list, p.Body...)
}

// fields takes a packet's body apart. After an error all is zero.
type fields struct {
	rest []byte
	err  error
}

func (f *fields) take(n int) []byte {
	if f.err != nil || n > len(f.rest) {
		f.err = errMalformed
		return make([]byte, min(n, 2))
	}
	part := f.rest[:n]
	f.rest = f.rest[n:]
	return part
}

func (f *fields) byte() byte     { return f.take(1)[0] }
func (f *fields) uint16() uint16 { return binary.BigEndian.Uint16(f.take(2)) }
func (f *fields) bytes() []byte  { return f.take(int(f.uint16())) }
func (f *fields) string() string { return string(f.bytes()) }

// properties skips those of version 5.
func (f *fields) properties(version byte) {
	if version < 5 || f.err != nil {
		return
	}
	n, k := binary.Uvarint(f.rest)
	if k <= 0 {
		f.err = errMalformed
		return
	}
	f.take(k)
	f.take(int(n))
}

// connect is a CONNECT packet.
type connect struct {
	version            byte
	id                 string
	username, password string
	will               *Message
}

func parseConnect(p Packet) (connect, error) {
	f := &fields{rest: p.Body}
	if p.Type() != typeConnect || f.string() != "MQTT" {
		return connect{}, fmt.Errorf("mqtttest: type %d before CONNECT", p.Type())
	}
	var c connect
	c.version = f.byte()
	flags := f.byte()
	f.uint16() // keep-alive
	f.properties(c.version)
	c.id = f.string()
	if flags&0x04 != 0 {
		f.properties(c.version)
		c.will = &Message{Will: true, Topic: f.string(), Payload: f.string(), QoS: flags >> 3 & 3, Retain: flags&0x20 != 0}
	}
	if flags&0x80 != 0 {
		c.username = f.string()
	}
	if flags&0x40 != 0 {
		c.password = f.string()
	}
	return c, f.err
}

// ParsePublish takes a PUBLISH packet of a version apart.
func ParsePublish(p Packet, version byte) (m Message, id uint16, err error) {
	f := &fields{rest: p.Body}
	m = Message{QoS: p.First >> 1 & 3, Retain: p.First&1 != 0, Dup: p.First&8 != 0, Topic: f.string()}
	if m.QoS > 0 {
		id = f.uint16()
	}
	f.properties(version)
	m.Payload = string(f.rest)
	return m, id, f.err
}

// ParsePuback takes a PUBACK packet of either version apart. A code of 0x80 or more
// is a refusal.
func ParsePuback(p Packet) (id uint16, code byte) {
	f := &fields{rest: p.Body}
	if id = f.uint16(); len(f.rest) > 0 {
		code = f.byte()
	}
	return id, code
}

func parseSubscribe(p Packet, version byte) (id uint16, filters []string, err error) {
	f := &fields{rest: p.Body}
	id = f.uint16()
	f.properties(version)
	for len(f.rest) > 0 && f.err == nil {
		filters = append(filters, f.string())
		f.byte() // options
	}
	return id, filters, f.err
}

func connack(version, code byte, f *Fault) []byte {
	body := []byte{0, code}
	if version >= 5 {
		list := f.properties()
		body = append(append(body, byte(len(list))), list...)
	}
	return Packet{typeConnack << 4, body}.Bytes()
}

// properties are those of CONNACK.
func (f *Fault) properties() (list []byte) {
	if f.ServerKeepAlive > 0 {
		list = binary.BigEndian.AppendUint16(append(list, propServerKeepAlive), f.ServerKeepAlive)
	}
	if f.ReceiveMaximum > 0 {
		list = binary.BigEndian.AppendUint16(append(list, propReceiveMaximum), f.ReceiveMaximum)
	}
	if f.NoQoS1 {
		list = append(list, propMaximumQoS, 0)
	}
	if f.NoRetain {
		list = append(list, propRetainAvailable, 0)
	}
	if f.MaxPacket > 0 {
		list = binary.BigEndian.AppendUint32(append(list, propMaximumPacket), f.MaxPacket)
	}
	return list
}

func puback(version byte, id uint16, code byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	if version >= 5 && code != 0 {
		body = append(body, code)
	}
	return Packet{typePuback << 4, body}.Bytes()
}

func suback(version byte, id uint16, codes []byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	if version >= 5 {
		body = append(body, 0)
	}
	return Packet{typeSuback << 4, append(body, codes...)}.Bytes()
}

// delivery is a PUBLISH of QoS 1 and number 1.
func delivery(version byte, topic, payload string, retain bool) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(len(topic)))
	body = append(append(body, topic...), 0, 1)
	if version >= 5 {
		body = append(body, 0)
	}
	first := byte(typePublish<<4 | 1<<1)
	if retain {
		first |= 1
	}
	return Packet{first, append(body, payload...)}.Bytes()
}

func disconnect(code byte) []byte { return []byte{typeDisconnect << 4, 1, code} }
