package baseline

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Markers (ITU-T T.81, table B.1).
const (
	markNone = 0    // the end of the data in place of one
	markSOF0 = 0xc0 // baseline
	markSOF1 = 0xc1 // extended sequential
	markDHT  = 0xc4
	markJPG  = 0xc8
	markSOFF = 0xcf
	markRST0 = 0xd0
	markSOI  = 0xd8
	markEOI  = 0xd9
	markSOS  = 0xda
	markDQT  = 0xdb
	markDNL  = 0xdc // number of lines
	markDRI  = 0xdd
	markCOM  = 0xfe // comment
)

// ErrKind says that the picture is not of the kind that this package decodes.
var ErrKind = errors.New("not a baseline JPEG of one scan")

var (
	errDamaged = errors.New("damaged")
	errShort   = errors.New("ends early")
)

// component is one channel and how its blocks are laid out.
type component struct {
	id     byte
	h, v   int // blocks in an MCU
	quant  int
	dc, ac int // Huffman tables
	pred   int32

	side   int // of its blocks, in samples
	pix    []byte
	stride int
}

// header reads all segments up to the scan's data, whose offset it returns.
func (d *Decoder) header(data []byte) (int, error) {
	if !bytes.HasPrefix(data, []byte{0xff, markSOI}) {
		return 0, errDamaged
	}
	d.quantSet, d.components, d.restart = [4]bool{}, nil, 0
	d.small.on, d.small.whole = false, false
	for i := range d.dcTables {
		d.dcTables[i].set, d.acTables[i].set = false, false
	}
	for at := 2; ; {
		mark, from, to, err := segmentAt(data, at)
		if err != nil {
			return 0, err
		}
		if at = to; mark == markSOS {
			return at, d.scan(data[from:to])
		}
		if err := d.segment(mark, data[from:to]); err != nil {
			return 0, err
		}
	}
}

// segmentAt finds the next marker with a body, data[from:to]. As image/jpeg and
// libjpeg do, it steps over bytes that belong to no segment.
func segmentAt(data []byte, at int) (mark byte, from, to int, err error) {
	for {
		gap := bytes.IndexByte(data[at:], 0xff)
		if gap < 0 || at+gap+3 >= len(data) {
			return 0, 0, 0, errShort
		}
		at += gap + 1
		switch mark = data[at]; {
		case mark == 0 || mark == 0xff || mark >= markRST0 && mark <= markSOI:
			continue // stuffing, fill or a marker without body
		case mark == markEOI:
			return 0, 0, 0, errDamaged
		}
		n := int(binary.BigEndian.Uint16(data[at+1:]))
		if from, to = at+3, at+1+n; n < 2 || to > len(data) {
			return 0, 0, 0, errShort
		}
		return mark, from, to, nil
	}
}

func (d *Decoder) segment(mark byte, body []byte) error {
	switch {
	case mark == markDQT:
		return d.quantisation(body)
	case mark == markDHT:
		return d.huffmanTables(body)
	case mark == markSOF0 || mark == markSOF1:
		return d.frame(body)
	case mark == markDRI:
		if len(body) != 2 {
			return errDamaged
		}
		d.restart = int(binary.BigEndian.Uint16(body))
	case mark > markSOF1 && mark <= markSOFF && mark != markJPG:
		return ErrKind
	}
	return nil
}

func (d *Decoder) quantisation(body []byte) error {
	for len(body) > 0 {
		wide, to := int(body[0]>>4), body[0]&15
		if wide > 1 || to > 3 || len(body) < 1+64*(1+wide) {
			return errDamaged
		}
		body = body[1:]
		for i := range d.quant[to] {
			if wide == 1 {
				d.quant[to][i] = int32(binary.BigEndian.Uint16(body[2*i:]))
			} else {
				d.quant[to][i] = int32(body[i])
			}
		}
		d.quantSet[to] = true
		body = body[64*(1+wide):]
	}
	return nil
}

// frame reads the sizes. Where two components' sampling has no common whole
// factor it is nothing that a camera sends.
func (d *Decoder) frame(body []byte) error {
	if len(d.components) > 0 || len(body) < 6 || len(body) != 6+3*int(body[5]) {
		return errDamaged
	}
	d.height, d.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	n := int(body[5])
	if body[0] != 8 || n < 1 || n > 4 || d.width == 0 || d.height == 0 {
		return ErrKind
	}
	blocks := 0
	d.hMax, d.vMax = 1, 1
	for i := range n {
		s := body[6+3*i:]
		c := component{id: s[0], h: int(s[1] >> 4), v: int(s[1] & 15), quant: int(s[2])}
		if n == 1 {
			c.h, c.v = 1, 1 // a single component is not interleaved (A.2.2)
		}
		if c.quant > 3 || c.h < 1 || c.v < 1 {
			return errDamaged
		}
		blocks += c.h * c.v
		d.hMax, d.vMax = max(d.hMax, c.h), max(d.vMax, c.v)
		c.pix = d.buffer[i].pix // of the last picture
		d.buffer[i] = c
	}
	d.components = d.buffer[:n]
	if blocks > mostBlocks {
		return ErrKind
	}
	for _, c := range d.components {
		if d.hMax%c.h != 0 || d.vMax%c.v != 0 {
			return ErrKind
		}
	}
	return nil
}

// scan checks that the scan holds all components, in the frame's order.
func (d *Decoder) scan(body []byte) error {
	n := len(d.components)
	if n == 0 || len(body) < 1 || len(body) != 4+2*int(body[0]) {
		return errDamaged
	}
	if int(body[0]) != n || body[2*n+1] != 0 || body[2*n+2] != 63 || body[2*n+3] != 0 {
		return ErrKind
	}
	for i := range d.components {
		c, s := &d.components[i], body[1+2*i:]
		if s[0] != c.id {
			return ErrKind
		}
		c.dc, c.ac = int(s[1]>>4), int(s[1]&15)
		if c.dc > 3 || c.ac > 3 || !d.quantSet[c.quant] {
			return errDamaged
		}
		if err := d.standard(c.dc, c.ac); err != nil {
			return err
		}
	}
	return nil
}

// standard defines the tables that the picture did not: cameras leave the
// standard ones out of their Motion-JPEG.
func (d *Decoder) standard(dc, ac int) error {
	if !d.dcTables[dc].set {
		if dc > 1 {
			return errDamaged
		}
		if err := d.dcTables[dc].define(standardDC[dc], true); err != nil {
			return err
		}
	}
	if d.acTables[ac].set {
		return nil
	}
	if ac > 1 {
		return errDamaged
	}
	return d.acTables[ac].define(standardAC[ac], false)
}
