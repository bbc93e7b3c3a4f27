package drawn

import (
	"bytes"
	"context"
	"hash/crc32"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/option"
)

// mustOpen opens a source that the test closes.
func mustOpen(t testing.TB, uri string) camera.Source {
	t.Helper()
	s, err := camera.Schemes{Scheme()}.Open(uri, camera.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// read takes n frames and keeps their names and checksums.
func read(t *testing.T, s camera.Source, n int) (names []string, sums []uint32) {
	t.Helper()
	var f camera.Frame
	for i := range n {
		if err := s.Next(t.Context(), &f); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		names, sums = append(names, f.Name), append(sums, crc32.ChecksumIEEE(f.Data))
	}
	return names, sums
}

func TestDrawnIsDeterministic(t *testing.T) {
	const uri, n = "test:?fps=0&size=64x48&seed=", 45
	names, sums := read(t, mustOpen(t, uri+"3"), n)
	again, same := read(t, mustOpen(t, uri+"3"), n)
	if !slices.Equal(names, again) || !slices.Equal(sums, same) {
		t.Error("the same seed drew other frames")
	}
	if _, other := read(t, mustOpen(t, uri+"4"), n); slices.Equal(sums, other) {
		t.Error("another seed drew the same frames")
	}
	for i := 1; i < n; i++ {
		if sums[i] == sums[i-1] {
			t.Errorf("frames %d and %d are equal", i, i+1)
		}
	}
}

func TestDrawnShowsEveryScene(t *testing.T) {
	hold := sceneSeconds * defaultRate
	names, _ := read(t, mustOpen(t, "test:?fps=0&size=32x24"), 2*hold*len(scenes))
	shown := map[string]int{}
	for i, name := range names {
		if name != names[i/hold*hold] {
			t.Fatalf("frame %d shows %s in the scene of %s", i, name, names[i/hold*hold])
		}
		shown[name]++
	}
	for _, s := range scenes {
		if shown[s.name] != 2*hold {
			t.Errorf("%s is on %d frames, want %d", s.name, shown[s.name], 2*hold)
		}
	}
}

func TestDrawnHoldsScenesByRate(t *testing.T) {
	names, _ := read(t, mustOpen(t, "test:?fps=1000&size=16x16"), 2)
	if d := mustOpen(t, "test:?fps=30").(*source); d.hold != 30*sceneSeconds || names[0] != names[1] {
		t.Errorf("a scene has %d frames at 30 a second", d.hold)
	}
	if d := mustOpen(t, "test:?fps=0.01").(*source); d.hold != 1 {
		t.Errorf("a scene has %d frames at 0.01 a second", d.hold)
	}
}

func TestDrawnKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, "test:?fps=10&size=16x16")
		start := time.Now()
		read(t, s, 21)
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("21 frames at 10 a second took %v, want 2s", took)
		}
	})
}

func TestDrawnDoesNotAllocate(t *testing.T) {
	s := mustOpen(t, "test:?fps=0&size=64x48")
	var f camera.Frame
	ctx := context.Background()
	// More frames than one round of all scenes: changing scenes is free, too.
	got := testing.AllocsPerRun(sceneSeconds*defaultRate*len(scenes), func() {
		if err := s.Next(ctx, &f); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations a frame", got)
	}
}

func TestCanvasWrites(t *testing.T) {
	c := newCanvas(4, 2)
	c.fill(func(x, y float32) rgb { return rgb{0.5, 2, -1} })
	dst := bytes.Repeat([]byte{7}, 3*4*2)
	c.write(dst, 1)
	for i := 0; i < len(dst); i += 3 {
		if off := int(dst[i]) - 128; off < -4 || off > 4 || dst[i+1] < 252 || dst[i+2] > 3 {
			t.Errorf("pixel %d is %v", i/3, dst[i:i+3])
		}
	}
}

func TestCanvasPaintsItsBoxAlone(t *testing.T) {
	c := newCanvas(40, 20)
	c.shape(around(0.5, 0, 0.2, 0.2), rgb{1, 1, 1}, func(x, y float32) float32 { return -1 })
	painted := 0
	for j := range c.height {
		for i := range c.width {
			inside := abs(c.x(i)-0.5) <= 0.2+2*c.unit && abs(c.y(j)) <= 0.2+2*c.unit
			if c.pix[j*c.width+i].r > 0 {
				painted++
				if !inside {
					t.Errorf("pixel %d, %d was painted", i, j)
				}
			}
		}
	}
	if painted < 16 {
		t.Errorf("%d pixels were painted", painted)
	}
	c.shape(around(9, 9, 1, 1), rgb{1, 1, 1}, func(x, y float32) float32 { return -1 }) // outside
}

func BenchmarkDrawn(b *testing.B) {
	s := mustOpen(b, "test:?fps=0")
	var f camera.Frame
	for b.Loop() {
		if err := s.Next(context.Background(), &f); err != nil {
			b.Fatal(err)
		}
	}
}

func TestParse(t *testing.T) {
	got, err := parse("test", "//", "seed=7&fps=0.5&frames=12&size=320x240")
	if err != nil {
		t.Fatal(err)
	}
	u := got.(*target)
	if u.seed != 7 || u.rate.Or(9) != 0.5 || u.frames != 12 || u.size != (option.Size{Width: 320, Height: 240}) {
		t.Errorf("got %+v", u)
	}
}

// TestFilmShowsWhatTheSourceDoes, in any order.
func TestFilmShowsWhatTheSourceDoes(t *testing.T) {
	source, err := camera.Schemes{Scheme()}.Open("test:?size=64x36&fps=0", camera.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var frames [45]camera.Frame // of three things
	for i := range frames {
		if err := source.Next(t.Context(), &frames[i]); err != nil {
			t.Fatal(err)
		}
	}
	film := NewFilm(64, 36)
	var got camera.Frame
	for _, n := range []int{44, 0, 20, 1, 39, 44} {
		want := &frames[n]
		if film.Draw(n, &got); !bytes.Equal(got.Data, want.Data) || got.Name != want.Name || got.Seq != want.Seq {
			t.Errorf("frame %d: %s, seq %d, want %s, %d, or other pixels", n, got.Name, got.Seq, want.Name, want.Seq)
		}
	}
}
