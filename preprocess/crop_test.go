package preprocess

import "testing"

func TestCrop(t *testing.T) {
	deit := Spec{Size: 224, Resize: 256}
	for _, c := range []struct {
		s    Spec
		w, h int
		want Region
	}{
		{deit, 256, 256, Region{16. / 256, 16. / 256, 240. / 256, 240. / 256}},
		{deit, 1000, 500, Region{144. / 512, 16. / 256, 368. / 512, 240. / 256}},
		{deit, 500, 1000, Region{16. / 256, 144. / 512, 240. / 256, 368. / 512}},
		{Spec{Size: 224, Resize: 227}, 227, 227, Region{2. / 227, 2. / 227, 226. / 227, 226. / 227}},
		{Spec{Size: 224, Resize: 227, FloorCrop: true}, 227, 227, Region{1. / 227, 1. / 227, 225. / 227, 225. / 227}},
		{Spec{Size: 224, Resize: 256, Squash: true}, 1000, 500, Region{16. / 256, 16. / 256, 240. / 256, 240. / 256}},
		{Spec{Size: 384}, 1000, 500, Whole},             // warped
		{Spec{Size: 224, Resize: 200}, 300, 300, Whole}, // padded
	} {
		if got := c.s.Crop(c.w, c.h); got != c.want {
			t.Errorf("%+v of %d×%d: %v, want %v", c.s, c.w, c.h, got, c.want)
		}
	}
}
