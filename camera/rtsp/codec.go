package rtsp

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// codec is what is to be known of a kind of video: which of a picture's NAL units
// make a picture by themselves, and what they refer to.
type codec struct {
	ffmpeg    string // name of its raw stream in ffmpeg
	kind      func(unit []byte) int
	fragments func(payload []byte) ([]fragment, error)
	// sets are the kinds of parameter sets, in the order in which they must come;
	// each refers to one of the kind before it, a slice to one of the last.
	sets      []setKind
	isSlice   func(kind int) bool
	slice     func(unit []byte) slice
	recovers  func(unit []byte) bool
	unordered func(unit []byte) ([]byte, error) // rewrites the sequence parameter set
	recovery  []byte                            // goes ahead of a picture that no keyframe's kind tells; nil: there are none
	after     [][]byte                          // end a picture, so that a decoder knows that it has
}

// setKind is a kind of parameter sets.
type setKind struct {
	kind  int
	most  uint32                                       // the largest id
	refer func(unit []byte) (id, to uint32, err error) // to is that of the kind before
}

// slice is a slice, with what the beginning of its header says.
type slice struct {
	unit  []byte
	key   bool // of a picture that is a keyframe by its kind
	intra bool // needs no other picture
	first bool // of its picture
	to    uint32
	err   error
}

var codecH264 = &codec{
	ffmpeg:    "h264",
	kind:      kindH264,
	fragments: fragmentsH264,
	sets: []setKind{
		{int(h264.NALUTypeSPS), 31, referSPSH264},
		{int(h264.NALUTypePPS), 255, func(unit []byte) (id, to uint32, err error) { return referPPS(unit, 1) }},
	},
	isSlice:   func(kind int) bool { return kind >= int(h264.NALUTypeNonIDR) && kind <= int(h264.NALUTypeIDR) },
	slice:     sliceH264,
	recovers:  func(unit []byte) bool { return kindH264(unit) == int(h264.NALUTypeSEI) && recovers(unit, 1) },
	unordered: unorderedH264,
	recovery:  []byte{byte(h264.NALUTypeSEI), recoveryPoint, 1, 0xc4, 0x80}, // exact, at once
	after:     [][]byte{{byte(h264.NALUTypeAccessUnitDelimiter), 0xf0}},
}

var codecH265 = &codec{
	ffmpeg:    "hevc",
	kind:      kindH265,
	fragments: fragmentsH265,
	sets: []setKind{
		{int(h265.NALUType_VPS_NUT), 15, referVPS},
		{int(h265.NALUType_SPS_NUT), 15, referSPSH265},
		{int(h265.NALUType_PPS_NUT), 63, func(unit []byte) (id, to uint32, err error) { return referPPS(unit, 2) }},
	},
	isSlice: func(kind int) bool { return kind < int(h265.NALUType_VPS_NUT) },
	slice:   sliceH265,
	recovers: func(unit []byte) bool {
		return kindH265(unit) == int(h265.NALUType_PREFIX_SEI_NUT) && recovers(unit, 2)
	},
	unordered: unorderedH265,
	// The end of the sequence makes any keyframe the first of another one, in which
	// the count of pictures begins anew and no picture is missing.
	after: [][]byte{{byte(h265.NALUType_EOS_NUT) << 1, 1}, {byte(h265.NALUType_AUD_NUT) << 1, 1, 0x50}},
}

func kindH264(unit []byte) int {
	if len(unit) == 0 {
		return 0
	}
	return int(unit[0] & 31)
}

// kindH265 of other layers than the first is one that is nothing to us.
func kindH265(unit []byte) int {
	if len(unit) < 2 || unit[0]&1 != 0 || unit[1]>>3 != 0 {
		return 63
	}
	return int(unit[0] >> 1 & 63)
}

// sliceH264 reads a slice's header (ITU-T H.264, 7.3.3).
func sliceH264(unit []byte) slice {
	b := peekBits(unit, 1)
	first := b.ue() == 0
	kind := b.ue() % 5
	s := slice{unit: unit, key: kindH264(unit) == int(h264.NALUTypeIDR), first: first, to: b.ue(), err: b.err()}
	s.intra = s.key || kind == 2 && kindH264(unit) == int(h264.NALUTypeNonIDR)
	return s
}

// sliceH265 reads a slice's header (ITU-T H.265, 7.3.6.1).
func sliceH265(unit []byte) slice {
	b := peekBits(unit, 2)
	first := b.u(1) == 1
	kind := kindH265(unit)
	key := kind >= int(h265.NALUType_BLA_W_LP) && kind <= int(h265.NALUType_CRA_NUT)
	if kind >= int(h265.NALUType_BLA_W_LP) && kind <= int(h265.NALUType_RSV_IRAP_VCL23) {
		b.u(1) // pictures before it
	}
	return slice{unit: unit, key: key, intra: key, first: first, to: b.ue(), err: b.err()}
}

// recoveryPoint is the payload type of the message that says how many pictures
// after this one they are good, though it is no keyframe (H.264, D.1.8; H.265,
// D.2.8).
const recoveryPoint = 6

// recovers reports whether supplemental information has such a message.
func recovers(unit []byte, header int) bool {
	b := peekBits(unit, header)
	for b.pos+16 <= 8*len(b.src) {
		kind, size := b.message(), b.message()
		if kind == recoveryPoint && b.err() == nil {
			return true
		}
		b.pos += 8 * int(size)
	}
	return false
}
