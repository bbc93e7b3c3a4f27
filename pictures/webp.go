package pictures

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"

	"golang.org/x/image/vp8"
	"golang.org/x/image/vp8l"

	"dynvit/exif"
)

// webpHead is what is wanted of a WebP's chunks (RFC 9649, section 2): its canvas, and
// the bits of the first picture, which covers the canvas or, in an animation, may cover
// a part. Alpha's chunk is passed over.
type webpHead struct {
	canvas   image.Point
	frame    image.Rectangle
	bits     []byte
	lossless bool
	animated bool
}

var errWebP = errors.New("ends before its first picture")

func openWebP(data []byte) (*Picture, error) {
	h, err := readWebP(data)
	if err != nil {
		return nil, err
	}
	p := &Picture{Width: h.canvas.X, Height: h.canvas.Y, Turn: exif.OfWebP(data), Animated: h.animated, decode: h.decode}
	if p.Bytes = vp8Bytes(h.frame.Size(), h.bits); h.lossless {
		p.Bytes = vp8lBytes(h.frame.Size(), h.bits)
	}
	return p, nil
}

// readWebP walks the chunks up to the first picture.
func readWebP(data []byte) (h webpHead, err error) {
	const container = 12 // RIFF, length, WEBP
	animated, canvas := false, image.Point{}
	for c := (chunks{data[min(container, len(data)):]}); ; {
		name, body, ok := c.next()
		if !ok {
			return h, errWebP
		}
		switch name {
		case "VP8X":
			const length = 10
			if len(body) < length {
				return h, errWebP
			}
			animated = body[0]&2 != 0
			canvas = image.Pt(uint24(body[4:])+1, uint24(body[7:])+1)
		case "ANMF":
			if animated {
				return readFrame(body, canvas)
			}
		case "VP8 ", "VP8L":
			if animated {
				continue // belongs to no frame
			}
			if err := h.take(name, body); err != nil {
				return h, err
			}
			h.canvas = h.frame.Max
			if canvas != (image.Point{}) && canvas != h.canvas {
				return h, fmt.Errorf("picture of %v on a canvas of %v", h.canvas, canvas)
			}
			return h, nil
		}
	}
}

// readFrame reads an animation's first frame.
func readFrame(body []byte, canvas image.Point) (h webpHead, err error) {
	const head = 16
	if len(body) < head {
		return h, errWebP
	}
	at, size := image.Pt(2*uint24(body), 2*uint24(body[3:])), image.Pt(uint24(body[6:])+1, uint24(body[9:])+1)
	for c := (chunks{body[head:]}); ; {
		name, bits, ok := c.next()
		if !ok {
			return h, errWebP
		}
		if name != "VP8 " && name != "VP8L" {
			continue
		}
		if err := h.take(name, bits); err != nil {
			return h, err
		}
		h.canvas, h.frame, h.animated = canvas, h.frame.Add(at), true
		if h.frame.Size() != size || !h.frame.In(image.Rectangle{Max: canvas}) {
			return h, fmt.Errorf("frame %v on a canvas of %v", h.frame, canvas)
		}
		return h, nil
	}
}

// take reads the header of a picture's bits.
func (h *webpHead) take(name string, bits []byte) error {
	h.bits, h.lossless = bits, name == "VP8L"
	if h.lossless {
		c, err := vp8l.DecodeConfig(bytes.NewReader(bits))
		h.frame.Max = image.Pt(c.Width, c.Height)
		return err
	}
	d := vp8.NewDecoder()
	d.Init(bytes.NewReader(bits), len(bits))
	f, err := d.DecodeFrameHeader()
	h.frame.Max = image.Pt(f.Width, f.Height)
	if err == nil && !f.KeyFrame {
		return errors.New("no key frame")
	}
	return err
}

// decode lays the first picture on a canvas that is black, as libwebp clears it.
func (h webpHead) decode() (Rows, error) {
	rows, err := h.first()
	if err != nil || h.frame == (image.Rectangle{Max: h.canvas}) {
		return rows, err
	}
	return laid(h.frame, [3]byte{}, func(dst []byte, x, y int) { rows(dst, x-h.frame.Min.X, y-h.frame.Min.Y) }), nil
}

func (h webpHead) first() (Rows, error) {
	if h.lossless {
		img, err := vp8l.Decode(bytes.NewReader(h.bits))
		if err != nil {
			return nil, err
		}
		return rowsOf(img)
	}
	d := vp8.NewDecoder()
	d.Init(bytes.NewReader(h.bits), len(h.bits))
	if _, err := d.DecodeFrameHeader(); err != nil {
		return nil, err
	}
	img, err := d.DecodeFrame()
	if err != nil {
		return nil, err
	}
	return studioRows(img), nil
}

// vp8Bytes is what package vp8 takes: planes of whole macroblocks, 32 bytes to filter
// each by, and the bits.
func vp8Bytes(size image.Point, bits []byte) int64 {
	blocks := int64((size.X+15)/16) * int64((size.Y+15)/16)
	return blocks*(16*16*3/2+32) + int64(len(bits))
}

// vp8lBytes is what package vp8l takes: the pixels, those of a palette's indices that
// they are made of, images for two transforms and the codes with a pixel for 4×4 at
// least, and the codes' trees. It reads 2600 groups of trees at most, of 50 KB at most,
// which takes bits to say: 256 bytes for one of them.
func vp8lBytes(size image.Point, bits []byte) int64 {
	pixels := int64(size.X) * int64(size.Y)
	const groups, tree, said = 2600, 50 << 10, 256
	return 4*pixels + 4*pixels/2 + 3*4*(pixels/16+int64(size.X+size.Y)) + min(groups*tree, said*int64(len(bits)))
}

// chunks are RIFF's.
type chunks struct{ left []byte }

// next is the next chunk, without what its length exceeds the file by.
func (c *chunks) next() (name string, body []byte, ok bool) {
	const head = 8
	if len(c.left) < head {
		return "", nil, false
	}
	name = string(c.left[:4])
	n := int64(binary.LittleEndian.Uint32(c.left[4:]))
	body = c.left[head:]
	body = body[:min(n, int64(len(body)))]
	c.left = c.left[min(head+n+n&1, int64(len(c.left))):]
	return name, body, true
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
