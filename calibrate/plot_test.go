package calibrate

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"dynvit/figure"
	"dynvit/internal/rendering"
)

// spot is where a colour is meant to be, in the figure's pixels.
type spot struct {
	what string
	x, y float64
	ink  figure.Ink
}

// spots of a table's first panel.
func spots(made *Table) []spot {
	c := newChart(made)
	c.panel(0, c.groups[0]) // sets the scales' origin
	p, last := made.Points[0], made.Points[2]
	left, middle := float64(c.originX), (p.KeepRatio+made.Points[1].KeepRatio)/2
	return []spot{
		{"paper", 4, 4, paperInk},
		{"paper beside the panel", left - 2, float64(c.y) - 4, paperInk},
		{"dot", c.x(last.KeepRatio), c.good(last.Value()), qualityInk},
		{"p50", c.x(middle), c.time((p.P50 + made.Points[1].P50) / 2), timeInk},
		{"budget", left + 3, c.time(made.BudgetMS), budgetInk},
		{"band", c.x(middle), c.time((p.P50+made.Points[1].P50)/2) - 6, figure.Ink{Light: 0xcedcec, Dark: 0x2a3a4c}},
		{"chosen", c.x(made.Chosen.KeepRatio) + 6, c.time(made.Chosen.P95), textInk},
	}
}

// check that each colour is near where it is meant to be, and that the picture is not filled with black.
func (s spot) check(t *testing.T, by string, img image.Image, scale float64, dark bool) {
	t.Helper()
	want := s.ink.Light
	if dark {
		want = s.ink.Dark
	}
	for y := int(scale*s.y) - 2; y <= int(scale*s.y)+2; y++ {
		for x := int(scale*s.x) - 2; x <= int(scale*s.x)+2; x++ {
			if rendering.Is(img.At(x, y), want) {
				return
			}
		}
	}
	t.Errorf("%s: %s is %v at %.0f, %.0f, want %06x", by, s.what, img.At(int(scale*s.x), int(scale*s.y)), s.x, s.y, want)
}

// TestPlotShows: the drawing has its colours in librsvg, which knows no style sheet's variables, in a browser, light and
// dark, and as PNG. Where PLOT_DIR says, the pictures are left there to look at.
func TestPlotShows(t *testing.T) {
	made := table(t)
	var svg, file bytes.Buffer
	if err := errors.Join(WriteSVG(&svg, made), WritePNG(&file, made)); err != nil {
		t.Fatal(err)
	}
	own, err := png.Decode(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	width, height := own.Bounds().Dx()/2, own.Bounds().Dy()/2
	for _, c := range []struct {
		by    string
		img   image.Image
		scale float64
		dark  bool
	}{
		{"PNG", own, 2, false},
		{"librsvg", rendering.LibRSVG(t, svg.Bytes()), 1, false},
		{"browser", rendering.Chromium(t, svg.Bytes(), false, width, height), 1, false},
		{"dark browser", rendering.Chromium(t, svg.Bytes(), true, width, height), 1, true},
	} {
		for _, s := range spots(made) {
			s.check(t, c.by, c.img, c.scale, c.dark)
		}
		paper := paperInk.Light
		if c.dark {
			paper = paperInk.Dark
		}
		if black, blank := rendering.Share(c.img, 0), rendering.Share(c.img, paper); black > 0.01 || blank < 0.5 {
			t.Errorf("%s: %.1f %% black, %.1f %% paper", c.by, 100*black, 100*blank)
		}
		look(t, c.by, c.img)
	}
}

// look leaves a picture where PLOT_DIR says.
func look(t *testing.T, name string, img image.Image) {
	t.Helper()
	dir := os.Getenv("PLOT_DIR")
	if dir == "" {
		return
	}
	var b bytes.Buffer
	if err := errors.Join(png.Encode(&b, img), os.WriteFile(filepath.Join(dir, name+".png"), b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
}
