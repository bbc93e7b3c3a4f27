package preprocess

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"dynvit/camera"
	"dynvit/internal/guardpage"
)

// TestConvertAtPages: conversions of random lengths, whose samples and pixels have
// between none and all of the slack behind them, then a page that faults.
func TestConvertAtPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	for name, c := range map[string]struct {
		*conversion
		luma, chroma int // bytes of luma a pixel, of each chroma for two
		f            factors
	}{
		"ycc":  {convertYCC, 1, 2, jfifFactors},
		"yuyv": {convertYUYV, 2, 4, studioFactors},
		"nv12": {convertNV12, 1, 2, studioFactors},
		"i420": {convertI420, 1, 1, studioFactors},
	} {
		t.Run(name, func(t *testing.T) {
			for range 200 {
				n := rnd.IntN(120)
				sample := func(size int) []byte {
					all := guardpage.Copied(t, noise(rnd, size+rnd.IntN(slack+1)))
					return all[:size]
				}
				y, u, v := sample(n*c.luma), sample((n+1)/2*c.chroma), sample((n+1)/2*c.chroma)
				dst := guardpage.Ending[byte](t, 3*n+rnd.IntN(slack+1))[:3*n]
				done := c.pixels(dst, n, y, u, v)
				want := make([]byte, 3*done)
				for i := range done {
					j := int(c.conversion.u[i%8]) + i/8*int(c.stepC)
					want[3*i], want[3*i+1], want[3*i+2] = c.f.pixel(y[i*c.luma], u[j], v[j])
				}
				if !bytes.Equal(dst[:3*done], want) {
					t.Fatalf("%d of %d pixels differ from the definition", done, n)
				}
			}
		})
	}
}

// pixel is the definition of a conversion.
func (f factors) pixel(y, u, v byte) (r, g, b byte) {
	luma := f.luma*(int32(y)-f.black) + half
	cb, cr := int32(u)-128, int32(v)-128
	return clamp((luma + f.rv*cr) >> 16), clamp((luma + f.gu*cb + f.gv*cr) >> 16), clamp((luma + f.bu*cb) >> 16)
}

// TestTriangleAtPages: samples between two pages that fault, one behind the other.
func TestTriangleAtPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(13, 14))
	for range 300 {
		n := 3 + rnd.IntN(140)
		c0 := rnd.IntN(n)
		near, far := noise(rnd, n), noise(rnd, n)
		want := make([]byte, 2*(n-c0))
		inGo(t, func() { triangleBoth(want, near, far, c0) })
		for _, memory := range []func(testing.TB, int) []byte{guardpage.Beginning[byte], guardpage.Ending[byte]} {
			a, b, dst := memory(t, n), memory(t, n), memory(t, 2*(n-c0))
			copy(a, near)
			copy(b, far)
			triangleBoth(dst, a, b, c0)
			if !bytes.Equal(dst, want) {
				t.Fatalf("%d samples from %d on differ from the Go function", n, c0)
			}
		}
	}
}

// TestAcrossAtPages: two rows of random lengths without any slack, where the kernel
// leaves the last pixels to Go, and with all that it wants.
func TestAcrossAtPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(15, 16))
	for range 400 {
		in, out := 1+rnd.IntN(300), 1+rnd.IntN(100)
		var a axis
		a.build(in, out, Spec{Size: max(1, out-rnd.IntN(5)), Filter: Filter(rnd.IntN(2))})
		if a.copied {
			continue
		}
		a.widen()
		n := 3 * (a.to - a.from)
		row0, row1 := noise(rnd, n), noise(rnd, n)
		want0, want1 := make([]byte, 3*a.out), make([]byte, 3*a.out)
		a.joined(want0, want1, joined(row0, row1), a.taps)
		dst0, dst1 := guardpage.Ending[byte](t, 3*a.out), guardpage.Ending[byte](t, 3*a.out)
		a.offsets, a.wide = guardpage.Copied(t, a.offsets), guardpage.Copied(t, a.wide)
		a.rows(dst0, dst1, guardpage.Copied(t, row0), guardpage.Copied(t, row1), make([]int64, n))
		if !bytes.Equal(dst0, want0) || !bytes.Equal(dst1, want1) {
			t.Fatalf("%d pixels to %d differ from the Go function", in, out)
		}
		row0 = guardpage.Copied(t, append(row0, make([]byte, a.behind())...))
		if done := a.across(dst0, dst1, row0, row0); a.pairs > 0 && done != a.out-1 {
			t.Fatalf("%d pixels to %d: the kernel makes %d where it has what it reads behind", in, out, done)
		}
	}
}

func joined(a, b []byte) []int64 {
	pairs := make([]int64, len(a))
	join(pairs, a, b)
	return pairs
}

// TestDownAtPages: a row of as many bytes as one has room for, of one row or more.
func TestDownAtPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(17, 18))
	for range 300 {
		n, count := 1+rnd.IntN(300), 1+rnd.IntN(9)
		rows, weights := noise(rnd, n*count), make([]int32, count)
		for i := range weights {
			weights[i] = rnd.Int32N(1<<fraction/int32(count)*2) - 1<<fraction/20
		}
		var a axis
		want := make([]byte, n)
		inGo(t, func() { a.column(want, make([]int32, n), rows, weights) })
		dst := guardpage.Ending[byte](t, n)
		a.column(dst, make([]int32, n), guardpage.Copied(t, rows), guardpage.Copied(t, weights))
		if !bytes.Equal(dst, want) {
			t.Fatalf("%d rows of %d bytes differ from the Go function", count, n)
		}
	}
}

