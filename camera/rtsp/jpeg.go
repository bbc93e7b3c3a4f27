package rtsp

import (
	"errors"
	"slices"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmjpeg"
	"github.com/pion/rtp"
)

// errJPEG is a picture whose packets are not those of RFC 2435.
var errJPEG = errors.New("unreadable JPEG packets")

// pictures makes JPEG files of packets (RFC 2435), of which each picture is one.
// The library makes them, but for restart markers and for tables that are sent
// once. One goroutine uses it at a time.
type pictures struct {
	tables [256][]byte // by quality: what was sent last, with its header
}

// add appends a picture to dst, as a file.
func (m *pictures) add(dst []byte, p *picture) ([]byte, verdict) {
	if p.torn || len(p.payloads) == 0 {
		return dst, lost
	}
	data, err := m.file(p.payloads)
	if err != nil {
		return dst, lost
	}
	return append(dst, data...), complete
}

func (m *pictures) file(payloads [][]byte) ([]byte, error) {
	var decoder rtpmjpeg.Decoder
	for i, payload := range payloads {
		restart, plain, err := m.plain(payload)
		if err != nil {
			return nil, err
		}
		packet := &rtp.Packet{Header: rtp.Header{Marker: i == len(payloads)-1}, Payload: plain}
		data, err := decoder.Decode(packet)
		if err == nil && restart != nil {
			data = slices.Insert(data, 2, 0xff, 0xdd, 0, 4, restart[0], restart[1])
		}
		if err != rtpmjpeg.ErrMorePacketsNeeded {
			return data, err
		}
	}
	return nil, errJPEG
}

// plain is a packet without its restart header, of which it returns the interval (nil:
// none), and with its tables.
func (m *pictures) plain(payload []byte) (restart, plain []byte, err error) {
	if len(payload) < 8 {
		return nil, nil, errJPEG
	}
	header, body := slices.Clone(payload[:8]), payload[8:]
	if kind := header[4]; kind >= 64 && kind < 128 {
		if len(body) < 4 {
			return nil, nil, errJPEG
		}
		header[4], restart, body = kind-64, body[:2], body[4:]
	}
	quality := header[5]
	if quality >= 100 && quality < 128 {
		return nil, nil, errJPEG // reserved
	}
	if first := header[1]|header[2]|header[3] == 0; first && quality >= 128 {
		table, rest, err := m.table(quality, body)
		if err != nil {
			return nil, nil, err
		}
		header, body = append(header, table...), rest
	}
	return restart, append(header, body...), nil
}

// table is the quantization table that begins a body, or the last of that quality.
func (m *pictures) table(quality byte, body []byte) (table, rest []byte, err error) {
	if len(body) < 4 {
		return nil, nil, errJPEG
	}
	n := 4 + int(body[2])<<8 + int(body[3])
	if n > len(body) {
		return nil, nil, errJPEG
	}
	if n > 4 {
		m.tables[quality] = slices.Clone(body[:n])
	}
	if m.tables[quality] == nil {
		return nil, nil, errJPEG
	}
	return m.tables[quality], body[n:], nil
}
