package preprocess

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynvit/camera"
)

func imagenet(t testing.TB) *Preprocessor {
	t.Helper()
	p, err := New(Spec{
		Size: 224, Resize: 256, Patch: 16,
		Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// golden returns a file of the project's shared reference data; where that is
// absent the test is skipped, or fails if DYNVIT_REQUIRE is set.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "shared", "golden", "deit_tiny", name))
	if err != nil {
		if os.Getenv("DYNVIT_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skip("needs ../shared/golden:", err)
	}
	return data
}

func render(t *testing.T, p *Preprocessor, format camera.Format, data []byte) []byte {
	t.Helper()
	if err := p.Decode(&camera.Frame{Format: format, Data: data}, Whole); err != nil {
		t.Fatal(err)
	}
	p.Render(make([]float32, p.Len()))
	return p.RGB()
}

// TestPillow compares with checksums that testdata/make_fixtures.py took from
// Pillow itself: the crop must be equal to the bit.
func TestPillow(t *testing.T) {
	var expect struct{ Crops map[string]string }
	data, err := os.ReadFile("testdata/expect.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &expect); err != nil || len(expect.Crops) < 15 {
		t.Fatal(len(expect.Crops), err)
	}
	p := imagenet(t)
	for name, want := range expect.Crops {
		t.Run(name, func(t *testing.T) {
			var picture []byte
			if photo, ok := strings.CutPrefix(name, "golden/"); ok {
				picture = golden(t, photo)
			} else if picture, err = os.ReadFile(filepath.Join("testdata", name)); err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(render(t, p, camera.PNG, picture))
			if got := hex.EncodeToString(sum[:]); got != want {
				t.Errorf("crop differs from Pillow's")
			}
		})
	}
}

// TestJPEG compares with Pillow's crop. Upsampling and colour conversion are
// libjpeg's own; what is left is the inverse DCT's last bit.
func TestJPEG(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jpg")
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	p := imagenet(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			most, mean := difference(t, render(t, p, camera.JPEG, data), file+".crop.png")
			t.Logf("largest difference %d, mean %.4f", most, mean)
			if most > 3 || mean > 0.15 {
				t.Errorf("largest difference to Pillow %d, mean %.3f; want at most 3 and 0.15", most, mean)
			}
		})
	}
}

func difference(t *testing.T, got []byte, file string) (most int, mean float64) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 224 * 224 {
		r, g, b, _ := want.At(i%224, i/224).RGBA()
		for c, v := range []uint32{r, g, b} {
			d := int(v>>8) - int(got[3*i+c])
			d = max(d, -d)
			most, mean = max(most, d), mean+float64(d)/float64(len(got))
		}
	}
	return most, mean
}

func TestLayouts(t *testing.T) {
	frame := &camera.Frame{Format: camera.RGB24, Width: 4, Height: 4}
	for i := range 48 {
		frame.Data = append(frame.Data, byte(i))
	}
	spec := Spec{Size: 4, Resize: 4, Patch: 2, Std: [3]float32{1, 1, 1}}
	p, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	patches := make([]float32, p.Len())
	if err := p.Do(patches, frame, Whole); err != nil {
		t.Fatal(err)
	}
	spec.Layout = Pixels
	if p, err = New(spec); err != nil {
		t.Fatal(err)
	}
	pixels := make([]float32, p.Len())
	if err := p.Do(pixels, frame, Whole); err != nil {
		t.Fatal(err)
	}
	for y := range 4 {
		for x := range 4 {
			for c := range 3 {
				want := float32(3*(4*y+x)+c) / 255
				if got := pixels[3*(4*y+x)+c]; got != want {
					t.Errorf("pixel %d,%d,%d: %v, want %v", x, y, c, got, want)
				}
				at := (y/2*2+x/2)*12 + c*4 + y%2*2 + x%2
				if got := patches[at]; got != want {
					t.Errorf("patch element %d: %v, want %v", at, got, want)
				}
			}
		}
	}
}

// TestRegion: a region gives what the cut-out picture alone gives.
func TestRegion(t *testing.T) {
	const w, h = 40, 30
	whole := &camera.Frame{Format: camera.RGB24, Width: w, Height: h, Data: make([]byte, 3*w*h)}
	for i := range whole.Data {
		whole.Data[i] = byte(i * 7)
	}
	cut := &camera.Frame{Format: camera.RGB24, Width: 20, Height: 15}
	for y := 6; y < 21; y++ {
		cut.Data = append(cut.Data, whole.Data[3*(y*w+10):3*(y*w+30)]...)
	}
	p := imagenet(t)
	a, b := make([]float32, p.Len()), make([]float32, p.Len())
	if err := p.Do(a, whole, Region{0.25, 0.2, 0.75, 0.7}); err != nil {
		t.Fatal(err)
	}
	if err := p.Do(b, cut, Whole); err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("element %d: %v of the region, %v of the cut picture", i, a[i], b[i])
		}
	}
}

