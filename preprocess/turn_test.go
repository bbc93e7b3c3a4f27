package preprocess

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"slices"
	"testing"

	"dynvit/camera"
	"dynvit/exif"
)

// TestTurned: JPEG and PNG with Exif of every orientation and in either byte order,
// odd and damaged ones, give the pixels of Pillow's exif_transpose and then its crop.
func TestTurned(t *testing.T) {
	files := expected(t).Turned
	if len(files) < 46 {
		t.Fatalf("only %d pictures", len(files))
	}
	p := newPreprocessor(t, deit)
	for name, want := range files {
		t.Run(name, func(t *testing.T) {
			comparePillow(t, p, name, want)
			if w, h, err := p.Size(); err != nil || w != want.Width || h != want.Height {
				t.Errorf("size is %d×%d, %v", w, h, err)
			}
		})
	}
}

// TestAsStored: what a data set's pictures say of orientation is passed over.
func TestAsStored(t *testing.T) {
	s := Spec{Size: 64, Std: deit.Std, Layout: Pixels, AsStored: true}
	for o := 1; o <= 8; o++ {
		for name, plain := range map[string]string{
			fmt.Sprintf("exif_mm_%d.jpg", o): "drawn_420.jpg", fmt.Sprintf("exif_%d.png", o): "rgb8.png",
		} {
			got, want := render(t, newPreprocessor(t, s), picture(t, name)), render(t, newPreprocessor(t, s), picture(t, plain))
			if !slices.Equal(got, want) {
				t.Errorf("%s: not as it is stored", name)
			}
		}
	}
}

// TestTurnedRegion: a region is of the picture as it is looked at. Its pixels are
// those of the whole turned picture, for every format that is turned and at every
// scale that a JPEG is decoded at.
func TestTurnedRegion(t *testing.T) {
	region := Region{0.25, 0.1, 0.75, 0.9}
	for o := 1; o <= 8; o++ {
		name := fmt.Sprintf("exif_%d.png", o)
		size := expected(t).Turned[name]
		whole := &camera.Frame{Format: camera.RGB24, Width: size.Width, Height: size.Height, Data: pixels(t, picture(t, name), size.Width, size.Height)}
		got, want := newPreprocessor(t, deit), newPreprocessor(t, deit)
		if err := got.Do(make([]float32, got.Len()), picture(t, name), region); err != nil {
			t.Fatal(err)
		}
		if err := want.Do(make([]float32, want.Len()), whole, region); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.RGB(), want.RGB()) {
			t.Errorf("%s: the region is another part of the picture", name)
		}
	}
}

// TestTurnedThumbnail: what moves outside the region of the turned picture is not
// seen.
func TestTurnedThumbnail(t *testing.T) {
	var maker Thumbnailer
	for o := 1; o <= 8; o++ {
		name := fmt.Sprintf("exif_ii_%d.jpg", o)
		var got, want Thumbnail
		region := Region{0, 0, 0.5, 0.25}
		if err := maker.Make(&got, picture(t, name), region); err != nil {
			t.Fatal(err)
		}
		if err := maker.Make(&want, picture(t, "drawn_420.jpg"), region.stored(exif.Orientation(o))); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: another region", name)
		}
	}
}

// TestTurnedAllocates: nothing for a JPEG of a size seen before.
func TestTurnedAllocates(t *testing.T) {
	p := newPreprocessor(t, deit)
	dst := make([]float32, p.Len())
	f := picture(t, "exif_ii_6.jpg")
	if n := testing.AllocsPerRun(10, func() {
		if err := p.Do(dst, f, Whole); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// TestStoredRegion: a box and a region go the same way.
func TestStoredRegion(t *testing.T) {
	const w, h = 40, 20
	for o := range exif.Orientation(10) {
		r := Region{0.1, 0.25, 0.4, 0.5}
		width, height := seen(o, w, h)
		if got, want := r.stored(o).pixels(w, h), stored(o, r.pixels(width, height), w, h); got != want {
			t.Errorf("orientation %d: %v, the box %v", o, got, want)
		}
	}
}

// BenchmarkTurned takes a picture of 1280×720 turned by a quarter, next to the same
// as it is stored.
func BenchmarkTurned(b *testing.B) {
	img := image.NewYCbCr(image.Rect(0, 0, 1280, 720), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = byte(i>>3 ^ i*i>>7)
	}
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, img, nil); err != nil {
		b.Fatal(err)
	}
	tagged := picture(b, "exif_ii_6.jpg").Data
	segment := tagged[2 : 4+int(tagged[4])<<8+int(tagged[5])]
	for name, exif := range map[string][]byte{"upright": nil, "turned": segment} {
		b.Run(name, func(b *testing.B) {
			data := slices.Concat(plain.Bytes()[:2], exif, plain.Bytes()[2:])
			benchFrame(b, &camera.Frame{Format: camera.JPEG, Data: data})
		})
	}
}
