package preprocess

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"slices"
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
	case camera.PNG:
		var b bytes.Buffer
		png.Encode(&b, img)
		f.Data = b.Bytes()
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

// TestDecodeWatched: what is decoded is the same, and the thumbnail is what Make makes where that makes one.
func TestDecodeWatched(t *testing.T) {
	plain, watched, maker := newPreprocessor(t, Spec{Size: 32, Patch: 16, Scaled: true, Std: [3]float32{1, 1, 1}}), newPreprocessor(t, Spec{Size: 32, Patch: 16, Scaled: true, Std: [3]float32{1, 1, 1}}), new(Thumbnailer)
	frames := map[string]*camera.Frame{}
	for _, format := range append(thumbFormats, camera.PNG) {
		f := scene(format, 320, 240, 100, 50, 60, 1)
		frames[format.String()] = &f
	}
	for _, files := range []map[string]file{expected(t).Files, expected(t).Turned} {
		for name := range files {
			frames[name] = picture(t, name)
		}
	}
	cut := *frames["jpeg"]
	cut.Data = cut.Data[:len(cut.Data)*3/4]
	frames["cut"] = &cut
	for name, f := range frames {
		for _, r := range []Region{Whole, {0.25, 0.1, 0.5, 0.4}} {
			var got, want Thumbnail
			a, b := make([]float32, plain.Len()), make([]float32, plain.Len())
			wrong := plain.Do(a, f, r)
			seen, err := watched.DecodeWatched(&got, f, r)
			if (err == nil) != (wrong == nil) {
				t.Fatalf("%s: %v, unwatched %v", name, err, wrong)
			}
			if err != nil {
				continue
			}
			if watched.Render(b); !slices.Equal(a, b) || watched.Damaged() != plain.Damaged() {
				t.Errorf("%s, %v: another picture", name, r)
			}
			made := maker.Make(&want, f, r) == nil
			if made && (!seen || got != want) {
				t.Errorf("%s, %v: seen %v, another thumbnail than Make's", name, r, seen)
			}
			if !seen {
				t.Errorf("%s, %v: no thumbnail", name, r)
			}
		}
	}
}

// TestWatchedSeesMotion: PNG and progressive JPEG, which are decoded whole, show motion as the others do.
func TestWatchedSeesMotion(t *testing.T) {
	const w, h, side = 640, 360, 72
	p := newPreprocessor(t, Spec{Size: 32, Patch: 16, Std: [3]float32{1, 1, 1}})
	watch := func(f camera.Frame, r Region) *Thumbnail {
		t.Helper()
		out := new(Thumbnail)
		if seen, err := p.DecodeWatched(out, &f, r); err != nil || !seen {
			t.Fatal(f.Format, seen, err)
		}
		return out
	}
	for _, format := range append(thumbFormats, camera.PNG) {
		empty := watch(scene(format, w, h, 0, 0, 0, 1), Whole)
		if d := watch(scene(format, w, h, 0, 0, 0, 2), Whole).Differs(empty); d > 0.002 {
			t.Errorf("%v: noise differs by %.4f", format, d)
		}
		if d := watch(scene(format, w, h, 200, 100, side, 3), Whole).Differs(empty); d < 0.018 || d > 0.032 {
			t.Errorf("%v: a thing of 0.0225 differs by %.4f", format, d)
		}
		left := Region{0, 0, 0.25, 1}
		if d := watch(scene(format, w, h, 200, 100, side, 3), left).Differs(watch(scene(format, w, h, 0, 0, 0, 1), left)); d > 0.002 {
			t.Errorf("%v: a thing outside of the region differs by %.4f", format, d)
		}
	}
	// A progressive picture's is that of the same picture as baseline, up to the decoders' rounding.
	base, progressive := watch(*picture(t, "drawn_420.jpg"), Whole), watch(*picture(t, "drawn_420_progressive.jpg"), Whole)
	if d := base.Differs(progressive); d > 0 {
		t.Errorf("progressive differs from baseline by %.4f", d)
	}
}

// BenchmarkWatch: a frame of 1280×720 that is looked at, gate and decoder apart, and together.
func BenchmarkWatch(b *testing.B) {
	f := scene(camera.JPEG, 1280, 720, 0, 0, 0, 1)
	dst := new(Thumbnail)
	for _, scaled := range []bool{false, true} {
		p, m := newPreprocessor(b, Spec{Size: 224, Resize: 256, Patch: 16, Scaled: scaled, Std: [3]float32{1, 1, 1}}), new(Thumbnailer)
		b.Run(fmt.Sprintf("scaled=%v/apart", scaled), func(b *testing.B) {
			for b.Loop() {
				if err := errors.Join(m.Make(dst, &f, Whole), p.Decode(&f, Whole)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("scaled=%v/together", scaled), func(b *testing.B) {
			for b.Loop() {
				if _, err := p.DecodeWatched(dst, &f, Whole); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("scaled=%v/decoder", scaled), func(b *testing.B) {
			for b.Loop() {
				if err := p.Decode(&f, Whole); err != nil {
					b.Fatal(err)
				}
			}
		})
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