// TestRaw: a flat colour in each camera format comes out as that colour.
func TestRaw(t *testing.T) {
	const w, h = 7, 5 // odd on purpose
	// Y 145, U 54, V 34 is BT.601's full green.
	fill := func(n int, pattern ...byte) []byte {
		return bytes.Repeat(pattern, (n+len(pattern)-1)/len(pattern))[:n]
	}
	planar := append(fill(w*h, 145), fill(4*3, 54)...)
	semi := append(fill(w*h, 145), fill(2*4*3, 54, 34)...)
	for format, data := range map[camera.Format][]byte{
		camera.YUYV:  fill(4*4*h, 145, 54, 145, 34),
		camera.I420:  append(planar, fill(4*3, 34)...),
		camera.NV12:  semi,
		camera.RGB24: fill(3*w*h, 0, 255, 0),
	} {
		p := imagenet(t)
		f := &camera.Frame{Format: format, Width: w, Height: h, Data: data}
		if err := p.Decode(f, Whole); err != nil {
			t.Fatal(format, err)
		}
		for i := 0; i < len(p.rgb); i += 3 {
			if p.rgb[i] > 2 || p.rgb[i+1] < 253 || p.rgb[i+2] > 2 {
				t.Fatalf("%v pixel %d: %v, want green", format, i/3, p.rgb[i:i+3])
			}
		}
		f.Data = data[:len(data)-1]
		if err := p.Decode(f, Whole); err == nil {
			t.Errorf("%v: a frame that ends early is no error", format)
		}
	}
}

func TestBadPictures(t *testing.T) {
	good, err := os.ReadFile("testdata/rgb_300x200.png")
	if err != nil {
		t.Fatal(err)
	}
	jpg, err := os.ReadFile("testdata/jpeg_420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	huge := append([]byte(nil), good...)
	copy(huge[16:24], []byte{0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20}) // 20,000 × 20,000; the checksum is wrong, too
	p := imagenet(t)
	for name, f := range map[string]camera.Frame{
		"empty png":     {Format: camera.PNG},
		"cut png":       {Format: camera.PNG, Data: good[:len(good)/2]},
		"huge png":      {Format: camera.PNG, Data: huge},
		"empty jpeg":    {Format: camera.JPEG},
		"cut jpeg":      {Format: camera.JPEG, Data: jpg[:len(jpg)/2]},
		"no format":     {Data: good},
		"negative size": {Format: camera.RGB24, Width: -1, Height: 5},
		"huge raw":      {Format: camera.GREY, Width: 20000, Height: 20000},
	} {
		err := p.Decode(&f, Whole)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line", name, err)
		}
	}
	if err := p.Decode(&camera.Frame{Format: camera.PNG, Data: good}, Region{0.5, 0, 0.5, 1}); err == nil {
		t.Error("an empty region is no error")
	}
	render(t, p, camera.PNG, good) // still usable
}

// TestStrips: what is not needed is not computed, so that shapes far from
// square cost nothing.
func TestStrips(t *testing.T) {
	p := imagenet(t)
	dst := make([]float32, p.Len())
	for _, f := range []camera.Frame{
		{Format: camera.GREY, Width: 1, Height: 60000, Data: make([]byte, 60000)},
		{Format: camera.GREY, Width: 60000, Height: 1, Data: make([]byte, 60000)},
	} {
		if err := p.Do(dst, &f, Whole); err != nil {
			t.Fatal(err)
		}
		if len(p.rows) > 3*224*60000/256 {
			t.Errorf("%d×%d: %d bytes between the passes", f.Width, f.Height, len(p.rows))
		}
	}
}

func TestNoAllocations(t *testing.T) {
	p := imagenet(t)
	dst := make([]float32, p.Len())
	for _, f := range []camera.Frame{
		{Format: camera.RGB24, Width: 640, Height: 360, Data: make([]byte, 640*360*3)},
		{Format: camera.YUYV, Width: 640, Height: 360, Data: make([]byte, 640*360*2)},
	} {
		n := testing.AllocsPerRun(3, func() {
			if err := p.Do(dst, &f, Whole); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%v: %v allocations a frame", f.Format, n)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"rgb_2x3.png", "mode_palette_trns.png", "jpeg_420.jpg", "jpeg_cmyk.jpg"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, strings.HasSuffix(name, ".png"))
	}
	p := imagenet(f)
	dst := make([]float32, p.Len())
	f.Fuzz(func(t *testing.T, data []byte, isPNG bool) {
		format := camera.JPEG
		if isPNG {
			format = camera.PNG
		}
		if err := p.Do(dst, &camera.Frame{Format: format, Data: data}, Region{0.1, 0, 0.9, 1}); err == nil {
			if p.width < 1 || p.height < 1 || len(p.rgb) != 3*p.width*p.height {
				t.Fatalf("%d bytes for %d×%d", len(p.rgb), p.width, p.height)
			}
		}
	})
}

func BenchmarkRender(b *testing.B) {
	for _, size := range [][2]int{{640, 360}, {1280, 720}} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := imagenet(b)
			dst := make([]float32, p.Len())
			f := camera.Frame{Format: camera.YUYV, Width: size[0], Height: size[1], Data: make([]byte, size[0]*size[1]*2)}
			if err := p.Decode(&f, Whole); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Render(dst)
			}
		})
	}
}
