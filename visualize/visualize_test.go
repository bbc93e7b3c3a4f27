package visualize

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/font/gofont/goregular"

	"dynvit/backends/all"
	"dynvit/engine"
	"dynvit/vit"
)

// viewer looks with the embedded model.
func viewer(t *testing.T, ratio float64) *Viewer {
	t.Helper()
	return viewerBy(t, "predictor", ratio)
}

func viewerBy(t *testing.T, scorer string, ratio float64) *Viewer {
	t.Helper()
	e, err := engine.Open(engine.Options{Scorer: scorer, Precision: "f32", Threads: 1}, all.List())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	plan, err := e.Plan(vit.Keep{Ratio: ratio})
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewViewer(e, plan)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// ramp writes a picture whose red grows from left to right, and green from top to
// bottom, both from 0 to 255.
func ramp(t *testing.T, path string, w, h int) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{uint8(255 * (2*x + 1) / (2 * w)), uint8(255 * (2*y + 1) / (2 * h)), 128, 255})
		}
	}
	var data bytes.Buffer
	if err := errors.Join(png.Encode(&data, img), os.WriteFile(path, data.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func look(t *testing.T, v *Viewer, path string) *Look {
	t.Helper()
	l, err := v.Look(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLook: what is shown lies where the model saw it, in wide pictures and in
// tall ones: the colours of a ramp say which place of the picture each pixel is.
func TestLook(t *testing.T) {
	v := viewer(t, 0.7)
	for _, c := range []struct {
		w, h  int
		whole image.Point
	}{{600, 300, image.Pt(672, 336)}, {300, 600, image.Pt(168, 336)}, {256, 256, image.Pt(336, 336)}, {1, 1, image.Pt(336, 336)}, {3000, 30, image.Pt(672, 7)}} {
		l := look(t, v, ramp(t, filepath.Join(t.TempDir(), "a.png"), c.w, c.h))
		if l.Width != c.w || l.Height != c.h || l.Whole.Rect.Size() != c.whole || l.Crop.Rect.Size() != image.Pt(336, 336) || l.Grid != 14 {
			t.Errorf("%d×%d: %d×%d, whole %v, crop %v", c.w, c.h, l.Width, l.Height, l.Whole.Rect, l.Crop.Rect)
		}
		if got := []int{len(l.Kept[0]), len(l.Kept[1]), len(l.Kept[2])}; !slices.Equal(got, []int{137, 96, 67}) {
			t.Errorf("kept %v", got)
		}
		if c.w < 200 || c.h < 200 {
			continue // hardly a ramp
		}
		for _, p := range []image.Point{{168, 168}, {20, 300}, {320, 40}} {
			at := func(from, to float64, i int) float64 { return 255 * (from + (to-from)*(float64(i)+0.5)/336) }
			r, g := at(l.Area.X0, l.Area.X1, p.X), at(l.Area.Y0, l.Area.Y1, p.Y)
			if got := l.Crop.RGBAAt(p.X, p.Y); math.Abs(float64(got.R)-r) > 2 || math.Abs(float64(got.G)-g) > 2 {
				t.Errorf("%d×%d: crop at %v is %v, want red %.1f, green %.1f", c.w, c.h, p, got, r, g)
			}
		}
		middle := l.Whole.RGBAAt(c.whole.X/4, c.whole.Y/4)
		if math.Abs(float64(middle.R)-64) > 3 || math.Abs(float64(middle.G)-64) > 3 {
			t.Errorf("%d×%d: the whole at a quarter is %v", c.w, c.h, middle)
		}
	}
}

// TestPanel: exactly the dropped patches are dimmed, and have no colour.
func TestPanel(t *testing.T) {
	l := look(t, viewer(t, 0.5), ramp(t, filepath.Join(t.TempDir(), "a.png"), 300, 300))
	for stage := range l.Kept {
		panel := l.Panel(stage)
		dimmed := 0
		for i := range 196 {
			for _, p := range []image.Point{{0, 0}, {12, 12}, {23, 23}} {
				p = p.Add(image.Pt(i%14*24, i/14*24))
				got, was := panel.RGBAAt(p.X, p.Y), l.Crop.RGBAAt(p.X, p.Y)
				kept := slices.Contains(l.Kept[stage], int32(i))
				if kept && got != was || !kept && (got.R != got.G || got.G != got.B || got.B > 104) {
					t.Fatalf("stage %d, patch %d, kept %v: %v, was %v", stage, i, kept, got, was)
				}
				if !kept {
					dimmed++
				}
			}
		}
		if want := 3 * (196 - []int{98, 49, 24}[stage]); dimmed != want {
			t.Errorf("stage %d: %d pixels dimmed, want %d", stage, dimmed, want)
		}
	}
}

// TestRegions: a patch that is dropped is dimmed; any other has the mean colour of those that
// live on in the same one, and lines where it meets one of another group.
func TestRegions(t *testing.T) {
	l := look(t, viewerBy(t, "predictor+merge", 0.5), ramp(t, filepath.Join(t.TempDir(), "a.png"), 300, 300))
	if len(l.Groups) != 3 {
		t.Fatalf("groups %v", l.Groups)
	}
	large := 0 // regions of several patches
	for stage, groups := range l.Groups {
		panel := l.Panel(stage)
		colours := map[int32]color.RGBA{}
		for i, id := range groups {
			corner := image.Pt(i%14*24, i/14*24)
			got := panel.RGBAAt(corner.X+12, corner.Y+12)
			if id < 0 {
				if got.R != got.G || got.G != got.B || got.B > 104 {
					t.Errorf("stage %d, patch %d is dropped and shown as %v", stage, i, got)
				}
				continue
			}
			if want := meanOf(l.Crop, groups, id); got != want {
				t.Errorf("stage %d, patch %d: %v, want %v", stage, i, got, want)
			}
			if _, seen := colours[id]; seen {
				large++
			}
			colours[id] = got
			for _, line := range []struct{ here, there image.Point }{{image.Pt(0, 12), image.Pt(-1, 12)}, {image.Pt(12, 0), image.Pt(12, -1)}} {
				there := corner.Add(line.there)
				if there.X < 0 || there.Y < 0 {
					continue
				}
				other := groups[there.Y/24*14+there.X/24]
				p := corner.Add(line.here)
				if drawn := panel.RGBAAt(p.X, p.Y) == ink(); drawn != (other != id) {
					t.Errorf("stage %d, patch %d beside one of %d, being of %d: line %v", stage, i, other, id, drawn)
				}
			}
		}
		if len(colours) != len(l.Kept[stage]) {
			t.Errorf("stage %d: %d regions, %d kept", stage, len(colours), len(l.Kept[stage]))
		}
	}
	if large == 0 {
		t.Error("no region of several patches")
	}
	if got := l.share(0); !strings.Contains(got, "98 of 196") || !strings.Contains(got, "dropped") || !strings.Contains(got, "merged") {
		t.Errorf("caption %q", got)
	}
}

// meanOf is the mean colour, to the nearest, of the patches of a group.
func meanOf(img *image.RGBA, groups []int32, id int32) color.RGBA {
	var sums [3]float64
	n := 0.0
	for y := range 336 {
		for x := range 336 {
			if groups[y/24*14+x/24] == id {
				c := img.RGBAAt(x, y)
				sums[0], sums[1], sums[2], n = sums[0]+float64(c.R), sums[1]+float64(c.G), sums[2]+float64(c.B), n+1
			}
		}
	}
	near := func(sum float64) uint8 { return uint8(math.Floor(sum/n + 0.5)) }
	return color.RGBA{near(sums[0]), near(sums[1]), near(sums[2]), 255}
}

// TestMergedFolder: the page has each region of each stage, and their borders.
func TestMergedFolder(t *testing.T) {
	page, err := viewerBy(t, "predictor+merge", 0.5).Folder(context.Background(), FolderOptions{Dir: folder(t), Show: 5})
	if err != nil {
		t.Fatal(err)
	}
	var html bytes.Buffer
	if err := page.Write(&html); err != nil {
		t.Fatal(err)
	}
	text := html.String()
	for what, n := range map[string]int{`class="edges" d="M`: 9, `class="dropped"`: 9, `<path fill="#`: 3 * (98 + 49 + 24), "ZgotmplZ": 0} {
		if got := strings.Count(text, what); got != n {
			t.Errorf("%q comes %d times, want %d", what, got, n)
		}
	}
}

// TestStrip: the panels stand side by side, the frame round what the model sees,
// and there is writing above and below.
func TestStrip(t *testing.T) {
	l := look(t, viewer(t, 0.7), ramp(t, filepath.Join(t.TempDir(), "a.png"), 600, 300))
	strip, err := l.Strip("seen by a test")
	if err != nil {
		t.Fatal(err)
	}
	if want := image.Pt(2*margin+672+3*(336+gap), heading+336+footing); strip.Rect.Size() != want {
		t.Fatalf("size %v, want %v", strip.Rect.Size(), want)
	}
	for stage := range 3 {
		x := margin + 672 + gap + stage*(336+gap)
		if got, want := strip.RGBAAt(x+100, heading+100), l.Panel(stage).RGBAAt(100, 100); got != want {
			t.Errorf("stage %d: %v, want %v", stage, got, want)
		}
	}
	left := margin + int(math.Round(l.Area.X0*672))
	if got := strip.RGBAAt(left, heading+168); got != frame() {
		t.Errorf("the frame's left edge at %d is %v", left, got)
	}
	for name, r := range map[string]image.Rectangle{
		"title":    image.Rect(margin, 0, margin+200, margin+20),
		"subtitle": image.Rect(margin, margin+30, margin+200, margin+46),
		"caption":  image.Rect(margin, heading+336+8, margin+100, heading+336+24),
	} {
		if blank(strip, r) {
			t.Errorf("no %s", name)
		}
	}
}

func blank(img *image.RGBA, r image.Rectangle) bool {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if img.RGBAAt(x, y) != paper() {
				return false
			}
		}
	}
	return true
}

// TestNarrowStrip: captions below a narrow picture do not run into the next.
func TestNarrowStrip(t *testing.T) {
	l := look(t, viewer(t, 0.7), ramp(t, filepath.Join(t.TempDir(), "a.png"), 30, 600))
	strip, err := l.Strip("")
	if want := 2*margin + captionWidth + 3*(336+gap); err != nil || strip.Rect.Dx() != want {
		t.Errorf("width %d, want %d, %v", strip.Rect.Dx(), want, err)
	}
}

func TestLookErrors(t *testing.T) {
	v := viewer(t, 0.7)
	bad := filepath.Join(t.TempDir(), "bad.png")
	if err := os.WriteFile(bad, []byte("\x89PNG\r\n\x1a\n no more"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{bad, "/nowhere.png"} {
		if l, err := v.Look(path); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v", path, l, err)
		}
	}
}

// TestTally counts by hand: 4×4 positions, the centre being the inner 2×2.
func TestTally(t *testing.T) {
	var tally Tally
	tally.Add(&Look{Grid: 4, Kept: [][]int32{{0, 5, 6, 9, 10}, {5, 6}}})
	tally.Add(&Look{Grid: 4, Kept: [][]int32{{0, 1, 5, 6}, {5, 10}}})
	s := tally.Stages()
	if len(s) != 2 || tally.Looks != 2 {
		t.Fatalf("%d stages of %d looks", len(s), tally.Looks)
	}
	first, second := s[0], s[1]
	if first.Map[0] != 1 || first.Map[1] != 0.5 || first.Map[15] != 0 || first.Kept != 9./32 {
		t.Errorf("map %v, kept %v", first.Map, first.Kept)
	}
	if first.Centre != 0.75 || first.Border != 1.5/12 || first.Ratio == nil || *first.Ratio != 6 {
		t.Errorf("centre %v, border %v, ratio %v", first.Centre, first.Border, first.Ratio)
	}
	if second.Centre != 0.5 || second.Border != 0 || second.Ratio != nil {
		t.Errorf("centre %v, border %v, ratio %v", second.Centre, second.Border, second.Ratio)
	}
	if got, want := first.String(), "28 % kept; centre 75 %, border 12 %, ratio 6.00"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// folder has five pictures, two of them not to be read, one with a name that a
// browser could take for a program.
func folder(t *testing.T) string {
	dir := t.TempDir()
	for _, name := range []string{"a.png", "c.png", `"><script>alert(1)<.png`} {
		ramp(t, filepath.Join(dir, name), 60, 60)
	}
	for _, name := range []string{"b.png", "d.png"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("no picture"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFolder(t *testing.T) {
	var failed []string
	done := 0
	o := FolderOptions{
		Dir: folder(t), Show: 5, Progress: func(n, total int) { done = 10*n + total },
		Failed: func(path string, err error) { failed = append(failed, filepath.Base(path)) },
	}
	page, err := viewer(t, 0.7).Folder(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if page.Tally.Looks != 3 || page.Skipped != 2 || !slices.Equal(failed, []string{"b.png", "d.png"}) || done != 55 || !slices.Equal(page.Tokens, []int{197, 138, 97, 68}) {
		t.Errorf("%d looks, %d skipped: %v; progress %d; tokens %v", page.Tally.Looks, page.Skipped, failed, done, page.Tokens)
	}
	var html bytes.Buffer
	if err := page.Write(&html); err != nil {
		t.Fatal(err)
	}
	text := html.String()
	for what, n := range map[string]int{
		"<article>": 3, "data:image/jpeg;base64,": 3, `class="dropped"`: 9, "<script": 0, "&lt;script&gt;": 2, "http": 1, // http-equiv
		"src=": 0, "url(": 0, "import": 0, `<title>100 %</title>`: 1 + countOnes(page), "could not be read: 2": 1, ">c.png<": 1,
	} {
		if got := strings.Count(text, what); got != n {
			t.Errorf("%q comes %d times, want %d", what, got, n)
		}
	}
	_, path, _ := strings.Cut(text, `class="dropped" d="`)
	path, _, _ = strings.Cut(path, `"`)
	if got := strings.Count(path, "M"); got != 196-137 {
		t.Errorf("stage 1 draws %d dropped patches, want %d", got, 196-137)
	}
}

// countOnes are the positions that every picture kept.
func countOnes(p *Page) int {
	n := 0
	for _, s := range p.Tally.Stages() {
		for _, share := range s.Map {
			if share > 0.995 {
				n++
			}
		}
	}
	return n
}

func TestFolderErrors(t *testing.T) {
	v := viewer(t, 0.7)
	dir := t.TempDir()
	if _, err := v.Folder(context.Background(), FolderOptions{Dir: dir}); err == nil || !strings.Contains(err.Error(), "no pictures") {
		t.Errorf("empty folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.jpg"), []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Folder(context.Background(), FolderOptions{Dir: dir}); err == nil || !strings.Contains(err.Error(), "none of 1 pictures") {
		t.Errorf("nothing readable: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := v.Folder(ctx, FolderOptions{Dir: folder(t)}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestShown: so many as were asked for, evenly.
func TestShown(t *testing.T) {
	for _, c := range []struct{ n, show, want int }{{10, 3, 3}, {10, 0, 0}, {3, 24, 3}, {1966, 24, 24}} {
		got, last, widest := 0, -1, 0
		for i := range c.n {
			if shown(i, c.n, c.show) {
				got++
				widest = max(widest, i-last)
				last = i
			}
		}
		if got != c.want || got > 0 && widest > c.n/got+1 {
			t.Errorf("%d of %d: %d, at most %d apart", c.show, c.n, got, widest)
		}
	}
}

func TestCut(t *testing.T) {
	f, err := face(goregular.TTF, 14)
	if err != nil {
		t.Fatal(err)
	}
	if got := cut(f, "short", 100); got != "short" {
		t.Errorf("got %q", got)
	}
	if got := cut(f, strings.Repeat("wide ä", 20), 100); !strings.HasSuffix(got, "…") || len(got) > 40 || !strings.HasPrefix(got, "wide ä") {
		t.Errorf("got %q", got)
	}
}

// TestShade: lighter for more, from viridis' first colour to its last.
func TestShade(t *testing.T) {
	for share, want := range map[float64]string{-1: "#440154", 0: "#440154", 0.5: "#21918c", 1: "#fde725", 2: "#fde725"} {
		if got := shade(share); got != want {
			t.Errorf("%v: %s, want %s", share, got, want)
		}
	}
}
