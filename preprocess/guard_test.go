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
	"runtime"
	"slices"
	"testing"

	"dynvit/camera"
	"dynvit/internal/guardpage"
)

// TestConvertAtPages: conversions of random lengths, whose samples and pixels have
// between none and all of the slack behind them, then a page that faults.
func TestConvertAtPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	samples := func(n int) []byte { return guardpage.Copied(t, noise(rnd, n+rnd.IntN(slack+1)))[:n] }
	for name, c := range map[string]struct {
		*conversion
		luma, chroma int // bytes from one to the next
		share        int // pixels of one chroma
		plain        func(y, u, v int32) (r, g, b byte)
		frame        func(n int) (y, u, v []byte)
	}{
		"ycc": {convertYCC, 1, 1, 1, ycc, func(n int) (y, u, v []byte) { return samples(n), samples(n), samples(n) }},
		"yuyv": {convertYUYV, 2, 4, 2, studio, func(n int) (y, u, v []byte) {
			line := samples((n + 1) / 2 * 4)
			return line, line[1:], line[3:]
		}},
		"nv12": {convertNV12, 1, 2, 2, studio, func(n int) (y, u, v []byte) {
			uv := samples((n + 1) / 2 * 2)
			return samples(n), uv, uv[1:]
		}},
		"i420": {convertI420, 1, 1, 2, studio, func(n int) (y, u, v []byte) {
			return samples(n), samples((n + 1) / 2), samples((n + 1) / 2)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 300 {
				n := 1 + rnd.IntN(200)
				y, u, v := c.frame(n)
				dst := guardpage.Ending[byte](t, 3*n+rnd.IntN(slack+1))[:3*n]
				done := c.pixels(dst, n, y, u, v)
				want := make([]byte, 3*done)
				for i := range done {
					j := i / c.share * c.chroma
					want[3*i], want[3*i+1], want[3*i+2] = c.plain(int32(y[i*c.luma]), int32(u[j]), int32(v[j]))
				}
				if !bytes.Equal(dst[:3*done], want) {
					t.Fatalf("%d of %d pixels differ from the definition", done, n)
				}
			}
		})
	}
}

// TestGreyAtPages: rows of every length, right before a page that faults.
func TestGreyAtPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(31, 32))
	for n := range 100 {
		src := guardpage.Copied(t, noise(rnd, n))
		dst, want := guardpage.Ending[byte](t, 3*n), make([]byte, 3*n)
		for i := range want {
			want[i] = src[i/3]
		}
		greyRow(dst, src)
		if !bytes.Equal(dst, want) {
			t.Fatalf("%d pixels: %v, want %v", n, dst, want)
		}
	}
}

