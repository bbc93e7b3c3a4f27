package preprocess

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"dynvit/camera"
	"dynvit/internal/needs"
)

// deit is what DeiT's evaluation does.
var deit = Spec{
	Size: 224, Resize: 256, Patch: 16,
	Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225},
}

func newPreprocessor(t testing.TB, s Spec) *Preprocessor {
	t.Helper()
	p, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// geometry is the part of a Spec that expect.json has by name.
type geometry struct {
	Size, Resize            int
	Bilinear, Squash, Floor bool
}

func (g geometry) spec() Spec {
	s := Spec{Size: g.Size, Resize: g.Resize, Squash: g.Squash, FloorCrop: g.Floor}
	if g.Bilinear {
		s.Filter = Bilinear
	}
	return s
}

// expectation is testdata/expect.json: what Pillow makes of the same pictures,
// as SHA-256 of the pixels.
type expectation struct {
	Pillow string // its version
	Specs  map[string]geometry
	Shapes []struct {
		Width, Height int
		Crops         map[string]string // by spec
	}
	Input   map[string]string // by layout: float32, little endian
	Files   map[string]file
	Turned  map[string]file // by exif_transpose
	Damaged map[string]file
	Golden  map[string]string
}

// file is a picture as Pillow has it.
type file struct {
	Width, Height int
	RGB           string
	Crops         map[string]string
}

func expected(t testing.TB) expectation {
	t.Helper()
	var e expectation
	if err := json.Unmarshal(testdata(t, "expect.json"), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// shared reads a file of the reference data.
func shared(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(needs.Shared(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// drawn is make_fixtures.py's picture: ramps with edges and a quarter of noise.
func drawn(w, h int) *camera.Frame {
	f := &camera.Frame{Format: camera.RGB24, Width: w, Height: h, Data: make([]byte, 3*w*h)}
	for i := range f.Data {
		x, y, c := i/3%w, i/3/w, i%3
		noise := uint32(i) * 2654435761
		noise = (noise ^ noise>>15) * 2246822519 >> 24
		ramp := (2*x + 3*y + 40*c) & 255
		f.Data[i] = byte((3*ramp + int(noise)) >> 2)
	}
	return f
}

// render returns the picture shown to the model.
func render(t testing.TB, p *Preprocessor, f *camera.Frame) []byte {
	t.Helper()
	if err := p.Do(make([]float32, p.Len()), f, Whole); err != nil {
		t.Fatal(err)
	}
	return p.RGB()
}

// pixels decodes a whole picture of w×h: a warp to another size needs every pixel
// of it, so that the window holds them all.
func pixels(t testing.TB, f *camera.Frame, w, h int) []byte {
	t.Helper()
	p := newPreprocessor(t, Spec{Size: 64, Std: deit.Std, Layout: Pixels})
	if err := p.Decode(f, Whole); err != nil {
		t.Fatal(err)
	}
	if got, want := p.window.box, (box{0, 0, w, h}); got != want {
		t.Fatalf("decoded %v, want %v", got, want)
	}
	p.window.convert()
	return p.window.rgb
}
