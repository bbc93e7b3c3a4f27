package rtsp

import (
	"slices"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// codec is what is to be known of a kind of video: which of an access unit's NAL
// units make a picture by themselves.
type codec struct {
	ffmpeg     string // name of its raw stream in ffmpeg
	kind       func(nal []byte) int
	parameters []int // kinds of the parameter sets, in the order in which they must come
	sequence   int   // the kind of those that say in which order frames are shown
	unordered  func(nal []byte) ([]byte, error)
	isSlice    func(kind int) bool // of a keyframe
	delimiter  []byte              // begins an access unit, so that a decoder knows that the last has ended
}

var codecH264 = &codec{
	ffmpeg:     "h264",
	kind:       func(nal []byte) int { return int(nal[0] & 31) },
	parameters: []int{int(h264.NALUTypeSPS), int(h264.NALUTypePPS)},
	sequence:   int(h264.NALUTypeSPS),
	unordered:  unorderedH264,
	isSlice:    func(kind int) bool { return kind == int(h264.NALUTypeIDR) },
	delimiter:  []byte{byte(h264.NALUTypeAccessUnitDelimiter), 0xf0},
}

var codecH265 = &codec{
	ffmpeg:     "hevc",
	kind:       func(nal []byte) int { return int(nal[0] >> 1 & 63) },
	parameters: []int{int(h265.NALUType_VPS_NUT), int(h265.NALUType_SPS_NUT), int(h265.NALUType_PPS_NUT)},
	sequence:   int(h265.NALUType_SPS_NUT),
	unordered:  unorderedH265,
	isSlice:    func(kind int) bool { return kind >= int(h265.NALUType_BLA_W_LP) && kind <= int(h265.NALUType_CRA_NUT) },
	delimiter:  []byte{byte(h265.NALUType_AUD_NUT) << 1, 1, 0x50},
}

// parametersOf are the parameter sets that a stream's description gives.
func parametersOf(f format.Format) [][]byte {
	switch f := f.(type) {
	case *format.H264:
		sps, pps := f.SafeParams()
		return [][]byte{sps, pps}
	case *format.H265:
		vps, sps, pps := f.SafeParams()
		return [][]byte{vps, sps, pps}
	}
	return nil
}

// keyframes collects what a stream's keyframes are made of. One goroutine uses it
// at a time.
type keyframes struct {
	codec *codec
	sets  [][]byte // by the codec's parameters: the newest of each
}

func newKeyframes(c *codec, known [][]byte) *keyframes {
	k := &keyframes{codec: c, sets: make([][]byte, len(c.parameters))}
	for _, nal := range known {
		k.learn(nal)
	}
	return k
}

// learn keeps a parameter set and reports whether it was one. A stream may have
// several of a kind; those that go with a keyframe come with it, all of them, as
// far as is known of any camera.
func (k *keyframes) learn(nal []byte) bool {
	if len(nal) == 0 {
		return false
	}
	kind := k.codec.kind(nal)
	for i, want := range k.codec.parameters {
		if kind != want {
			continue
		}
		if kind == k.codec.sequence {
			if changed, err := k.codec.unordered(nal); err == nil {
				nal = changed
			}
		}
		k.sets[i] = append(k.sets[i][:0], nal...)
		return true
	}
	return false
}

// add appends an access unit to dst in Annex B's form, ready to be decoded, and
// reports whether it is a keyframe; else it only learns from it.
func (k *keyframes) add(dst []byte, au [][]byte) (_ []byte, ok bool) {
	for _, nal := range au {
		k.learn(nal)
	}
	if !slices.ContainsFunc(au, k.isSlice) || slices.ContainsFunc(k.sets, isEmpty) {
		return dst, false // without its parameters nobody could decode it
	}
	for _, nal := range k.sets {
		dst = appendNAL(dst, nal)
	}
	for _, nal := range au {
		if k.isSlice(nal) {
			dst = appendNAL(dst, nal)
		}
	}
	return appendNAL(dst, k.codec.delimiter), true
}

func (k *keyframes) isSlice(nal []byte) bool {
	return !isEmpty(nal) && k.codec.isSlice(k.codec.kind(nal))
}

func isEmpty(nal []byte) bool { return len(nal) == 0 }

func appendNAL(dst, nal []byte) []byte {
	return append(append(dst, 0, 0, 0, 1), nal...)
}
