package modelstore

import (
	"testing"

	"dynvit/checkpoint"
)

// TestResizeFollowsImageSize: a file's own resize belongs to its own image size.
func TestResizeFollowsImageSize(t *testing.T) {
	own := map[string]string{"image_size": "224", "resize": "256"}
	for _, c := range []struct {
		given, own map[string]string
		want       int
	}{
		{nil, own, 256},
		{map[string]string{"image_size": "160"}, own, 182},
		{map[string]string{"image_size": "160", "resize": "160"}, own, 160},
		{map[string]string{"image_size": "160"}, nil, 0}, // the default for that size
		{map[string]string{"image_size": "384"}, map[string]string{"image_size": "224"}, 0},
	} {
		m, err := merge([]checkpoint.Facts{{Meta: c.own}, {Meta: c.given}}, "")
		if err != nil || m.manifest.Resize != c.want {
			t.Errorf("%v over %v: resize %d, %v, want %d", c.given, c.own, m.manifest.Resize, err, c.want)
		}
	}
}
