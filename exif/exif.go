// Package exif reads how a picture is to be turned before it is looked at: the tag
// Orientation that cameras and telephones write (CIPA DC-008, Exif 3.0, 4.6.5.1.6).
// It reads what Pillow's ImageOps.exif_transpose does: Exif in JPEG's APP1, in PNG's
// eXIf chunk, in WebP's chunk EXIF, the directory that is a TIFF's own, and where that
// says nothing the same tag in XMP. What is damaged says nothing.
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

// OfWebP reads the chunks of a WebP.
func OfWebP(data []byte) Orientation {
	const container, head = 12, 8 // RIFF, length and WEBP; a chunk's name and length
	var r Reader
	for at := container; at+head <= len(data); {
		n := binary.LittleEndian.Uint32(data[at+4:])
		if uint64(n) > uint64(len(data)-at-head) {
			break
		}
		body := data[at+head:][:n]
		switch string(data[at : at+4]) {
		case "EXIF":
			r.block(bytes.TrimPrefix(body, []byte(exifName)))
		case "XMP ":
			r.xmp = ofXMP(body)
		}
		at += head + int(n) + int(n&1)
	}
	return r.Orientation()
}

// OfTIFF reads a TIFF's first directory.
func OfTIFF(data []byte) Orientation {
	var r Reader
	if d := r.block(data); !r.has {
		r.xmp = ofXMP(d.bytes(tagXMP))
	}
	return r.Orientation()
}

// TIFF's types of a whole number, the signed ones too, and the tag (TIFF 6.0, section
// 2).
const (
	typeByte        = 1
	typeShort       = 3
	typeLong        = 4
	typeUndefined   = 7
	typeSignedShort = 8
	typeSignedLong  = 9
	tagOrientation  = 0x0112
	tagXMP          = 0x02bc
)

// Directory is the first directory of a TIFF file, or of a block of Exif, which is one.
type Directory struct {
	data    []byte
	order   binary.ByteOrder
	entries []byte // 12 bytes each: tag, type, count, value or where it is
}

// ReadDirectory finds a TIFF's first directory; false where there is none. Of one that
// is cut short it has the entries that are there.
func ReadDirectory(data []byte) (d Directory, ok bool) {
	if len(data) < 8 {
		return d, false
	}
	switch string(data[:2]) {
	case "II":
		d.order = binary.LittleEndian
	case "MM":
		d.order = binary.BigEndian
	default:
		return d, false
	}
	first := d.order.Uint32(data[4:])
	if uint64(first)+2 > uint64(len(data)) {
		return d, false
	}
	n := entry * int(d.order.Uint16(data[first:]))
	rest := data[first+2:]
	d.data, d.entries = data, rest[:min(n, len(rest)/entry*entry)]
	return d, true
}

// entry is the length of a directory's entry.
const entry = 12

// Uint is the first value of a tag of whole numbers, where they have room in the entry;
// 0 where there is none.
func (d Directory) Uint(tag uint16) uint32 {
	for e := d.entries; len(e) > 0; e = e[entry:] {
		if d.order.Uint16(e) != tag {
			continue
		}
		switch d.order.Uint16(e[2:]) {
		case typeShort:
			return uint32(d.order.Uint16(e[8:]))
		case typeLong:
			return d.order.Uint32(e[8:])
		}
	}
	return 0
}

// bytes are those of a tag that has more than four.
func (d Directory) bytes(tag uint16) []byte {
	for e := d.entries; len(e) > 0; e = e[entry:] {
		kind, n, at := d.order.Uint16(e[2:]), uint64(d.order.Uint32(e[4:])), uint64(d.order.Uint32(e[8:]))
		if d.order.Uint16(e) == tag && (kind == typeByte || kind == typeUndefined) && n > 4 && at+n <= uint64(len(d.data)) {
			return d.data[at : at+n]
		}
	}
	return nil
}

// block reads a block of Exif.
func (r *Reader) block(data []byte) Directory {
	d, _ := ReadDirectory(data)
	for e := d.entries; len(e) > 0; e = e[entry:] {
		if d.order.Uint16(e) == tagOrientation && r.entry(e[:entry], d.order) {
			break
		}
	}
	return d
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
