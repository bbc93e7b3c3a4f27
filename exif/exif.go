// Package exif reads how a picture is to be turned before it is looked at: the tag
// Orientation that cameras and telephones write (CIPA DC-008, Exif 3.0, 4.6.5.1.6).
// It reads what Pillow's ImageOps.exif_transpose does: Exif in JPEG's APP1 and in
// PNG's eXIf chunk, and where that says nothing the same tag in XMP. What is damaged
// says nothing.
package exif

import (
	"bytes"
	"encoding/binary"
)

// Orientation is how the stored rows and columns lie in the picture: 1 to 8 as the
// tag has them. 0 and 1 both say that it stands as it is stored.
type Orientation uint8

const (
	flipped    Orientation = 2 // left and right change places
	halfTurn   Orientation = 3
	upsideDown Orientation = 4 // top and bottom change places
	transposed Orientation = 5 // rows are columns
	quarter    Orientation = 6 // to be turned clockwise
	transverse Orientation = 7 // transposed, and turned by half
	backwards  Orientation = 8 // to be turned anticlockwise
)

// Upright reports whether nothing is to be turned.
func (o Orientation) Upright() bool { return o < flipped || o > backwards }

// Sideways reports whether the stored rows are the picture's columns, so that width
// and height change places.
func (o Orientation) Sideways() bool { return o >= transposed && o <= backwards }

// Mirrored reports, for each axis of the stored picture, whether it runs from the
// other side: x from right to left, y from bottom to top.
func (o Orientation) Mirrored() (x, y bool) {
	switch o {
	case flipped:
		return true, false
	case halfTurn, transverse:
		return true, true
	case upsideDown, quarter:
		return false, true
	case backwards:
		return true, false
	}
	return false, false
}

// Reader gathers what the parts of a picture say. The zero Reader has read nothing.
type Reader struct {
	tag Orientation // Exif's
	xmp Orientation // of no account where Exif has the tag
	saw bool        // a block of Exif: another one only continues it
	has bool        // it has the tag, whatever its value
}

// What APP1's bodies begin with.
const (
	exifName = "Exif\x00\x00"
	xmpName  = "http://ns.adobe.com/xap/1.0/\x00"
)

// APP1 takes the body of a JPEG's segment of that name, without marker and length.
func (r *Reader) APP1(body []byte) {
	if block, ok := bytes.CutPrefix(body, []byte(exifName)); ok && !r.saw {
		r.saw = true
		r.block(block)
	} else if packet, ok := bytes.CutPrefix(body, []byte(xmpName)); ok {
		r.xmp = ofXMP(packet)
	}
}

// Orientation is what the parts read so far say.
func (r *Reader) Orientation() Orientation {
	if r.has {
		return r.tag
	}
	return r.xmp
}

// OfPNG reads the chunks of a PNG.
func OfPNG(data []byte) Orientation {
	const signature, frame = 8, 12 // a chunk's length, name and checksum
	var r Reader
	for at := signature; at+frame <= len(data); {
		n := binary.BigEndian.Uint32(data[at:])
		if uint64(n) > uint64(len(data)-at-frame) {
			break
		}
		body := data[at+8:][:n]
		switch string(data[at+4 : at+8]) {
		case "eXIf":
			r.block(bytes.TrimPrefix(body, []byte(exifName)))
		case "iTXt":
			if packet, ok := bytes.CutPrefix(body, []byte("XML:com.adobe.xmp\x00")); ok {
				r.xmp = ofXMP(packet)
			}
		case "IEND":
			return r.Orientation()
		}
		at += frame + int(n)
	}
	return r.Orientation()
}

// TIFF's types of a whole number, the signed ones too, and the tag (TIFF 6.0, section
// 2).
const (
	typeShort       = 3
	typeLong        = 4
	typeSignedShort = 8
	typeSignedLong  = 9
	tagOrientation  = 0x0112
)

// block reads a block of Exif: a TIFF header, and the directory that it points to.
func (r *Reader) block(data []byte) {
	if len(data) < 8 {
		return
	}
	var order binary.ByteOrder
	switch string(data[:2]) {
	case "II":
		order = binary.LittleEndian
	case "MM":
		order = binary.BigEndian
	default:
		return
	}
	first := order.Uint32(data[4:])
	if uint64(first)+2 > uint64(len(data)) {
		return
	}
	directory := data[first:]
	entries := directory[2:]
	for range order.Uint16(directory) {
		if len(entries) < 12 {
			return
		}
		if order.Uint16(entries) == tagOrientation && r.entry(entries[:12], order) {
			return
		}
		entries = entries[12:]
	}
}

// entry reads the tag's entry: tag, type, count and, where they have room in it, the
// values, of which the first counts.
func (r *Reader) entry(e []byte, order binary.ByteOrder) bool {
	kind, count := order.Uint16(e[2:]), order.Uint32(e[4:])
	var v uint32
	switch {
	case (kind == typeShort || kind == typeSignedShort) && (count == 1 || count == 2):
		v = uint32(order.Uint16(e[8:]))
	case (kind == typeLong || kind == typeSignedLong) && count == 1:
		v = order.Uint32(e[8:])
	default:
		return false
	}
	r.tag, r.has = 0, true
	if v <= uint32(backwards) {
		r.tag = Orientation(v)
	}
	return true
}

// ofXMP finds the tag as an attribute or an element.
func ofXMP(packet []byte) Orientation {
	for {
		_, after, found := bytes.Cut(packet, []byte("tiff:Orientation"))
		if !found {
			return 0
		}
		for _, mark := range []string{`="`, ">"} {
			if value, ok := bytes.CutPrefix(after, []byte(mark)); ok && len(value) > 0 && value[0] >= '0' && value[0] <= '9' {
				return Orientation(value[0] - '0')
			}
		}
		packet = after
	}
}

// Segment is a JPEG's whole segment APP1, marker included, that says how it is to be
// turned; it belongs behind the start of image. nil where nothing is to be turned.
func Segment(o Orientation) []byte {
	if o.Upright() {
		return nil
	}
	const body = exifName + "MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"
	return append([]byte("\xff\xe1\x00\x22"+body), byte(o), 0, 0, 0, 0, 0, 0)
}
