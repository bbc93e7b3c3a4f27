// Package rendering draws an SVG by the programs that people look at it with, for tests.
package rendering

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"dynvit/internal/needs"
)

// LibRSVG is a drawing by librsvg, as GNOME's viewer, ImageMagick and many others show it.
func LibRSVG(t testing.TB, svg []byte) image.Image {
	t.Helper()
	c := exec.Command(needs.Program(t, "rsvg-convert", "librsvg2-bin"))
	c.Stdin = bytes.NewReader(svg)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("rsvg-convert: %v", err)
	}
	return decode(t, out)
}

// frame is more than a window takes of its size for itself.
const frame = 200

// Chromium is a drawing by a browser of a reader who asks for dark, or for light, in so many
// pixels.
func Chromium(t testing.TB, svg []byte, dark bool, width, height int) image.Image {
	t.Helper()
	program, dir := needs.Program(t, "chromium", "chromium"), t.TempDir()
	page, out := filepath.Join(dir, "figure.svg"), filepath.Join(dir, "figure.png")
	if err := os.WriteFile(page, svg, 0o600); err != nil {
		t.Fatal(err)
	}
	scheme := 1 // blink::mojom::PreferredColorScheme::kLight
	if dark {
		scheme = 0
	}
	c := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
		"--user-data-dir="+filepath.Join(dir, "profile"), fmt.Sprintf("--window-size=%d,%d", width+frame, height+frame),
		fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme), "--screenshot="+out, "file://"+page)
	c.WaitDelay = 5 * time.Second // its helpers keep standard error open
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("chromium: %v: %s", err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	shot := decode(t, data).(interface {
		SubImage(image.Rectangle) image.Image
	})
	return shot.SubImage(image.Rect(0, 0, width, height))
}

func decode(t testing.TB, data []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// Share is how much of a picture, 0 to 1, has a colour, 0xRRGGBB, within a few levels.
func Share(img image.Image, colour uint32) float64 {
	b, n := img.Bounds(), 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if Is(img.At(x, y), colour) {
				n++
			}
		}
	}
	return float64(n) / float64(b.Dx()*b.Dy())
}

// Is reports whether a pixel has a colour, 0xRRGGBB, within a few levels.
func Is(c color.Color, colour uint32) bool {
	const few = 6
	p := color.NRGBAModel.Convert(c).(color.NRGBA)
	for i, v := range []uint8{p.R, p.G, p.B} {
		if d := int(v) - int(uint8(colour>>(16-8*i))); d > few || d < -few {
			return false
		}
	}
	return p.A == 255
}