// TestBuffersAtPages: whole frames of random sizes, shapes and regions, in every format,
// with each buffer that the kernels read or write right below a page that faults.
func TestBuffersAtPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(19, 20))
	shape := func() (w, h int) {
		switch rnd.IntN(6) {
		case 0:
			return 1 + rnd.IntN(4), 1 + rnd.IntN(900)
		case 1:
			return 1 + rnd.IntN(900), 1 + rnd.IntN(4)
		}
		return 1 + rnd.IntN(200), 1 + rnd.IntN(200)
	}
	for range 60 {
		w, h := shape()
		size := 1 + rnd.IntN(70)
		s := Spec{Size: size, Std: deit.Std, Layout: Pixels, Scaled: rnd.IntN(2) == 0, Filter: Filter(rnd.IntN(2))}
		if rnd.IntN(2) == 0 {
			s.Resize = 1 + rnd.IntN(2*size)
		}
		r := Region{0, 0, 1, 1}
		if rnd.IntN(2) == 0 {
			r = Region{rnd.Float64() / 3, rnd.Float64() / 3, 1 - rnd.Float64()/3, 1 - rnd.Float64()/3}
		}
		for _, f := range everyFormat(t, rnd, w, h) {
			t.Run(fmt.Sprintf("%v/%dx%d", f.Format, w, h), func(t *testing.T) { atPages(t, s, f, r) })
		}
	}
}

// atPages compares what a Preprocessor makes with what it makes where its buffers, of
// the lengths that it asked for, lie below pages that fault.
func atPages(t *testing.T, s Spec, f camera.Frame, r Region) {
	p := newPreprocessor(t, s)
	dst := make([]float32, p.Len())
	if err := p.Do(dst, &f, r); err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(p.RGB())
	f.Data = guardpage.Copied(t, f.Data)
	for _, list := range []*[]byte{&p.window.rgb, &p.rows, &p.out, &p.lines[0], &p.lines[1], &p.lines[2], &p.lines[3]} {
		n := len(*list)
		*list = guardpage.Ending[byte](t, cap(*list))[:n]
	}
	p.sums, p.pairs = guardpage.Ending[int32](t, cap(p.sums)), guardpage.Ending[int64](t, cap(p.pairs))
	if err := p.Do(dst, &f, r); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.RGB(), want) {
		t.Errorf("%+v, %v: differs on guarded memory", s, r)
	}
}

// everyFormat is a picture of noise in each format.
func everyFormat(t *testing.T, rnd *rand.Rand, w, h int) (list []camera.Frame) {
	t.Helper()
	for _, format := range []camera.Format{camera.RGB24, camera.GREY, camera.YUYV, camera.NV12, camera.I420} {
		list = append(list, camera.Frame{Format: format, Width: w, Height: h, Data: noise(rnd, format.Bytes(w, h))})
	}
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	copy(img.Pix, noise(rnd, len(img.Pix)))
	var asJPEG, asPNG bytes.Buffer
	if err := errors.Join(jpeg.Encode(&asJPEG, img, nil), png.Encode(&asPNG, img)); err != nil {
		t.Fatal(err)
	}
	return append(list, camera.Frame{Format: camera.JPEG, Data: asJPEG.Bytes()}, camera.Frame{Format: camera.PNG, Data: asPNG.Bytes()})
}

// TestPlanesAtPages: planes of random sizes and samplings, each right below a page that
// faults, become the same pixels as planes with room behind them.
func TestPlanesAtPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 22))
	for range 200 {
		w, h := 1+rnd.IntN(150), 1+rnd.IntN(12)
		x0 := rnd.IntN(w)
		win := window{width: w, height: h, box: box{x0, rnd.IntN(h), x0 + 1 + rnd.IntN(w-x0), h}}
		sx, sy := 1+rnd.IntN(2), 1+rnd.IntN(2)
		var roomy, tight []plane
		for i := range 3 {
			p := newPlane(nil, 0, w, h, 1, 1)
			if i > 0 {
				p = newPlane(nil, 0, w, h, sx, sy)
			}
			p.stride = p.width
			p.pix = noise(rnd, p.width*p.height+64)
			roomy = append(roomy, p)
			p.pix = guardpage.Copied(t, p.pix[:p.width*p.height])
			tight = append(tight, p)
		}
		n := 3 * win.box.width() * win.box.height()
		convert := func(planes []plane, rgb []byte) []byte {
			win.rgb = rgb
			new(Preprocessor).convert(win, planes, jpegYCC)
			return rgb
		}
		want := convert(roomy, make([]byte, n, n+slack))
		if got := convert(tight, guardpage.Ending[byte](t, n+slack)[:n]); !bytes.Equal(got, want) {
			t.Fatalf("%d×%d from %d, samples of %d×%d pixels: differ from those with room", w, h, x0, sx, sy)
		}
	}
}

// TestFilesAtPages: the JPEGs of the fixtures, whose samplings image/jpeg does not write.
func TestFilesAtPages(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jpg")
	if err != nil || len(files) < 30 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		f := picture(t, filepath.Base(file))
		atPages(t, Spec{Size: 40, Resize: 47, Std: deit.Std, Layout: Pixels}, *f, Whole)
	}
}
