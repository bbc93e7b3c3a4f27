package preprocess

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"slices"
	"testing"

	"dynvit/camera"
)

// TestCut: the region's pixels, each as it is, of a raw frame and of a PNG.
func TestCut(t *testing.T) {
	const w, h = 40, 20
	raw := &camera.Frame{Format: camera.RGB24, Width: w, Height: h}
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := []byte{byte(6 * x), byte(12 * y), byte(x * y)}
			raw.Data = append(raw.Data, c...)
			img.SetRGBA(x, y, color.RGBA{c[0], c[1], c[2], 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		r      Region
		x0, y0 int
		x1, y1 int
	}{
		"whole":   {Whole, 0, 0, w, h},
		"part":    {Region{0.25, 0.5, 0.75, 1}, 10, 10, 30, 20},
		"a pixel": {Region{0.5, 0.5, 0.51, 0.51}, 20, 10, 21, 11},
	} {
		var want []byte
		for y := c.y0; y < c.y1; y++ {
			want = append(want, raw.Data[3*(y*w+c.x0):3*(y*w+c.x1)]...)
		}
		for _, f := range []*camera.Frame{raw, {Format: camera.PNG, Data: b.Bytes()}} {
			var got camera.Frame
			if err := Cut(&got, f, c.r); err != nil {
				t.Fatal(err)
			}
			if got.Format != camera.RGB24 || got.Width != c.x1-c.x0 || got.Height != c.y1-c.y0 || !slices.Equal(got.Data, want) {
				t.Errorf("%s of %v: %v %d×%d", name, f.Format, got.Format, got.Width, got.Height)
			}
		}
	}
	if err := Cut(new(camera.Frame), &camera.Frame{Format: camera.JPEG, Data: []byte("no")}, Whole); err == nil {
		t.Error("no error of a damaged frame")
	}
}
