package preprocess

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"dynvit/exif"
)

// jpegHeader is what a JPEG says before its first scan.
type jpegHeader struct {
	width, height int
	colours       colours
	halved        bool // of four components, the second and third have half the size
	scan          int  // offset of the first scan's marker
	turn          exif.Orientation
	progressive   bool
	share         [2]int // samples of all components a pixel: a fraction
}

// Markers (ITU-T T.81, table B.1).
const (
	markSOI   = 0xd8 // start of image
	markEOI   = 0xd9
	markSOS   = 0xda // start of scan
	markSOF0  = 0xc0 // start of frame: 0xc0 to 0xcf but for the three below
	markSOF2  = 0xc2 // progressive
	markSOF15 = 0xcf
	markDHT   = 0xc4 // Huffman tables
	markJPG   = 0xc8
	markDAC   = 0xcc
	markRST0  = 0xd0 // restart, to 0xd7
	markAPP0  = 0xe0
	markAPP1  = 0xe1
	markAPP14 = 0xee
)

// jpegFacts are the segments' words on colour and orientation, before they are judged.
type jpegFacts struct {
	components []byte // 3 bytes each: id, sampling, quantisation table
	jfif       bool
	adobe      bool
	transform  byte // Adobe's: 0 as is, 1 YCbCr, 2 YCCK
	exif       exif.Reader
}

var (
	errNoJPEG  = errors.New("does not begin as a JPEG")
	errNoFrame = errors.New("no frame header before the first scan")
	errShort   = errors.New("ends inside its header")
)

// readJPEGHeader reads up to the first scan.
func readJPEGHeader(data []byte) (jpegHeader, error) {
	if !bytes.HasPrefix(data, []byte{0xff, markSOI}) {
		return jpegHeader{}, errNoJPEG
	}
	var h jpegHeader
	var facts jpegFacts
	for at := 2; ; {
		mark, from, to, err := nextSegment(data, at)
		if err != nil {
			return h, err
		}
		if mark == markSOS {
			h.scan, h.turn = from-4, facts.exif.Orientation()
			return h, h.judge(facts)
		}
		if err := h.read(mark, data[from:to], &facts); err != nil {
			return h, err
		}
		at = to
	}
}

// nextSegment finds the next marker with a body, data[from:to]. As image/jpeg
// and libjpeg do, it steps over bytes that belong to no segment.
func nextSegment(data []byte, at int) (mark byte, from, to int, err error) {
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
			return 0, 0, 0, errNoFrame
		}
		n := int(data[at+1])<<8 | int(data[at+2])
		if from, to = at+3, at+1+n; n < 2 || to > len(data) {
			return 0, 0, 0, errShort
		}
		return mark, from, to, nil
	}
}

// read takes what is wanted from one segment.
func (h *jpegHeader) read(mark byte, body []byte, facts *jpegFacts) error {
	switch {
	case mark == markDHT || mark == markJPG || mark == markDAC:
	case mark >= markSOF0 && mark <= markSOF15:
		if len(body) < 6 || len(body) != 6+3*int(body[5]) {
			return errors.New("frame header of a wrong length")
		}
		h.height, h.width = int(body[1])<<8|int(body[2]), int(body[3])<<8|int(body[4])
		facts.components, h.progressive = body[6:], mark == markSOF2
	case mark == markAPP0:
		facts.jfif = facts.jfif || bytes.HasPrefix(body, []byte("JFIF\x00"))
	case mark == markAPP1:
		facts.exif.APP1(body)
	case mark == markAPP14:
		if len(body) >= 12 && bytes.HasPrefix(body, []byte("Adobe")) {
			facts.adobe, facts.transform = true, body[11]
		}
	}
	return nil
}

// judge decides on colours by libjpeg's rules (jdapimin.c,
// default_decompress_parms).
func (h *jpegHeader) judge(f jpegFacts) error {
	c := f.components
	h.share = shareOf(c)
	switch len(c) / 3 {
	case 0:
		return errNoFrame
	case 1:
		h.colours = jpegGrey
	case 3:
		h.colours = jpegYCC
		if !f.jfif && (f.adobe && f.transform == 0 || !f.adobe && c[0] == 'R' && c[3] == 'G' && c[6] == 'B') {
			h.colours = jpegRGB
		}
	case 4:
		h.colours = jpegCMYK
		if f.adobe && f.transform != 0 {
			h.colours = jpegYCCK
		}
		h.halved = c[1] != c[4]
	default:
		return fmt.Errorf("%d components are not supported", len(c)/3)
	}
	return nil
}

// shareOf is how many samples all components have a pixel, as a fraction.
func shareOf(components []byte) [2]int {
	if len(components) <= 3 {
		return [2]int{1, 1} // whatever its sampling
	}
	sum, across, down := 0, 1, 1
	for i := 1; i < len(components); i += 3 {
		x, y := int(components[i]>>4), int(components[i]&15)
		sum, across, down = sum+x*y, max(across, x), max(down, y)
	}
	return [2]int{sum, across * down}
}

// open returns data with a segment added in front of the first scan, such that
// image/jpeg reads it without converting colours: the marker by which it takes
// three components for YCbCr and four for CMYK, whatever they are.
func (h jpegHeader) open(data []byte) io.Reader {
	last := ""
	switch h.colours {
	case jpegYCC, jpegRGB:
		last = jfifSegment
	case jpegCMYK, jpegYCCK:
		last = adobeSegment
	}
	return io.MultiReader(bytes.NewReader(data[:h.scan]), strings.NewReader(last), bytes.NewReader(data[h.scan:]))
}

const (
	jfifSegment  = "\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
	adobeSegment = "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
)
