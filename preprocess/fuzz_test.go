package preprocess

import (
	"strings"
	"testing"

	"dynvit/camera"
)

// FuzzDecode: no bytes in any format make it panic, hang or take memory without
// bound; an error is one line, and the next frame is not affected.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"drawn_420.jpg", "flat_422_without_tables.jpg", "rgb8_interlaced.png", "grey16_alpha.png"} {
		frame := picture(f, name)
		f.Add(byte(frame.Format), uint16(8), uint16(8), frame.Data)
	}
	f.Add(byte(camera.YUYV), uint16(3), uint16(2), make([]byte, 16))
	f.Fuzz(func(t *testing.T, format byte, w, h uint16, data []byte) {
		p := newPreprocessor(t, Spec{Size: 16, Resize: 18, Patch: 4, Std: deit.Std})
		dst := make([]float32, p.Len())
		bad := camera.Frame{Format: camera.Format(format), Width: int(w), Height: int(h), Data: data}
		if err := p.Do(dst, &bad, Region{0.1, 0, 0.8, 0.9}); err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("error of several lines: %q", err)
		}
		if err := p.Do(dst, drawn(20, 20), Whole); err != nil {
			t.Error(err)
		}
	})
}
