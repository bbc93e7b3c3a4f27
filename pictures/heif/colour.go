package heif

import (
	"encoding/binary"
	"image"
	"math"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// colour is how an item's samples become R, G and B: the matrix by its number in ITU-T
// H.273, table 4, and whether they use all levels. The zero colour says nothing.
type colour struct {
	matrix uint16
	full   bool
	said   bool
}

// readColour finds it in the item's box colr or, as telephones write no such box beside
// a colour profile, in the parameters of its HEVC.
func readColour(i *item) (c colour) {
	for _, p := range i.properties {
		switch b := p.body; {
		case p.name == "colr" && len(b) >= 11 && string(b[:4]) == "nclx":
			return colour{binary.BigEndian.Uint16(b[8:]), b[10]&0x80 != 0, true}
		case p.name == "hvcC":
			c = ofParameters(b)
		}
	}
	return c
}

// ofParameters reads the sequence parameter set in a decoder's configuration (ISO/IEC
// 14496-15, 8.3.2.1).
func ofParameters(config []byte) (c colour) {
	const head, sps = 22, 33
	if len(config) <= head {
		return c
	}
	left := config[head+1:]
	for range config[head] {
		if len(left) < 3 {
			return c
		}
		kind, n := left[0]&0x3f, int(binary.BigEndian.Uint16(left[1:]))
		left = left[3:]
		for range n {
			if len(left) < 2 || len(left)-2 < int(binary.BigEndian.Uint16(left)) {
				return c
			}
			unit := left[2:][:binary.BigEndian.Uint16(left)]
			left = left[2+len(unit):]
			var s h265.SPS
			if kind == sps && s.Unmarshal(unit) == nil && s.VUI != nil && s.VUI.VideoSignalTypePresentFlag {
				c = colour{2, s.VUI.VideoFullRangeFlag, true}
				if s.VUI.ColourDescriptionPresentFlag {
					c.matrix = uint16(s.VUI.MatrixCoefficients)
				}
				return c
			}
		}
	}
	return c
}

// weights are what R and B are of the brightness.
func (c colour) weights() (r, b float64) {
	switch c.matrix {
	case 1:
		return 0.2126, 0.0722
	case 4:
		return 0.30, 0.11
	case 7:
		return 0.212, 0.087
	case 9, 10:
		return 0.2627, 0.0593
	}
	return 0.299, 0.114 // also where nothing is said
}

// converter makes R, G and B of samples: fixed point with 16 fractional bits.
type converter struct {
	luma, zero     int32 // factor, and the level that is black
	rv, gu, gv, bu int32
	copied         bool // the samples are G, B, R
}

func (c colour) converter() converter {
	const identity = 0
	if c.said && c.matrix == identity {
		return converter{copied: true}
	}
	kr, kb := c.weights()
	kg := 1 - kr - kb
	luma, chroma, zero := 1.0, 1.0, int32(0)
	if c.said && !c.full {
		luma, chroma, zero = 255.0/219, 255.0/224, 16
	}
	fixed := func(v float64) int32 { return int32(math.Round(v * 65536)) }
	return converter{
		luma: fixed(luma), zero: zero,
		rv: fixed(chroma * 2 * (1 - kr)), bu: fixed(chroma * 2 * (1 - kb)),
		gu: fixed(-chroma * 2 * (1 - kb) * kb / kg), gv: fixed(-chroma * 2 * (1 - kr) * kr / kg),
	}
}

// rows reads a picture. Chroma is repeated for the pixels that share it, as libheif does
// for who asks it for R, G and B.
func (c converter) rows(m *image.YCbCr) func(dst []byte, x, y int) {
	return func(dst []byte, x, y int) {
		luma := m.Y[m.YOffset(0, y):]
		for ; len(dst) >= 3; x++ {
			at := m.COffset(x, y)
			dst[0], dst[1], dst[2] = c.pixel(int32(luma[x]), int32(m.Cb[at]), int32(m.Cr[at]))
			dst = dst[3:]
		}
	}
}

// restored is rows of a picture whose chroma is restored first, row by row.
func (c converter) restored(m *image.YCbCr, r *restorer) func(dst []byte, x, y int) {
	cb, cr, at := make([]byte, r.w), make([]byte, r.w), -1
	return func(dst []byte, x, y int) {
		if row := m.COffset(0, y) / m.CStride; row != at {
			at = row
			r.row(cb, m.Cb, row)
			r.row(cr, m.Cr, row)
		}
		luma := m.Y[m.YOffset(0, y):]
		for ; len(dst) >= 3; x++ {
			dst[0], dst[1], dst[2] = c.pixel(int32(luma[x]), int32(cb[x/2]), int32(cr[x/2]))
			dst = dst[3:]
		}
	}
}

func (c converter) pixel(luma, cb, cr int32) (r, g, b byte) {
	if c.copied {
		return byte(cr), byte(luma), byte(cb)
	}
	luma, cb, cr = c.luma*(luma-c.zero)+1<<15, cb-128, cr-128
	return level(luma + c.rv*cr), level(luma + c.gu*cb + c.gv*cr), level(luma + c.bu*cb)
}

func level(v int32) byte { return byte(max(0, min(255, v>>16))) }
