package mqtt

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"

	v3 "github.com/eclipse/paho.mqtt.golang/packets"
)

// reading is an incoming of bytes, which notes what is passed over.
type reading struct {
	incoming
	acks   []uint16
	topics []string
}

func read(from io.Reader) *reading {
	r := &reading{}
	r.incoming = incoming{
		from:   bufio.NewReader(from),
		puback: func(id [2]byte) error { r.acks = append(r.acks, binary.BigEndian.Uint16(id[:])); return nil },
		tell:   func(topic string, _ int) { r.topics = append(r.topics, topic) },
	}
	return r
}

// header is a packet's fixed header.
func header(first byte, length int) []byte {
	h := []byte{first}
	for {
		b := byte(length & 0x7f)
		if length >>= 7; length == 0 {
			return append(h, b)
		}
		h = append(h, b|0x80)
	}
}

// zeros gives n bytes that are in no memory.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestPacketsAboveTheLimitAreNotKept(t *testing.T) {
	const size = 200 << 20
	start := slices.Concat(header(0x32, size), []byte("\x00\x01t\x01\x02"))
	next := []byte{0xd0, 0}
	r := read(io.MultiReader(bytes.NewReader(start), io.LimitReader(zeros{}, size-5), bytes.NewReader(next)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := io.ReadAll(r)
	runtime.ReadMemStats(&after)
	if err != nil || !bytes.Equal(got, next) {
		t.Errorf("read % x, %v; want the packet after it", got, err)
	}
	if !slices.Equal(r.acks, []uint16{0x0102}) || !slices.Equal(r.topics, []string{"t"}) {
		t.Errorf("acknowledged %v of %q", r.acks, r.topics)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes of memory for a packet of 200 MiB", n)
	}
}

func TestPacketsThatAreRefused(t *testing.T) {
	for name, data := range map[string][]byte{
		"SUBACK of 200 MiB":   header(0x90, 200<<20),
		"length of five":      {0x30, 0xff, 0xff, 0xff, 0xff, 0x01},
		"cut in the length":   {0x30, 0xff},
		"cut in the body":     {0x30, 4, 0, 1, 't'},
		"message without end": slices.Concat(header(0x32, 100_000), []byte("\x00\x01t")),
	} {
		got, err := io.ReadAll(read(bytes.NewReader(data)))
		if err == nil || len(got) > 0 {
			t.Errorf("%s: read % x, %v; want an error", name, got, err)
		}
	}
}

// FuzzIncoming holds that what comes through is whole packets within the limit, in
// order, and that the libraries' parsers take any of them without a panic.
func FuzzIncoming(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0xd0, 0, 0x30, 4, 0, 1, 't', 'x', 0x90, 3, 0, 1, 0x80})
	f.Add(slices.Concat(header(0x32, 70_000), []byte("\x00\x01t\x01\x02"), make([]byte, 69_995), []byte{0x40, 2, 0, 1}))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := read(bytes.NewReader(data))
		got, err := io.ReadAll(r)
		if err == nil && len(r.topics) == 0 && !bytes.Equal(got, data) {
			t.Fatalf("% x came through as % x", data, got)
		}
		for rest := got; len(rest) > 0; {
			n, k := binary.Uvarint(rest[1:])
			if k <= 0 || k > 4 || n > maxIncoming || int(n) > len(rest)-1-k {
				t.Fatalf("% x is no whole packet", rest)
			}
			rest = rest[1+k+int(n):]
		}
		for from := bytes.NewReader(got); from.Len() > 0; {
			if _, err := v3.ReadPacket(from); errors.Is(err, io.EOF) && from.Len() > 0 {
				break
			}
		}
	})
}
