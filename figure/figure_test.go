package figure

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"testing"

	"dynvit/internal/rendering"
)

var (
	paper = Ink{0xffffff, 0x14171c}
	ink   = Ink{0x1f2430, 0xe8eaee}
	blue  = Ink{0x1f5fa8, 0x7ab8f5}
	brown = Ink{0xb45309, 0xf0a84b}
	red   = Ink{0xc02626, 0xff8080}
)

// sample has a mark of each kind.
func sample() *Figure {
	f := New(200, 120, paper)
	f.Area(Style{Name: "area", Fill: &blue}, Point{20, 20}, Point{80, 20}, Point{80, 60}, Point{20, 60})
	f.Area(Style{Name: "pale", Fill: &red, Opacity: 0.25}, Point{60, 40}, Point{120, 40}, Point{120, 80}, Point{60, 80})
	f.Line(Style{Name: "line", Stroke: &red, Width: 6}, Point{100, 10}, Point{140, 30}, Point{180, 10})
	f.Line(Style{Name: "dashes", Stroke: &brown, Width: 4, Dash: []float64{12, 8}}, Point{10, 100}, Point{110, 100})
	f.Line(Style{Name: "dots", Stroke: &blue, Width: 4, Dash: []float64{1, 9}, Round: true}, Point{120, 100}, Point{190, 100})
	f.Circle(Style{Name: "disc", Fill: &brown}, Point{150, 60}, 12)
	f.Circle(Style{Name: "ring", Stroke: &ink, Width: 3}, Point{180, 60}, 9)
	return f
}

// where the marks' colours are meant to be.
var where = []struct {
	x, y   float64
	colour Ink
}{
	{5, 5, paper}, {30, 30, blue}, {100, 70, Ink{0xefc9c9, 0x4f3135}}, {140, 30, red}, {14, 100, brown}, {26, 100, paper}, {34, 100, brown},
	{150, 60, brown}, {180, 60, paper}, {189, 60, ink}, {171, 60, ink}, {120.5, 100, blue}, {125.5, 100, paper}, {130.5, 100, blue},
}

// check that the colours are where they are meant to be in a picture of so many pixels a pixel.
func check(t *testing.T, by string, img image.Image, scale float64, dark bool) {
	t.Helper()
	if img.Bounds().Dx() < int(200*scale) || img.Bounds().Dy() < int(120*scale) {
		t.Fatalf("%s: %v", by, img.Bounds())
	}
	for _, w := range where {
		want := w.colour.Light
		if dark {
			want = w.colour.Dark
		}
		if got := img.At(int(scale*w.x), int(scale*w.y)); !rendering.Is(got, want) {
			t.Errorf("%s: at %v, %v %v, want %06x", by, w.x, w.y, got, want)
		}
	}
}

