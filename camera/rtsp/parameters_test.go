package rtsp

import (
	"bytes"
	hexadecimal "encoding/hex"
	"testing"
	"testing/quick"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// Parameter sets, some of them damaged: all that a picture needs stays, and what is
// said on order goes.
var parametersH264 = []string{
	"674d401f965281806f4d418181900000030010000003014840", // x264's, with B-frames
	"67640020acd940a030a1000003000100000300320f18319600",
	"6742c01fda014016ec0440000003004000000c83c60ca8",
	"67640029ac1ad00a00b75c04040405000003000100000300320f183114500000000000",
	"674200298d680500bb37020202040000030004000003003ca1",
	"6764002aad8412470ce40a08c3e2f01e0010000003001000000303201840000f4240001e8483bbd7804000",
	"674d402995640780227e584000000300400000064211",
	"67640033acb617ffb00064ffb17e22d421c4ffffffffffff4b12",
}

func TestUnorderedH264(t *testing.T) {
	whole := 0
	for _, text := range parametersH264 {
		nal, err := hexadecimal.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		var before, after h264.SPS
		if before.Unmarshal(nal) != nil {
			continue
		}
		whole++
		changed, err := unorderedH264(nal)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if err := after.Unmarshal(changed); err != nil {
			t.Errorf("%s became %x: %v", text, changed, err)
			continue
		}
		if before.Width() != after.Width() || before.Height() != after.Height() || before.ProfileIdc != after.ProfileIdc ||
			before.MaxNumRefFrames != after.MaxNumRefFrames || before.PicOrderCntType != after.PicOrderCntType || before.Log2MaxFrameNumMinus4 != after.Log2MaxFrameNumMinus4 {
			t.Errorf("%+v became %+v", before, after)
		}
		if v := after.VUI; v != nil && (v.BitstreamRestriction != nil || v.NalHRD != nil || v.VclHRD != nil || v.TimingInfo != nil ||
			v.AspectRatioIdc != before.VUI.AspectRatioIdc || v.VideoFullRangeFlag != before.VUI.VideoFullRangeFlag) {
			t.Errorf("usability %+v became %+v", before.VUI, v)
		}
	}
	if whole < 4 {
		t.Errorf("only %d parameter sets are whole", whole)
	}
}

var parametersH265 = []string{
	"42010102200000030000030000030000030096a001e020021c4d8815ee4595602d4244024020",
	"420101014000000300400000030000030078a003c080221f7a3ee46c1bdf4f60280d00000303e80000c350601def7e00028b1c001443c8",
}

func TestUnorderedH265(t *testing.T) {
	for _, text := range parametersH265 {
		nal, err := hexadecimal.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		var before, after h265.SPS
		if err := before.Unmarshal(nal); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		changed, err := unorderedH265(nal)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if err := after.Unmarshal(changed); err != nil {
			t.Errorf("%s became %x: %v", text, changed, err)
			continue
		}
		for i, n := range after.MaxNumReorderPics {
			if n != 0 {
				t.Errorf("layer %d holds %d back", i, n)
			}
		}
		if before.Width() != after.Width() || before.Height() != after.Height() || before.BitDepthLumaMinus8 != after.BitDepthLumaMinus8 ||
			before.Log2MaxPicOrderCntLsbMinus4 != after.Log2MaxPicOrderCntLsbMinus4 {
			t.Errorf("%+v became %+v", before, after)
		}
	}
}

func TestEmulation(t *testing.T) {
	check := func(raw []byte) bool {
		for i := range raw {
			raw[i] &= 3 // zeros in a row are what it is about
		}
		out := withEmulation(raw)
		for code := range byte(3) {
			if bytes.Contains(out, []byte{0, 0, code}) {
				return false
			}
		}
		return bytes.Equal(withoutEmulation(out), raw)
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}
