//go:build vips

package preprocess

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davidbyttow/govips/v2/vips"

	"dynvit/camera"
)

// TestVips: what libvips decodes is within two levels of Pillow's pixels and, where a JPEG
// is shrunk as it is decoded, what the model is shown within three of the exact way.
func TestVips(t *testing.T) {
	files, err := filepath.Glob("testdata/drawn_*.jpg")
	if err != nil || len(files) < 11 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if strings.Contains(name, "cmyk") {
			continue // ours
		}
		t.Run(name, func(t *testing.T) {
			f := picture(t, name)
			want, w, h := truth(t, name+".png")
			p := newPreprocessor(t, Spec{Size: 64, Std: deit.Std, Layout: Pixels})
			win, done, err := p.byVips(f, Whole)
			if err != nil || !done || win.width != w || win.height != h {
				t.Fatalf("%d×%d, done %v, %v", win.width, win.height, done, err)
			}
			if d := difference(win.rgb, want); d.most > 2 {
				t.Errorf("differs from Pillow's by %d", d.most)
			}
		})
	}
	f := &camera.Frame{Format: camera.JPEG, Data: slopes(t, 2048, 1536)}
	exact, shrunk := newPreprocessor(t, deit), deit
	render(t, exact, &camera.Frame{Format: camera.PNG, Data: decoded(t, f.Data)})
	shrunk.Scaled = true
	p := newPreprocessor(t, shrunk)
	w, done, err := p.byVips(f, Whole)
	if err != nil || !done || w.width != 512 {
		t.Fatalf("%d×%d, done %v, %v", w.width, w.height, done, err)
	}
	render(t, p, f)
	// Ours at a fraction of the size is 0.62 levels in the mean from the exact way (TestScaled).
	if d := difference(p.RGB(), exact.RGB()); d.most > 3 || d.mean > 0.5 {
		t.Errorf("shrunk: differs from the exact way by %d, %.3f in the mean", d.most, d.mean)
	}
}

// slopes is a JPEG of what a photo mostly is.
func slopes(t *testing.T, w, h int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			level := func(a, b float64) uint8 { return uint8(128 + 90*math.Sin(float64(x)/a+float64(y)/b)) }
			img.SetRGBA(x, y, color.RGBA{level(57, 131), level(211, -73), level(97, 41), 255})
		}
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, img, nil); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// decoded is a JPEG's picture as our decoder has it, as PNG, which libvips does not read.
func decoded(t *testing.T, data []byte) []byte {
	t.Helper()
	p := newPreprocessor(t, Spec{Size: 64, Std: deit.Std, Layout: Pixels})
	w, err := p.decodeJPEG(data, Whole)
	if err != nil {
		t.Fatal(err)
	}
	return packed(t, w)
}

// packed is a whole picture as PNG.
func packed(t *testing.T, w window) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w.width, w.height))
	for i, j := 0, 0; i < len(img.Pix); i, j = i+4, j+3 {
		copy(img.Pix[i:], w.rgb[j:j+3])
		img.Pix[i+3] = 255
	}
	var file bytes.Buffer
	if err := png.Encode(&file, img); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// TestVipsTelephones: so is what the model is shown of WebP and HEIC.
func TestVipsTelephones(t *testing.T) {
	p := newPreprocessor(t, deit)
	want, _, _ := truth(t, "../../pictures/testdata/telephone.heic.crop.png")
	f := saved(t, camera.HEIC, "telephone.heic")
	if _, done, err := p.byVips(f, Whole); err != nil || !done {
		t.Fatal(done, err)
	}
	render(t, p, f)
	if d := difference(p.RGB(), want); d.most > 2 {
		t.Errorf("telephone.heic: differs by %d, %.3f in the mean", d.most, d.mean)
	}
	for _, name := range []string{"lossy.webp", "lossy_alpha.webp", "lossless.webp", "exif_6.webp"} {
		f := saved(t, camera.WebP, name)
		w, done, err := p.byVips(f, Whole)
		if err != nil || !done {
			t.Fatal(name, done, err)
		}
		got := append([]byte(nil), w.rgb...)
		ours, err := p.decodeSaved(f, Whole)
		if err != nil {
			t.Fatal(err)
		}
		if d := difference(got, ours.rgb); d.most > 2 {
			t.Errorf("%s: differs by %d", name, d.most)
		}
	}
}

// TestVipsLargeWebP: a large WebP is shrunk as it is decoded, in memory for that, and what the
// model is shown is no farther from the exact way in the mean than a JPEG that we shrink.
func TestVipsLargeWebP(t *testing.T) {
	jpeg := &camera.Frame{Format: camera.JPEG, Data: slopes(t, 1024, 768)}
	if _, done, err := newPreprocessor(t, deit).byVips(jpeg, Whole); err != nil || !done {
		t.Fatal(done, err)
	}
	png := decoded(t, jpeg.Data)
	for _, lossless := range []bool{false, true} {
		img, err := vips.NewImageFromBuffer(png)
		if err != nil {
			t.Fatal(err)
		}
		options := vips.NewWebpExportParams()
		options.Lossless, options.Quality, options.ReductionEffort = lossless, 95, 0
		data, _, err := img.ExportWebp(options)
		img.Close()
		if err != nil {
			t.Fatal(err)
		}
		f := &camera.Frame{Format: camera.WebP, Data: data}
		exact, shrunk := newPreprocessor(t, deit), deit
		want, err := newPreprocessor(t, Spec{Size: 64, Std: deit.Std, Layout: Pixels}).decodeSaved(f, Whole)
		if err != nil {
			t.Fatal(err)
		}
		render(t, exact, &camera.Frame{Format: camera.PNG, Data: packed(t, want)})
		shrunk.Scaled = true
		p := newPreprocessor(t, shrunk)
		w, done, err := p.byVips(f, Whole)
		if err != nil || !done || w.width != 512 || w.height != 384 {
			t.Fatalf("lossless %v: %d×%d, done %v, %v", lossless, w.width, w.height, done, err)
		}
		render(t, p, f)
		if d := difference(p.RGB(), exact.RGB()); d.most > 6 || d.mean > 0.62 {
			t.Errorf("lossless %v: differs from the exact way by %d, %.3f in the mean", lossless, d.most, d.mean)
		}
	}
}
