package pictures

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"dynvit/camera"
	"dynvit/internal/needs"
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
	defer p.Close()
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

// TestHEIF: HEIC and AVIF as telephones and the web have them come near what pillow-heif
// and Pillow make of them. Where chroma is halved, HEIC's comes smoothed, which is undone
// but for a rest at hard edges and at the borders of what is coded (package heif); these
// small pictures are mostly such.
func TestHEIF(t *testing.T) {
	tried := 0
	for name, want := range expected(t).Files {
		format := formatOf(name)
		if format != camera.HEIC && format != camera.AVIF {
			continue
		}
		tried++
		t.Run(name, func(t *testing.T) {
			p, rgb, err := read(format, testdata(t, name))
			if err != nil {
				t.Fatal(err)
			}
			w, h, turned := upright(p, rgb)
			truth, tw, th := truth(t, name+".png")
			if w != tw || h != th || w != want.Width || h != want.Height {
				t.Fatalf("%d×%d, want %d×%d", w, h, tw, th)
			}
			d := difference(turned, truth)
			t.Logf("%.2f %% of samples differ, %.2f %% by more than 2, by %d at most, %.4f in the mean", 100*d.share, 100*d.far, d.most, d.mean)
			most, far, mean := 3, 0.001, 0.7
			switch {
			case strings.HasPrefix(name, "444") || strings.HasPrefix(name, "grey"):
				most, far, mean = 0, 0, 0
			case format == camera.HEIC:
				most, far, mean = 60, 0.09, 1.1
			}
			if d.most > most || d.far > far || d.mean > mean {
				t.Errorf("want by %d at most, %.2f %% by more than 2, %v in the mean", most, 100*far, mean)
			}
		})
	}
	if tried < 40 {
		t.Errorf("only %d files", tried)
	}
}

// truth reads Pillow's pixels with image/png.
func truth(t *testing.T, name string) (rgb []byte, w, h int) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(testdata(t, name)))
	if err != nil {
		t.Fatal(err)
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
	share, far, mean float64 // of samples that differ, and by more than 2; of all samples' differences
	most             int
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
		if e > 2 {
			d.far += 1 / float64(len(a))
		}
	}
	return d
}

// FuzzOpen: no bytes in any format make a reader panic, or take more memory than it says.
func FuzzOpen(f *testing.F) {
	for name := range expected(f).Files {
		if format := formatOf(name); format != camera.HEIC && format != camera.AVIF {
			f.Add(byte(format), testdata(f, name))
		}
	}
	f.Fuzz(func(t *testing.T, format byte, data []byte) {
		if f := camera.Format(format); f == camera.HEIC || f == camera.AVIF {
			return // package heif
		}
		p, err := Open(camera.Format(format), data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		if p.Width < 1 || p.Height < 1 || p.Bytes > 64<<20 || int64(p.Width)*int64(p.Height) > 16<<20 {
			return // who asks refuses it
		}
		rows, err := p.Decode()
		if err != nil {
			return
		}
		row := make([]byte, 3*p.Width)
		for y := range p.Height {
			rows(row, 0, y)
		}
	})
}

// TestMemory: what decoding takes is no more than is reckoned with, also where a header
// promises more than the bits hold.
func TestMemory(t *testing.T) {
	if needs.Race {
		t.Skip("the race detector has pools drop what they hold")
	}
	lossy, lossless := testdata(t, "lossy.webp"), testdata(t, "lossless.webp")
	at := bytes.Index(lossy, []byte{0x9d, 0x01, 0x2a}) + 3 // VP8's start code; width and height follow
	copy(lossy[at:], []byte{0xa0, 0x0f, 0xa0, 0x0f})       // 4000×4000
	at = bytes.Index(lossless, []byte{0x2f}) + 1
	copy(lossless[at:], []byte{0x9f, 0xcf, 0xe7, 0x03}) // 4000×4000
	large := image.NewNRGBA(image.Rect(0, 0, 1500, 1500))
	var asBMP, asTIFF, asGIF bytes.Buffer
	if err := errors.Join(bmp.Encode(&asBMP, large), tiff.Encode(&asTIFF, large, &tiff.Options{Compression: tiff.Deflate}), gif.Encode(&asGIF, large, nil)); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]camera.Frame{
		"lossy": {Format: camera.WebP, Data: lossy}, "lossless": {Format: camera.WebP, Data: lossless}, "bmp": {Format: camera.BMP, Data: asBMP.Bytes()},
		"tiff": {Format: camera.TIFF, Data: asTIFF.Bytes()}, "gif": {Format: camera.GIF, Data: asGIF.Bytes()},
	} {
		p, err := Open(f.Format, f.Data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.Width < 1500 || p.Height < 1500 {
			t.Errorf("%s: %d×%d", name, p.Width, p.Height)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p.Decode() // fails where bits are missing
		runtime.ReadMemStats(&after)
		const slack = 1 << 20 // tables, windows
		if took := int64(after.TotalAlloc - before.TotalAlloc); took > p.Bytes+p.Bytes/20+slack {
			t.Errorf("%s: takes %d KiB, foreseen are %d", name, took>>10, p.Bytes>>10)
		}
	}
}
