package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

const (
	magic      = "dvob"
	version    = 1
	headerSize = 36
	recordHead = 8 // length and CRC

	kindMessage = 1
	kindDone    = 2

	messageHead = 1 + 8 + 8 + 8 + 2 // of a body, before the topic
	doneSize    = 1 + 8 + 8

	// maxSeq is more than any log will count to, and leaves room to count on.
	maxSeq = 1 << 62

	// MaxMessage is the largest message, topic and payload together, in bytes.
	MaxMessage = 16 << 20

	// Overhead is what a message takes on disk beyond its topic and payload.
	Overhead = recordHead + messageHead
)

var (
	errTorn    = errors.New("spool: not a whole header")
	errVersion = errors.New("spool: written by another version of this program")

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Message is one message of the log.
type Message struct {
	Seq     uint64 // given by the caller, counting up
	At      time.Time
	Topic   string // at most 65535 bytes
	Payload []byte
}

// header is the first bytes of a segment.
type header struct {
	number uint64
	boot   [16]byte
	crc    uint32 // of the encoded header; what the CRCs of its records begin with
}

func appendHeader(b []byte, h header) ([]byte, uint32) {
	start := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, h.number)
	b = append(b, h.boot[:]...)
	crc := crc32.Checksum(b[start:], castagnoli)
	return binary.LittleEndian.AppendUint32(b, crc), crc
}

// readHeader fails with errVersion only where the bytes are whole.
func readHeader(data []byte) (header, error) {
	if len(data) < headerSize || string(data[:4]) != magic {
		return header{}, errTorn
	}
	h := header{
		number: binary.LittleEndian.Uint64(data[8:]),
		boot:   [16]byte(data[16:32]),
		crc:    binary.LittleEndian.Uint32(data[32:]),
	}
	switch {
	case crc32.Checksum(data[:32], castagnoli) != h.crc:
		return header{}, errTorn
	case binary.LittleEndian.Uint16(data[4:]) != version:
		return header{}, errVersion
	}
	return h, nil
}

// stamp is a moment on both clocks, in milliseconds.
type stamp struct{ wall, sinceBoot int64 }

func appendMessage(b []byte, seed uint32, m *Message, at stamp) []byte {
	b, start := beginRecord(b)
	b = append(b, kindMessage)
	b = binary.LittleEndian.AppendUint64(b, m.Seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(at.wall))
	b = binary.LittleEndian.AppendUint64(b, uint64(at.sinceBoot))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(m.Topic)))
	b = append(b, m.Topic...)
	b = append(b, m.Payload...)
	return endRecord(b, start, seed)
}

func appendDone(b []byte, seed uint32, s Span) []byte {
	b, start := beginRecord(b)
	b = append(b, kindDone)
	b = binary.LittleEndian.AppendUint64(b, s.First)
	b = binary.LittleEndian.AppendUint64(b, s.Last)
	return endRecord(b, start, seed)
}

func beginRecord(b []byte) ([]byte, int) {
	return append(b, make([]byte, recordHead)...), len(b)
}

func endRecord(b []byte, start int, seed uint32) []byte {
	body := b[start+recordHead:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(body)))
	crc := crc32.Update(crc32.Update(seed, castagnoli, b[start:start+4]), castagnoli, body)
	binary.LittleEndian.PutUint32(b[start+4:], crc)
	return b
}

// nextBody returns the body of the record that data begins with, and what
// follows it; ok is false where no whole record is.
func nextBody(data []byte, seed uint32) (body, rest []byte, ok bool) {
	if len(data) < recordHead {
		return nil, nil, false
	}
	n := uint64(binary.LittleEndian.Uint32(data))
	if n == 0 || n > uint64(len(data)-recordHead) {
		return nil, nil, false
	}
	body = data[recordHead : recordHead+n]
	crc := crc32.Update(crc32.Update(seed, castagnoli, data[:4]), castagnoli, body)
	if crc != binary.LittleEndian.Uint32(data[4:]) {
		return nil, nil, false
	}
	return body, data[recordHead+n:], true
}

// parseMessage reads the body of a message, whose bytes it refers to; At is
// left to the caller.
func parseMessage(body []byte) (m Message, at stamp, ok bool) {
	if len(body) < messageHead {
		return m, at, false
	}
	m.Seq = binary.LittleEndian.Uint64(body[1:])
	at.wall = int64(binary.LittleEndian.Uint64(body[9:]))
	at.sinceBoot = int64(binary.LittleEndian.Uint64(body[17:]))
	n := int(binary.LittleEndian.Uint16(body[25:]))
	rest := body[messageHead:]
	if n > len(rest) || m.Seq == 0 || m.Seq > maxSeq {
		return m, at, false
	}
	m.Topic, m.Payload = string(rest[:n]), rest[n:]
	return m, at, true
}

func parseDone(body []byte) (s Span, ok bool) {
	if len(body) != doneSize {
		return s, false
	}
	s = Span{binary.LittleEndian.Uint64(body[1:]), binary.LittleEndian.Uint64(body[9:])}
	return s, s.First <= s.Last && s.Last <= maxSeq
}

// Span is a run of sequence numbers, both ends included.
type Span struct{ First, Last uint64 }

// AppendSpan adds s to spans, joined to the last one where it follows it.
func AppendSpan(spans []Span, s Span) []Span {
	if n := len(spans); n > 0 && spans[n-1].Last+1 == s.First {
		spans[n-1].Last = s.Last
		return spans
	}
	return append(spans, s)
}
