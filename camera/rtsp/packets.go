package rtsp

import (
	"bytes"
	"errors"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// fragment is what a packet carries of one NAL unit.
type fragment struct {
	header      []byte // of the unit
	body        []byte // that follows the header, or the fragment before
	first, last bool
}

// errPayload is a packet that is cut short or of a kind that is not read, such as
// those of interleaved streams.
var errPayload = errors.New("unreadable packet")

// Kinds of packets that are no NAL units (RFC 6184, 5.2; RFC 7798, 4.4).
const (
	aggregateH264 = int(h264.NALUTypeSTAPA)
	fragmentH264  = int(h264.NALUTypeFUA)
	aggregateH265 = int(h265.NALUType_AggregationUnit)
	fragmentH265  = int(h265.NALUType_FragmentationUnit)
)

// fragmentsH264 lists what a payload holds (RFC 6184).
func fragmentsH264(p []byte) ([]fragment, error) {
	switch kind := kindH264(p); {
	case kind == aggregateH264:
		return aggregated(p[1:], 1)
	case kind == fragmentH264:
		if len(p) < 2 {
			return nil, errPayload
		}
		return []fragment{{[]byte{p[0]&0xe0 | p[1]&31}, p[2:], p[1]&0x80 != 0, p[1]&0x40 != 0}}, nil
	case kind > 23:
		return nil, errPayload
	}
	return single(p, 1)
}

// fragmentsH265 lists what a payload holds (RFC 7798).
func fragmentsH265(p []byte) ([]fragment, error) {
	switch kind := kindH265(p); {
	case kind == aggregateH265:
		return aggregated(p[2:], 2)
	case kind == fragmentH265:
		if len(p) < 3 {
			return nil, errPayload
		}
		return []fragment{{[]byte{p[0]&0x81 | p[2]&63<<1, p[1]}, p[3:], p[2]&0x80 != 0, p[2]&0x40 != 0}}, nil
	case kind > 47:
		return nil, errPayload
	}
	return single(p, 2)
}

func single(p []byte, header int) ([]fragment, error) {
	if len(p) < header {
		return nil, errPayload
	}
	return []fragment{{p[:header], p[header:], true, true}}, nil
}

// aggregated lists units with their lengths ahead; zeros behind them are padding.
func aggregated(p []byte, header int) ([]fragment, error) {
	var list []fragment
	for len(p) >= 2 {
		n := int(p[0])<<8 | int(p[1])
		if p = p[2:]; n == 0 && len(bytes.Trim(p, "\x00")) == 0 {
			return list, nil
		}
		if n > len(p) || n < header {
			return list, errPayload
		}
		list = append(list, fragment{p[:header], p[header:n], true, true})
		p = p[n:]
	}
	if len(p) > 0 {
		return list, errPayload
	}
	return list, nil
}

// units are a picture's NAL units. The error says that one is not whole.
func (c *codec) units(p *picture) (units [][]byte, err error) {
	open := false
	for _, payload := range p.payloads {
		list, err := c.fragments(payload)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			if f.first == open { // a fragment of nothing, or a unit without its end
				return nil, errPayload
			}
			if f.first {
				units = append(units, append(f.header[:len(f.header):len(f.header)], f.body...))
			} else {
				units[len(units)-1] = append(units[len(units)-1], f.body...)
			}
			open = !f.last
		}
	}
	if open {
		return nil, errPayload
	}
	return split(units), nil
}

// beginnings are what there is of a torn picture's NAL units: the first fragment of
// each, of others a keyframe's header alone.
func (c *codec) beginnings(p *picture) (whole, cut [][]byte) {
	for _, payload := range p.payloads {
		list, _ := c.fragments(payload) // what is damaged is left out
		for _, f := range list {
			switch unit := append(f.header[:len(f.header):len(f.header)], f.body...); {
			case f.first && f.last:
				whole = append(whole, unit)
			case f.first:
				cut = append(cut, unit)
			case c.isSlice(c.kind(f.header)) && c.slice(f.header).key:
				cut = append(cut, f.header)
			}
		}
	}
	return split(whole), cut
}

var startCode = []byte{0, 0, 1}

// split undoes what some cameras do: wrap several units into one, in Annex B's
// form. No unit has a start code in it.
func split(units [][]byte) [][]byte {
	var list [][]byte
	for _, unit := range units {
		if !bytes.Contains(unit, startCode) {
			list = append(list, unit)
			continue
		}
		for piece := range bytes.SplitSeq(unit, startCode) {
			if piece = bytes.TrimRight(piece, "\x00"); len(piece) > 0 {
				list = append(list, piece)
			}
		}
	}
	return list
}
