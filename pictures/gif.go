package pictures

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/gif"
	"io"
)

// gifHead is what stands before a GIF's first picture (GIF89a, sections 18 to 23).
type gifHead struct {
	width, height int // of the screen, on which the first picture may cover a part
	control       int // offset of the flags of the graphic control, 0 for none
	transparent   byte
	global        []byte
	local         []byte
}

var errGIF = errors.New("ends before its first picture")

func openGIF(data []byte) (*Picture, error) {
	h, err := readGIF(data)
	if err != nil {
		return nil, err
	}
	p := &Picture{Width: h.width, Height: h.height, Bytes: int64(h.width) * int64(h.height)}
	p.decode = func() (Rows, error) { return h.decode(data) }
	return p, nil
}

// readGIF reads up to the first picture.
func readGIF(data []byte) (h gifHead, err error) {
	const screen = 13 // length of header and screen descriptor
	if len(data) < screen {
		return h, errGIF
	}
	h.width, h.height = int(binary.LittleEndian.Uint16(data[6:])), int(binary.LittleEndian.Uint16(data[8:]))
	at := screen
	if h.global, at, err = gifColours(data, at, data[10]); err != nil {
		return h, err
	}
	for {
		if at+1 >= len(data) {
			return h, errGIF
		}
		switch data[at] {
		case '!':
			if data[at+1] == 0xf9 && at+7 < len(data) && data[at+2] == 4 {
				h.control, h.transparent = at+3, data[at+6]
			}
			if at, err = skipBlocks(data, at+2); err != nil {
				return h, err
			}
		case ',':
			const length = 10
			if at+length > len(data) {
				return h, errGIF
			}
			h.local, _, err = gifColours(data, at+length, data[at+length-1])
			return h, err
		default:
			return h, errors.New("no picture where one should begin")
		}
	}
}

// gifColours is the table of colours that the flags say there is, and what is behind it.
func gifColours(data []byte, at int, flags byte) (table []byte, behind int, err error) {
	if flags&0x80 == 0 {
		return nil, at, nil
	}
	behind = at + 3<<(flags&7+1)
	if behind > len(data) {
		return nil, 0, errGIF
	}
	return data[at:behind], behind, nil
}

// skipBlocks steps over blocks up to an empty one.
func skipBlocks(data []byte, at int) (int, error) {
	for at < len(data) {
		n := int(data[at])
		at += 1 + n
		if n == 0 {
			return at, nil
		}
	}
	return 0, errGIF
}

// decode reads the first picture. image/gif blackens the colour that is transparent:
// it is not told that there is one.
func (h gifHead) decode(data []byte) (Rows, error) {
	var r io.Reader = bytes.NewReader(data)
	if h.control > 0 {
		flags := []byte{data[h.control] &^ 1}
		r = io.MultiReader(bytes.NewReader(data[:h.control]), bytes.NewReader(flags), bytes.NewReader(data[h.control+1:]))
	}
	img, err := gif.Decode(r)
	if err != nil {
		return nil, err
	}
	m, ok := img.(*image.Paletted)
	if !ok {
		return nil, errKind(img)
	}
	table := palette(m.Palette)
	around := table[0] // Pillow fills the screen with the first colour, or the transparent one
	if h.control > 0 && data[h.control]&1 != 0 {
		around = table[h.transparent]
	}
	return laid(m.Rect, around, func(dst []byte, x, y int) {
		paletteRow(dst, m.Pix[m.PixOffset(x, y):], table)
	}), nil
}

// laid is a larger picture of one colour with rows on it, at r.
func laid(r image.Rectangle, around [3]byte, rows Rows) Rows {
	return func(dst []byte, x, y int) {
		for i := 0; i < len(dst); i += 3 {
			copy(dst[i:], around[:])
		}
		from, to := max(x, r.Min.X), min(x+len(dst)/3, r.Max.X)
		if y >= r.Min.Y && y < r.Max.Y && from < to {
			rows(dst[3*(from-x):3*(to-x)], from, y)
		}
	}
}
