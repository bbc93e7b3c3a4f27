package pictures

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynvit/camera"
)

// expectation is testdata/expect.json: what Pillow makes of the same pictures.
type expectation struct {
	Files map[string]struct {
		Width, Height int    // turned by exif_transpose
		RGB           string // SHA-256 of the pixels
		StoredWidth   int    `json:"stored_width"` // as Pillow opens it
		StoredHeight  int    `json:"stored_height"`
		Stored        string
	}
}

// notRead are kinds of picture that Pillow reads and the decoders here do not.
var notRead = map[string]string{
	"cmyk.tif":       "not read: color model",
	"jpeg.tif":       "not read: ",
	"no_palette.gif": "no color table",
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func expected(t testing.TB) expectation {
	t.Helper()
	var e expectation
	if err := json.Unmarshal(testdata(t, "expect.json"), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// formatOf goes by the names of fixtures.
func formatOf(name string) camera.Format {
	return map[string]camera.Format{".webp": camera.WebP, ".tif": camera.TIFF, ".bmp": camera.BMP, ".gif": camera.GIF, ".heic": camera.HEIC, ".avif": camera.AVIF, ".png": camera.PNG}[filepath.Ext(name)]
}

// read decodes a whole picture, without turning it.
func read(format camera.Format, data []byte) (*Picture, []byte, error) {
	p, err := Open(format, data)
	if err != nil {
		return nil, nil, err
	}
	rows, err := p.Decode()
	if err != nil {
		return p, nil, err
	}
	rgb := make([]byte, 3*p.Width*p.Height)
	for y := range p.Height {
		rows(rgb[3*p.Width*y:][:3*p.Width], 0, y)
	}
	return p, rgb, nil
}

// upright turns pixels pixel by pixel.
func upright(p *Picture, rgb []byte) (w, h int, out []byte) {
	w, h = p.Width, p.Height
	if p.Turn.Sideways() {
		w, h = h, w
	}
	mx, my := p.Turn.Mirrored()
	for y := range h {
		for x := range w {
			sx, sy := x, y
			if p.Turn.Sideways() {
				sx, sy = y, x
			}
			if mx {
				sx = p.Width - 1 - sx
			}
			if my {
				sy = p.Height - 1 - sy
			}
			out = append(out, rgb[3*(sy*p.Width+sx):][:3]...)
		}
	}
	return w, h, out
}

func checksum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestFiles: pictures of every kind give the pixels of Pillow's convert('RGB'), turned
// as its exif_transpose turns them, and as it opens them for who reads them as stored.
func TestFiles(t *testing.T) {
	tried := map[camera.Format]int{}
	for name, want := range expected(t).Files {
		format := formatOf(name)
		if format == camera.HEIC || format == camera.AVIF {
			continue // TestHEIF
		}
		tried[format]++
		t.Run(name, func(t *testing.T) {
			p, rgb, err := read(format, testdata(t, name))
			if why, is := notRead[name]; is {
				if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %v, want %q", err, why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			w, h, turned := upright(p, rgb)
			if w != want.Width || h != want.Height || checksum(turned) != want.RGB {
				t.Errorf("%d×%d: differs from Pillow's %d×%d", w, h, want.Width, want.Height)
				saved, _, _ := truth(name)
				if saved != nil {
					t.Log(difference(turned, saved))
				}
			}
			stored := rgb
			if p.Always {
				stored = turned
			}
			if checksum(stored) != want.Stored {
				t.Error("as it is stored: differs from Pillow's")
			}
		})
	}
	for format, least := range map[camera.Format]int{camera.WebP: 23, camera.TIFF: 34, camera.BMP: 10, camera.GIF: 9} {
		if tried[format] < least {
			t.Errorf("%v: only %d files", format, tried[format])
		}
	}
}

// truth reads Pillow's pixels with image/png.
func truth(name string) (rgb []byte, w, h int) {
	data, err := os.ReadFile(filepath.Join("testdata", name+".png"))
	if err != nil {
		return nil, 0, 0
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, 0, 0
	}
	size := img.Bounds().Size()
	for y := range size.Y {
		for x := range size.X {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			rgb = append(rgb, c.R, c.G, c.B)
		}
	}
	return rgb, size.X, size.Y
}

type distance struct {
	share, mean float64 // of samples that differ; of all samples' differences
	most        int
}

func difference(a, b []byte) (d distance) {
	for i := range a {
		e := int(a[i]) - int(b[i])
		e = max(e, -e)
		d.most = max(d.most, e)
		d.mean += float64(e) / float64(len(a))
		if e != 0 {
			d.share += 1 / float64(len(a))
		}
	}
	return d
}

var _ = image.Rect