// TestEveryColour: all combinations of samples, which the kernels' arithmetic is cut to.
func TestEveryColour(t *testing.T) {
	luma, chroma := make([]byte, 256, 256+slack), make([]byte, 256, 256+slack)
	for i := range luma {
		luma[i] = byte(i)
	}
	all, red := make([]byte, 3*256, 3*256+slack), slices.Clone(chroma)
	red = append(red, make([]byte, slack)...)[:256]
	for u := range 256 {
		for v := range 256 {
			if testing.Short() && (u+v)%5 != 0 {
				continue
			}
			for i := range chroma {
				chroma[i], red[i] = byte(u), byte(v)
			}
			for name, c := range map[string]struct {
				*conversion
				plain func(y, u, v int32) (r, g, b byte)
			}{"ycc": {convertYCC, ycc}, "i420": {convertI420, studio}} {
				done := c.pixels(all, 256, luma, chroma, red)
				if inAssembly && done < 240 {
					t.Fatalf("%s: only %d pixels", name, done)
				}
				for y := range done {
					r, g, b := c.plain(int32(y), int32(u), int32(v))
					if got := [3]byte(all[3*y:]); got != [3]byte{r, g, b} {
						t.Fatalf("%s of %d, %d, %d is %v, want %v", name, y, u, v, got, []byte{r, g, b})
					}
				}
			}
		}
	}
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

// TestBandsAtPages: pictures of random sizes whose rows, taps and weights begin or end at
// pages that fault.
func TestBandsAtPages(t *testing.T) {
	rnd, taken := rand.New(rand.NewPCG(23, 24)), 0
	for range 300 {
		in, out, height := 1+rnd.IntN(300), 1+rnd.IntN(100), 1+rnd.IntN(70)
		var a axis
		a.build(in, out, Spec{Size: max(1, out-rnd.IntN(5)), Filter: Filter(rnd.IntN(2))})
		if a.copied {
			continue
		}
		wide, n := 3*(a.to-a.from), 3*a.out
		stride := n + rnd.IntN(20)
		rows, want := noise(rnd, wide*height), make([]byte, stride*(height-1)+n)
		for i := range height {
			row := rows[i*wide:][:wide]
			a.joined(want[i*stride:][:n], make([]byte, n), joined(row, row), a.taps)
		}
		a.taps, a.weights = guardpage.Copied(t, a.taps), guardpage.Copied(t, a.weights)
		for _, memory := range []func(testing.TB, int) []byte{guardpage.Beginning[byte], guardpage.Ending[byte]} {
			from, dst, scratch := memory(t, len(rows)), memory(t, len(want)), memory(t, 16*(wide+n))
			copy(from, rows)
			done := a.bands(dst, stride, from, wide, height, &scratch)
			if done > height {
				t.Fatalf("%d of %d rows", done, height)
			}
			if done > 0 {
				taken++
			}
			if end := max(0, done-1)*stride + min(done, 1)*n; !bytes.Equal(dst[:end], want[:end]) {
				t.Fatalf("%d pixels to %d, %d rows: differ from the Go function", in, out, height)
			}
		}
	}
	if inAssembly && runtime.GOARCH == "arm64" && taken < 300 {
		t.Errorf("the kernel took only %d pictures", taken)
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
		if count == 1 { // as large as kernels take, and one beyond
			weights[0] = []int32{2<<fraction - 1, 2 << fraction, -2 << fraction, -2<<fraction - 1}[rnd.IntN(4)]
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
	p.band = guardpage.Ending[byte](t, cap(p.band))
	p.sums, p.pairs = guardpage.Ending[int32](t, cap(p.sums)), guardpage.Ending[int64](t, cap(p.pairs))
	if err := p.Do(dst, &f, r); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.RGB(), want) {
		t.Errorf("%+v, %v: differs on guarded memory", s, r)
	}
}

// TestThumbnailsAtPages: of frames of random sizes and regions, that end where a page
// faults, the kernels make what the Go functions do.
func TestThumbnailsAtPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(25, 26))
	for range 60 {
		w, h := 1+rnd.IntN(700), 1+rnd.IntN(300)
		r := Whole
		if rnd.IntN(2) == 0 {
			r = Region{rnd.Float64() / 2, rnd.Float64() / 2, 1 - rnd.Float64()/2.1, 1 - rnd.Float64()/2.1}
		}
		for _, f := range everyFormat(t, rnd, w, h) {
			if f.Format == camera.PNG {
				continue
			}
			f.Data = guardpage.Copied(t, f.Data)
			var want Thumbnail
			inGo(t, func() { thumbnailed(t, new(Thumbnailer), &want, &f, r) })
			m := new(Thumbnailer)
			got := &guardpage.Ending[Thumbnail](t, 1)[0]
			thumbnailed(t, m, got, &f, r)
			m.sums = guardpage.Ending[uint16](t, cap(m.sums))
			thumbnailed(t, m, got, &f, r)
			if *got != want {
				t.Fatalf("%v of %d×%d, %v: differs from the Go function", f.Format, w, h, r)
			}
		}
	}
}

func thumbnailed(t *testing.T, m *Thumbnailer, dst *Thumbnail, f *camera.Frame, r Region) {
	t.Helper()
	if err := m.Make(dst, f, r); err != nil {
		t.Fatal(err)
	}
}

// TestSumsAtPages: rows of random lengths and distances, as many as 16 bits can add up and
// more, of which all or none are summed.
func TestSumsAtPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(27, 28))
	for i := range 200 {
		n, rows := 1+rnd.IntN(150), 1+rnd.IntN(8)
		if i%10 == 0 {
			rows = 250 + rnd.IntN(10)
		}
		stride := n + rnd.IntN(40)
		src, want := noise(rnd, (rows-1)*stride+n), make([]int, n)
		if i%20 == 0 {
			src = bytes.Repeat([]byte{255}, len(src))
		}
		for i := range src {
			if i%stride < n {
				want[i%stride] += int(src[i])
			}
		}
		dst := guardpage.Ending[uint16](t, n)
		if !sumRows(dst, guardpage.Copied(t, src), stride, rows) {
			continue
		}
		for i, v := range dst {
			if int(v) != want[i] {
				t.Fatalf("%d rows of %d bytes: sum %d is %d, want %d", rows, n, i, v, want[i])
			}
		}
	}
}

// TestDiffering counts by every least difference.
func TestDiffering(t *testing.T) {
	rnd := rand.New(rand.NewPCG(29, 30))
	for least := 1; least < 256; least++ {
		pair := guardpage.Ending[Thumbnail](t, 2)
		for i := range pair[0] {
			pair[0][i] = byte(rnd.Uint32())
			pair[1][i] = pair[0][i] + byte(rnd.IntN(3)-1+[]int{least, -least, 0}[rnd.IntN(3)])
		}
		if got, want := differing(&pair[0], &pair[1], least), differingCells(&pair[0], &pair[1], least); got != want {
			t.Fatalf("%d cells differ by %d, want %d", got, least, want)
		}
	}
	zero, full := new(Thumbnail), new(Thumbnail)
	for i := range full {
		full[i] = 255
	}
	if got := differing(zero, full, 255); got != len(full) {
		t.Errorf("%d cells of %d differ", got, len(full))
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
