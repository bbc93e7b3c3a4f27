package preprocess

import (
	"bytes"
	"context"
	"image"
	"image/jpeg"
	"slices"
	"testing"

	"dynvit/camera"
	scenes "dynvit/camera/drawn"
)

// TestScale: as small as the resize allows, never smaller.
func TestScale(t *testing.T) {
	s := deit
	s.Scaled = true
	p := newPreprocessor(t, s)
	for _, c := range []struct {
		w, h, want int
		r          Region
	}{
		{1280, 720, 2, Whole},
		{1920, 1080, 4, Whole},
		{3840, 2160, 8, Whole},
		{640, 480, 1, Whole},
		{512, 512, 2, Whole},
		{511, 511, 2, Whole}, // 256, rounded up
		{510, 510, 1, Whole},
		{1280, 720, 1, Region{0.5, 0.5, 1, 1}},
		{3840, 2160, 4, Region{0.5, 0.5, 1, 1}},
		{20, 30, 1, Whole},
	} {
		if got := p.scale(c.w, c.h, 0, c.r); got != c.want {
			t.Errorf("%d×%d, %v: 1/%d, want 1/%d", c.w, c.h, c.r, got, c.want)
		}
	}
	if got := newPreprocessor(t, deit).scale(1280, 720, 0, Whole); got != 1 {
		t.Errorf("1/%d though nobody asked for it", got)
	}
}

// TestScaled: the drawn scenes as a camera of 1280×720 sends them, against the
// exact way. Measured: 0.62 of 255 levels in the mean.
func TestScaled(t *testing.T) {
	source, err := camera.Schemes{scenes.Scheme()}.Open("test:?size=1280x720&fps=0&frames=40", camera.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	s := deit
	s.Scaled = true
	exact, scaled := newPreprocessor(t, deit), newPreprocessor(t, s)
	sum, n := 0.0, 0
	for range 8 {
		var f camera.Frame
		for range 5 { // five frames on, something has moved
			if err := source.Next(context.Background(), &f); err != nil {
				t.Fatal(err)
			}
		}
		f = camera.Frame{Format: camera.JPEG, Data: asJPEG(t, &f)}
		want := slices.Clone(render(t, exact, &f))
		got := render(t, scaled, &f)
		if w := scaled.window; w.width != 640 || w.height != 360 {
			t.Fatalf("decoded at %d×%d", w.width, w.height)
		}
		d := difference(got, want)
		sum, n = sum+d.mean, n+1
		if d.mean > 1.5 {
			t.Errorf("frame %d: %.2f levels in the mean, %d at most", n, d.mean, d.most)
		}
	}
	t.Logf("%.3f levels in the mean", sum/float64(n))
}

func asJPEG(t *testing.T, f *camera.Frame) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, f.Width, f.Height))
	for i := range f.Width * f.Height {
		copy(img.Pix[4*i:], f.Data[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 85}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
