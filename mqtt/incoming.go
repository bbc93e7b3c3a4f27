package mqtt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxIncoming is the largest packet, in bytes after its fixed header, that is
// taken into memory. The libraries would make room for the 256 MiB that five bytes
// can announce:
// https://github.com/eclipse-paho/paho.mqtt.golang/issues/754
// https://github.com/eclipse-paho/paho.golang/issues/336
const maxIncoming = 64 << 10

const (
	packetPublish = 3 // types, in the upper half of the first byte [MQTT-2.1.2]
	packetPuback  = 4
	qosBits       = 0x06 // of the first byte of a PUBLISH
)

// incoming reads packets whole, of the one that is being read keeps at most
// maxIncoming bytes, and hands out only those that it kept whole. A longer message
// is passed over, whether it comes from an attacker or is retained by mistake: to
// close the connection at it would be to close every one. Both versions of the
// protocol look the same here.
type incoming struct {
	from   *bufio.Reader
	puback func(id [2]byte) error // acknowledges a message that is passed over
	tell   func(topic string, bytes int)

	packet []byte // the present one, reused
	rest   []byte // of packet, what was not handed out yet
}

// Read hands out the bytes of packets.
func (in *incoming) Read(p []byte) (int, error) {
	if err := in.more(); err != nil {
		return 0, err
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// whole hands out the next packet at once.
func (in *incoming) whole() ([]byte, error) {
	if err := in.more(); err != nil {
		return nil, err
	}
	data := in.rest
	in.rest = nil
	return data, nil
}

// more reads packets until there is something to hand out.
func (in *incoming) more() error {
	for len(in.rest) == 0 {
		if err := in.next(); err != nil {
			return err
		}
	}
	return nil
}

// next reads a packet; rest stays empty where it was passed over.
func (in *incoming) next() error {
	first, err := in.from.ReadByte()
	if err != nil {
		return err // between packets io.EOF is an end like any other
	}
	in.packet = append(in.packet[:0], first)
	length, err := in.length()
	if err != nil {
		return cutShort(err)
	}
	if length > maxIncoming {
		return cutShort(in.pass(first, length))
	}
	header := len(in.packet)
	in.packet = append(in.packet, make([]byte, length)...)
	if _, err := io.ReadFull(in.from, in.packet[header:]); err != nil {
		return cutShort(err)
	}
	in.rest = in.packet
	return nil
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// length reads the remaining length, of four bytes at most [MQTT-2.2.3].
func (in *incoming) length() (n int, err error) {
	for shift := 0; shift < 28; shift += 7 {
		b, err := in.from.ReadByte()
		if err != nil {
			return 0, err
		}
		in.packet = append(in.packet, b)
		n |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			return n, nil
		}
	}
	return 0, errors.New("the broker sent a packet whose length is malformed")
}

// pass reads a packet of so many bytes that is not kept: a message, acknowledged,
// so that it does not come again.
func (in *incoming) pass(first byte, length int) error {
	if first>>4 != packetPublish {
		return fmt.Errorf("the broker sent a packet of type %d and %d bytes, %d at most are taken", first>>4, length, maxIncoming)
	}
	var size, id [2]byte
	if _, err := io.ReadFull(in.from, size[:]); err != nil {
		return err
	}
	topic := make([]byte, binary.BigEndian.Uint16(size[:])) // shorter than the packet
	if _, err := io.ReadFull(in.from, topic); err != nil {
		return err
	}
	if length -= len(size) + len(topic); first&qosBits == 0 {
		in.tell(string(topic), length)
		_, err := in.from.Discard(length)
		return err
	}
	if _, err := io.ReadFull(in.from, id[:]); err != nil {
		return err
	}
	length -= len(id)
	in.tell(string(topic), length)
	if _, err := in.from.Discard(length); err != nil {
		return err
	}
	return in.puback(id)
}
