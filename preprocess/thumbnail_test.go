package preprocess

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"testing"

	"dynvit/camera"
)

// scene is a frame of a grey wall with a sensor's noise, and a dark thing of the
// given side at x, y.
func scene(format camera.Format, w, h, x, y, side int, seed uint64) camera.Frame {
	random := rand.New(rand.NewPCG(seed, 1))
	img := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	for j := range h {
		for i := range w {
			v := 120 + i*40/w + int(random.NormFloat64()*5)
			if i >= x && i < x+side && j >= y && j < y+side {
				v -= 60
			}
			img.Y[j*img.YStride+i] = uint8(v)
		}
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = 128, 128
	}
	f := camera.Frame{Format: format, Width: w, Height: h}
	switch format {
	case camera.JPEG:
		var b bytes.Buffer
		jpeg.Encode(&b, img, &jpeg.Options{Quality: 85}) // into memory
		f.Data = b.Bytes()
	case camera.YUYV:
		for _, v := range img.Y {
			f.Data = append(f.Data, v, 128)
		}
	case camera.RGB24:
		for j := range h {
			for i := range w {
				c := color.RGBAModel.Convert(img.At(i, j)).(color.RGBA)
				f.Data = append(f.Data, c.R, c.G, c.B)
			}
		}
	case camera.GREY:
		f.Data = img.Y
	default: // NV12, I420
		f.Data = append(append(img.Y, img.Cb...), img.Cr...)
	}
	return f
}

var thumbFormats = []camera.Format{camera.JPEG, camera.YUYV, camera.NV12, camera.I420, camera.RGB24, camera.GREY}

// TestThumbnailSeesMotion: noise is none, a thing that comes is, by about its
// share of the picture; outside of the region it is not seen.
func TestThumbnailSeesMotion(t *testing.T) {
	const w, h = 640, 360
	m := new(Thumbnailer)
	make := func(f camera.Frame, r Region) *Thumbnail {
		t.Helper()
		out := new(Thumbnail)
		if err := m.Make(out, &f, r); err != nil {
			t.Fatal(f.Format, err)
		}
		return out
	}
	for _, format := range thumbFormats {
		empty := make(scene(format, w, h, 0, 0, 0, 1), Whole)
		if d := make(scene(format, w, h, 0, 0, 0, 2), Whole).Differs(empty); d > 0.002 {
			t.Errorf("%v: noise differs by %.4f", format, d)
		}
		const side = 72 // 2.25 % of the picture
		if d := make(scene(format, w, h, 200, 100, side, 3), Whole).Differs(empty); d < 0.018 || d > 0.032 {
			t.Errorf("%v: a thing of 0.0225 differs by %.4f", format, d)
		}
		left := Region{0, 0, 0.25, 1}
		if d := make(scene(format, w, h, 200, 100, side, 3), left).Differs(make(scene(format, w, h, 0, 0, 0, 1), left)); d > 0.002 {
			t.Errorf("%v: a thing outside of the region differs by %.4f", format, d)
		}
	}
}

// TestThumbnailRefuses what is damaged or would have to be decoded.
func TestThumbnailRefuses(t *testing.T) {
	whole := scene(camera.JPEG, 64, 48, 0, 0, 0, 1)
	cut := whole
	cut.Data = cut.Data[:len(cut.Data)/2]
	short := scene(camera.YUYV, 64, 48, 0, 0, 0, 1)
	short.Data = short.Data[:100]
	huge := whole
	huge.Data = bytes.Clone(whole.Data)
	at := bytes.Index(huge.Data, []byte{0xff, 0xc0})
	copy(huge.Data[at+5:], []byte{0xff, 0xff, 0xff, 0xff})
	for name, f := range map[string]camera.Frame{
		"cut": cut, "short": short, "huge": huge, "png": {Format: camera.PNG, Width: 8, Height: 8, Data: []byte("\x89PNG")}, "empty": {}, "no size": {Format: camera.GREY},
	} {
		if err := new(Thumbnailer).Make(new(Thumbnail), &f, Whole); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, side := range []int{1, 2, 7} { // smaller than the thumbnail
		small := scene(camera.GREY, side, side, 0, 0, 0, 1)
		if err := new(Thumbnailer).Make(new(Thumbnail), &small, Whole); err != nil {
			t.Errorf("%d×%d: %v", side, side, err)
		}
	}
}

func TestThumbnailAllocatesNothing(t *testing.T) {
	m, out := new(Thumbnailer), new(Thumbnail)
	for _, format := range thumbFormats {
		f := scene(format, 320, 240, 0, 0, 0, 1)
		if n := testing.AllocsPerRun(10, func() { m.Make(out, &f, Whole) }); n != 0 {
			t.Errorf("%v: %v allocations", format, n)
		}
	}
}

// BenchmarkThumbnail: what the motion gate costs for a frame of 1280×720.
func BenchmarkThumbnail(b *testing.B) {
	for _, format := range thumbFormats {
		f := scene(format, 1280, 720, 0, 0, 0, 1)
		b.Run(format.String(), func(b *testing.B) {
			m, now, before := new(Thumbnailer), new(Thumbnail), new(Thumbnail)
			for b.Loop() {
				if err := m.Make(now, &f, Whole); err != nil {
					b.Fatal(err)
				}
				now.Differs(before)
			}
			b.ReportMetric(float64(len(f.Data)), "frame-bytes")
		})
	}
}
