package mqtt

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/eclipse/paho.golang/packets"
)

// TestPahoTakesAnEmptyDisconnectForCutShort shows what decode works around: a
// DISCONNECT without a reason is two bytes [MQTT-5 3.14.2.1].
func TestPahoTakesAnEmptyDisconnectForCutShort(t *testing.T) {
	empty := []byte{0xe0, 0}
	if _, err := packets.ReadPacket(bytes.NewReader(empty)); !errors.Is(err, io.EOF) {
		t.Errorf("paho: %v; it used to fail", err)
	}
	p, err := decode(empty)
	if err != nil || p.Content.(*packets.Disconnect).ReasonCode != 0 {
		t.Errorf("decode: %v, %v", p, err)
	}
}

// TestPahoReadsALengthForEver shows why only whole packets come to it:
// https://github.com/eclipse-paho/paho.golang/issues/324
func TestPahoReadsALengthForEver(t *testing.T) {
	data := append([]byte{0x40}, bytes.Repeat([]byte{0xff}, 1000)...)
	from := bytes.NewReader(data)
	if _, err := packets.ReadPacket(from); err == nil || from.Len() > 0 {
		t.Errorf("paho: %v with %d bytes left; it used to read all", err, from.Len())
	}
	r := read(bytes.NewReader(data))
	if _, err := r.whole(); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read: %v, want a malformed length", err)
	}
}

// FuzzLink5 gives a link, after CONNACK, what a broker may send: it ends or goes on,
// without a panic or a goroutine that stays.
func FuzzLink5(f *testing.F) {
	for _, seed := range [][]byte{
		{0x40, 2, 0, 1}, {0x40, 3, 0, 1, 0x87}, {0x40, 4, 0, 1, 0x87, 0}, {0x90, 4, 0, 1, 0, 1}, {0xd0, 0}, {0xe0, 0}, {0xe0, 1, 0x8e},
		{0x32, 8, 0, 1, 't', 0, 1, 0, 'x', 'y'}, {0x30, 10, 0, 1, 't', 5, 0x26, 0, 0, 0, 0, 'x'}, {0xe0, 9, 0x97, 7, 0x1f, 0, 4, 'f', 'u', 'l', 'l'},
		{0x20, 3, 0, 0, 0}, {0xf0, 0}, {0x40, 1, 0}, {0x32, 3, 0, 1, 't'},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go io.Copy(io.Discard, theirs)
			go theirs.Write(append([]byte{0x20, 3, 0, 0, 0}, data...))
			defer theirs.Close()
			o := Options{Received: func(Message) {}}.withDefaults()
			l, err := connect5(newWire(ours, o.Log), &o, address{})
			if err != nil {
				t.Fatal(err)
			}
			r := l.publish(Message{Topic: "t", QoS: 1})
			<-r.Done() // acknowledged, or the end, for want of an answer to pings at the latest
			l.wire.Close()
			l.join()
		})
	})
}

// FuzzConnack gives a link any answer to CONNECT.
func FuzzConnack(f *testing.F) {
	for _, seed := range [][]byte{
		{0x20, 3, 0, 0, 0}, {0x20, 2, 0, 1}, {0x20, 3, 0, 0x9a, 0}, {0x20, 8, 0, 0, 5, 0x27, 0, 0, 7, 208}, {0x20, 6, 0, 0, 3, 0x21, 0, 0},
		{0x20, 6, 0, 0, 3, 0x13, 0, 0}, {0x20, 5, 0, 0, 2, 0x24, 0}, {0xe0, 1, 0x97}, {0x20, 4, 0, 0, 0xff, 0xff},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go io.Copy(io.Discard, theirs)
			go func() { theirs.Write(data); theirs.Close() }()
			o := Options{}.withDefaults()
			l, err := connect5(newWire(ours, o.Log), &o, address{})
			if err != nil {
				return
			}
			if n := l.limits; n.window < 0 || n.packet < 0 || n.packet > maxPacket || l.interval <= 0 || l.interval > keepAlive {
				t.Errorf("limits %+v, a ping each %v", n, l.interval)
			}
			l.wire.Close()
			l.join()
		})
	})
}