func svgOf(t *testing.T, f *Figure) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t *testing.T, f *Figure) image.Image {
	t.Helper()
	var b bytes.Buffer
	if err := f.WritePNG(&b); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPNG(t *testing.T) { check(t, "PNG", pngOf(t, sample()), 2, false) }

// TestPlainColours: a viewer without style sheets, such as librsvg for media queries, shows the light colours.
func TestPlainColours(t *testing.T) {
	check(t, "librsvg", rendering.LibRSVG(t, svgOf(t, sample())), 1, false)
}

// TestBrowser: a browser shows the colours that its reader asks for.
func TestBrowser(t *testing.T) {
	for _, dark := range []bool{false, true} {
		check(t, map[bool]string{false: "light", true: "dark"}[dark], rendering.Chromium(t, svgOf(t, sample()), dark, 200, 120), 1, dark)
	}
}

// TestAlike: the PNG is what librsvg makes of the SVG, but for the edges' last levels.
func TestAlike(t *testing.T) {
	small, large := rendering.LibRSVG(t, svgOf(t, sample())), pngOf(t, sample())
	sum, worst, at := 0.0, 0.0, image.Point{}
	for y := range 120 {
		for x := range 200 {
			d := distance(small.At(x, y), mean(large, 2*x, 2*y))
			if sum += d; d > worst {
				worst, at = d, image.Pt(x, y)
			}
		}
	}
	if sum/200/120 > 0.5 || worst > 48 {
		t.Errorf("differ by %.2f levels on average, %.0f at %v", sum/200/120, worst, at)
	}
}

// mean of four pixels.
func mean(img image.Image, x, y int) color.Color {
	var sum [3]uint32
	for i := range 4 {
		r, g, b, _ := img.At(x+i%2, y+i/2).RGBA()
		sum[0], sum[1], sum[2] = sum[0]+r, sum[1]+g, sum[2]+b
	}
	return color.RGBA64{uint16(sum[0] / 4), uint16(sum[1] / 4), uint16(sum[2] / 4), 0xffff}
}

func distance(a, b color.Color) float64 {
	r, g, bl, _ := a.RGBA()
	r2, g2, bl2, _ := b.RGBA()
	return max(math.Abs(float64(r)-float64(r2)), math.Abs(float64(g)-float64(g2)), math.Abs(float64(bl)-float64(bl2))) / 257
}

// TestWords: letters show, in their colour, at their point, and none of them is markup.
func TestWords(t *testing.T) {
	for _, anchor := range []Anchor{Start, Middle, End} {
		f := New(300, 40, paper)
		f.Words(Lettering{Name: "words", Ink: red, Size: 24, Bold: true, Anchor: anchor}, Point{150, 30}, `<&">HHH`)
		for by, img := range map[string]image.Image{"PNG": pngOf(t, f), "librsvg": rendering.LibRSVG(t, svgOf(t, f))} {
			scale := img.Bounds().Dx() / 300
			left, right := inked(img, image.Rect(0, 0, 150*scale, 40*scale)), inked(img, image.Rect(150*scale, 0, 300*scale, 40*scale))
			if (left > 0) != (anchor != Start) || (right > 0) != (anchor != End) {
				t.Errorf("%s, %s: %d pixels left of the point, %d right", anchor, by, left, right)
			}
		}
		wellFormed(t, svgOf(t, f))
	}
}

// inked counts the pixels of the words' colour in a part of a picture.
func inked(img image.Image, part image.Rectangle) (n int) {
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			if rendering.Is(img.At(x, y), red.Light) {
				n++
			}
		}
	}
	return n
}

func wellFormed(t *testing.T, svg []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
	}
}

// TestBeyondThePicture: marks that leave it, and empty ones, are cut off and nothing breaks.
func TestBeyondThePicture(t *testing.T) {
	f := New(20, 20, paper)
	s := Style{Name: "line", Stroke: &red, Width: 4}
	f.Line(s, Point{-50, 10}, Point{70, 10})
	f.Line(s, Point{10, -1e6}, Point{10, 1e6})
	f.Line(s)
	f.Line(s, Point{300, 300}, Point{300, 300})
	f.Area(Style{Name: "area", Fill: &red}, Point{-9, -9}, Point{-5, -9}, Point{-5, -5})
	img := pngOf(t, f)
	wellFormed(t, svgOf(t, f))
	if !rendering.Is(img.At(2, 20), red.Light) || !rendering.Is(img.At(20, 38), red.Light) || !rendering.Is(img.At(2, 2), paper.Light) {
		t.Error("not cut off at the edges")
	}
}

// TestLargePicture: memory is bounded, and the figure is whole.
func TestLargePicture(t *testing.T) {
	f := New(4000, 4000, paper)
	f.Circle(Style{Name: "disc", Fill: &red}, Point{3990, 3990}, 5)
	img := pngOf(t, f)
	if img.Bounds().Dx() != 4000 || !rendering.Is(img.At(3990, 3990), red.Light) {
		t.Errorf("%v", img.Bounds())
	}
}

func TestDashes(t *testing.T) {
	line := []Point{{0, 0}, {10, 0}, {10, 10}}
	for _, c := range []struct {
		pattern []float64
		want    [][]Point
	}{
		{nil, [][]Point{line}},
		{[]float64{4, 3}, [][]Point{{{0, 0}, {4, 0}}, {{7, 0}, {10, 0}, {10, 1}}, {{10, 4}, {10, 8}}}},
		{[]float64{100, 1}, [][]Point{line}},
	} {
		got := dashes(line, c.pattern)
		if len(got) != len(c.want) {
			t.Fatalf("%v: %v, want %v", c.pattern, got, c.want)
		}
		for i := range got {
			for j, p := range c.want[i] {
				if math.Hypot(got[i][j].X-p.X, got[i][j].Y-p.Y) > 1e-9 {
					t.Errorf("%v: %v, want %v", c.pattern, got, c.want)
				}
			}
		}
	}
}
