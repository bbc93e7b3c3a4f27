package baseline

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// everything is a window that no picture exceeds.
var everything = Window{0, 0, 1 << 16, 1 << 16}

// encoded is a noisy ramp as image/jpeg encodes it, 4:2:0 or grey.
func encoded(t testing.TB, w, h, noise int, grey bool) []byte {
	t.Helper()
	rnd := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			v := func(c int) byte { return byte((2*x+3*y+c)&255*3/4 + rnd.IntN(noise)) }
			img.SetRGBA(x, y, color.RGBA{v(0), v(40), v(80), 255})
		}
	}
	var from image.Image = img
	if grey {
		g := image.NewGray(img.Rect)
		for i := range g.Pix {
			g.Pix[i] = img.Pix[4*i]
		}
		from = g
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, from, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// fixtures are the JPEGs of package preprocess that this package decodes. What
// their pixels are in libjpeg-turbo is tested there.
func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../testdata/*.jpg")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		if strings.Contains(file, "progressive") || strings.Contains(file, "damaged") {
			continue
		}
		if all[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 30 {
		t.Fatalf("only %d pictures", len(all))
	}
	return all
}

func decode(t testing.TB, d *Decoder, data []byte, scale int, w Window) []Plane {
	t.Helper()
	planes, err := d.Decode(data, scale, w)
	if err != nil {
		t.Fatal(err)
	}
	return planes
}

// TestAgainstImageJPEG: another decoder's samples, up to its inverse DCT.
func TestAgainstImageJPEG(t *testing.T) {
	var d Decoder
	for _, size := range [][2]int{{1, 1}, {16, 16}, {17, 33}, {200, 150}, {640, 31}} {
		data := encoded(t, size[0], size[1], 64, false)
		img, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		m := img.(*image.YCbCr)
		planes := decode(t, &d, data, 1, everything)
		if len(planes) != 3 || planes[0].SX != 1 || planes[1].SX != 2 || planes[2].SY != 2 {
			t.Fatalf("%v: %d planes", size, len(planes))
		}
		for y := range size[1] {
			for x := range size[0] {
				ci := m.COffset(x, y)
				for i, want := range []byte{m.Y[m.YOffset(x, y)], m.Cb[ci], m.Cr[ci]} {
					p := planes[i]
					if got := p.Pix[y/p.SY*p.Stride+x/p.SX]; max(got, want)-min(got, want) > 2 {
						t.Fatalf("%v: component %d at %d,%d is %d, image/jpeg's %d", size, i, x, y, got, want)
					}
				}
			}
		}
	}
}

// TestWindow: what a window holds does not depend on the window, nor on what the
// decoder did before.
func TestWindow(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	used := new(Decoder)
	for name, data := range fixtures(t) {
		for _, scale := range []int{1, 2, 4, 8} {
			fresh := new(Decoder)
			all := decode(t, fresh, data, scale, everything)
			w, h := (fresh.width+scale-1)/scale, (fresh.height+scale-1)/scale
			for range 4 {
				x, y := rnd.IntN(w), rnd.IntN(h)
				box := Window{x, y, x + 1 + rnd.IntN(w-x), y + 1 + rnd.IntN(h-y)}
				for i, p := range decode(t, used, data, scale, box) {
					for y := box.Y0 / p.SY; y < (box.Y1+p.SY-1)/p.SY; y++ {
						for x := box.X0 / p.SX; x < (box.X1+p.SX-1)/p.SX; x++ {
							if got, want := p.Pix[y*p.Stride+x], all[i].Pix[y*all[i].Stride+x]; got != want {
								t.Fatalf("%s at 1/%d, %v: component %d at %d,%d is %d, without window %d", name, scale, box, i, x, y, got, want)
							}
						}
					}
				}
			}
		}
	}
}

// TestScaled: a sample at 1/n is about the mean of the n×n that it stands for.
func TestScaled(t *testing.T) {
	full, small := new(Decoder), new(Decoder)
	const w, h = 240, 160
	data := encoded(t, w, h, 64, true)
	all := decode(t, full, data, 1, everything)[0]
	for _, c := range []struct {
		scale int
		mean  float64 // of the differences; the noise of the picture leaves it
	}{{2, 5}, {4, 3}, {8, 0.6}} {
		p := decode(t, small, data, c.scale, everything)[0]
		sum := 0.0
		for y := range h / c.scale {
			for x := range w / c.scale {
				mean := 0
				for i := range c.scale * c.scale {
					mean += int(all.Pix[(y*c.scale+i/c.scale)*all.Stride+x*c.scale+i%c.scale])
				}
				d := float64(mean)/float64(c.scale*c.scale) - float64(p.Pix[y*p.Stride+x])
				sum += max(d, -d)
			}
		}
		if mean := sum / float64(w*h/c.scale/c.scale); mean > c.mean {
			t.Errorf("1/%d: %.2f from the mean", c.scale, mean)
		}
	}
}

// TestInverse: the kernels in assembly write what the Go functions do, and
// nothing else.
func TestInverse(t *testing.T) {
	if !inAssembly {
		t.Skip("needs kernels in assembly")
	}
	const stride = 11
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range 20000 {
		var coef, again [64]int32
		reach := int32(1) << (1 + i%17)
		for j := range coef {
			if rnd.IntN(64) < i%64+1 {
				coef[j] = rnd.Int32N(2*reach) - reach
			}
		}
		for _, side := range []int{4, 8} {
			want, got := bytes.Repeat([]byte{7}, 8*stride), bytes.Repeat([]byte{7}, 8*stride)
			again = coef
			if side == 8 {
				inverse8(want, stride, &again)
			} else {
				inverse4(want, stride, &again)
			}
			d := Decoder{coef: coef}
			d.inverse(got, stride, side, 63)
			if !bytes.Equal(got, want) {
				t.Fatalf("side %d, %v:\n%v, want\n%v", side, coef, got, want)
			}
		}
	}
}

// TestDamage: a picture that ends early is an error wherever it does, but for its end
// of image alone, and so is what cannot be; what is of another kind is told apart. What
// is made of other damage is tested in package preprocess, against libjpeg.
func TestDamage(t *testing.T) {
	data := fixtures(t)["drawn_420_restart.jpg"]
	d := new(Decoder)
	decode(t, d, data, 1, everything)
	for n := range len(data) - len("\xff\xd9") {
		if _, err := d.Decode(data[:n], 1, everything); err == nil {
			t.Fatalf("%d of %d bytes: no error", n, len(data))
		}
	}
	change := func(old, with string) []byte {
		if bytes.Count(data, []byte(old)) < 1 {
			t.Fatalf("no %x in the picture", old)
		}
		return bytes.Replace(data, []byte(old), []byte(with), 1)
	}
	for name, c := range map[string]struct {
		data []byte
		kind bool
	}{
		"most is lost":     {slices.Concat(data[:bytes.Index(data, []byte("\xff\xd1"))], []byte("\xff\xd9")), false},
		"too many markers": {change("\xff\xd1", strings.Repeat("\xff\xd7", 200)), false},
		"progressive":      {change("\xff\xc0", "\xff\xc2"), true},
		"12 bits":          {change("\xff\xc0\x00\x11\x08", "\xff\xc0\x00\x11\x0c"), true},
		"no width":         {change("\xff\xc0\x00\x11\x08\x00\x2f\x00\x3d", "\xff\xc0\x00\x11\x08\x00\x2f\x00\x00"), true},
		"no quantisation":  {change("\xff\xdb", "\xff\xe9"), false},
		"a scan of one":    {change("\xff\xda\x00\x0c\x03", "\xff\xda\x00\x08\x01"), true},
		"another SOF":      {change("\xff\xdb", "\xff\xc0"), false},
		"too many codes":   {change("\xff\xc4\x00\x1f\x00\x00", "\xff\xc4\x00\x1f\x00\x05"), false},
		"not a JPEG":       {[]byte("GIF89a"), false},
		"nothing":          {nil, false},
	} {
		_, err := d.Decode(c.data, 1, everything)
		if err == nil || errors.Is(err, ErrKind) != c.kind || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		decode(t, d, data, 1, everything) // the next picture is not affected
	}
}

// TestAllocations: none for a picture of a size seen before.
func TestAllocations(t *testing.T) {
	data := encoded(t, 320, 240, 64, false)
	d := new(Decoder)
	decode(t, d, data, 2, everything)
	if n := testing.AllocsPerRun(10, func() { d.Decode(data, 2, everything) }); n != 0 {
		t.Errorf("%v allocations a picture", n)
	}
}

// FuzzDecode: no bytes make it panic or depend on what was decoded before; a
// window is as good as the whole.
func FuzzDecode(f *testing.F) {
	for _, data := range fixtures(f) {
		f.Add(data, uint16(5), uint16(7))
	}
	for _, kind := range []string{"lost", "overwritten", "no_eoi", "no_marker_inside", "interval_lost"} {
		data, err := os.ReadFile("../testdata/damaged_444_" + kind + ".jpg")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint16(5), uint16(90))
	}
	used := new(Decoder)
	f.Fuzz(func(t *testing.T, data []byte, x, y uint16) {
		if i := bytes.Index(data, []byte{0xff, markSOF0}); i >= 0 && i+9 <= len(data) {
			data = bytes.Clone(data)
			data[i+5], data[i+7] = 0, 0 // small pictures are enough, and fast
		}
		fresh := new(Decoder)
		all, err := fresh.Decode(data, 1, everything)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("error of several lines: %q", err)
		}
		if err != nil || int(x) >= fresh.width || int(y) >= fresh.height {
			return
		}
		part, err := used.Decode(data, 1, Window{int(x), int(y), int(x) + 1, int(y) + 1})
		if err != nil && fresh.lost > 0 {
			return // of what the part needs too much may be lost
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range part {
			at := int(y)/p.SY*p.Stride + int(x)/p.SX
			if p.Pix[at] != all[i].Pix[at] {
				t.Errorf("component %d is %d, of the whole %d", i, p.Pix[at], all[i].Pix[at])
			}
		}
	})
}

// BenchmarkDecode takes a picture of 1280×720 and the window of a centre crop.
func BenchmarkDecode(b *testing.B) {
	data := encoded(b, 1280, 720, 10, false)
	for name, scale := range map[string]int{"whole": 1, "half": 2, "quarter": 4} {
		b.Run(name, func(b *testing.B) {
			d := new(Decoder)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				decode(b, d, data, scale, Window{325 / scale, 45 / scale, 955 / scale, 675 / scale})
			}
		})
	}
}
