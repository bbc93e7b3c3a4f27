package files_test

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dynvit/camera"
	"dynvit/camera/cameratest"
	"dynvit/camera/files"
	"dynvit/internal/needs"
)

func TestFilmConforms(t *testing.T) {
	path := cameratest.Film(t, "a.mp4", "testsrc=size=64x48:rate=25:duration=0.2")
	cameratest.Conform(t, func(t *testing.T) camera.Source { return open(t, path+"?loop=1&fps=0", camera.Options{}) })
	cameratest.ConformEnd(t, open(t, path+"?fps=0", camera.Options{}), 5)
}

func TestFilmSizes(t *testing.T) {
	oblong := []string{"-vf", "setsar=2/1"}
	for _, c := range []struct {
		name, source  string
		more          []string
		short         int
		width, height int
	}{
		{"a.mp4", "testsrc=size=640x360:rate=5:duration=0.4", nil, 256, 455, 256},
		{"a.mkv", "testsrc=size=360x640:rate=5:duration=0.4", nil, 90, 90, 160},
		{"a.avi", "testsrc=size=64x48:rate=5:duration=0.4", nil, 256, 64, 48}, // never up
		{"a.mov", "testsrc=size=64x48:rate=5:duration=0.4", nil, 0, 64, 48},
		{"a.mp4", "testsrc=size=64x48:rate=5:duration=0.4", oblong, 0, 128, 48},
		{"a.mp4", "testsrc=size=64x96:rate=5:duration=0.4", oblong, 48, 64, 48},
		{"a.MJPEG", "testsrc=size=64x48:rate=5:duration=0.4", []string{"-f", "mjpeg"}, 24, 32, 24},
		{"a.h264", "testsrc=size=64x48:rate=5:duration=0.4", nil, 0, 64, 48},
	} {
		path := cameratest.Film(t, c.name, c.source, c.more...)
		s := open(t, path+"?fps=0", camera.Options{ShortSide: c.short})
		var f camera.Frame
		if err := s.Next(t.Context(), &f); err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if f.Format != camera.RGB24 || f.Width != c.width || f.Height != c.height || len(f.Data) != 3*c.width*c.height {
			t.Errorf("%s of %s for %d: %v %d×%d, want %d×%d", c.name, c.source, c.short, f.Format, f.Width, f.Height, c.width, c.height)
		}
	}
}

// The colours arrive: a red film is red.
func TestFilmColours(t *testing.T) {
	path := cameratest.Film(t, "red.mp4", "color=red:size=64x48:rate=5:duration=0.4")
	s := open(t, path+"?fps=0", camera.Options{})
	var f camera.Frame
	if err := s.Next(t.Context(), &f); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(f.Data); i += 3 {
		if f.Data[i] < 245 || f.Data[i+1] > 10 || f.Data[i+2] > 10 {
			t.Fatalf("pixel %d is %v", i/3, f.Data[i:i+3])
		}
	}
}

// A film whose pictures are further apart than a stall stands still, and goes on.
func TestFilmStandsStill(t *testing.T) {
	path := cameratest.Film(t, "a.mp4", "testsrc=size=64x48:rate=5:duration=1", "-vf", "setpts='PTS+gt(N,2)*3/TB'", "-vsync", "passthrough", "-bf", "0")
	s := open(t, path, camera.Options{Stall: 2 * time.Second})
	var f camera.Frame
	var last []byte
	seen, again := 0, 0
	for {
		err := s.Next(t.Context(), &f)
		if err == io.EOF {
			break
		}
		if err != nil || f.Seq != uint64(seen+again+1) || f.Format != camera.RGB24 {
			t.Fatalf("frame %d: %v", f.Seq, err)
		}
		if bytes.Equal(f.Data, last) {
			again++
		} else {
			seen++
		}
		last = append(last[:0], f.Data...)
	}
	if seen != 5 || again < 1 {
		t.Errorf("%d pictures, %d shown again", seen, again)
	}
}

func TestFilmKeepsItsRate(t *testing.T) {
	path := cameratest.Film(t, "a.mp4", "testsrc=size=64x48:rate=20:duration=2")
	for _, c := range []struct {
		options string
		frames  int
	}{{"", 40}, {"?fps=5", 10}} {
		start := time.Now()
		s := open(t, path+c.options, camera.Options{})
		var f camera.Frame
		for range c.frames {
			if err := s.Next(t.Context(), &f); err != nil {
				t.Fatal(err)
			}
		}
		// Two seconds less the last frame, and half a second that newer ffmpegs let out
		// at once at the start.
		if took := f.Captured.Sub(start); took < 1200*time.Millisecond {
			t.Errorf("%q: a film of two seconds took %v", c.options, took)
		}
	}
}

func TestFilmErrors(t *testing.T) {
	sound := cameratest.Film(t, "sound.mkv", "sine=duration=0.1")
	root := put(t, map[string][]byte{"junk.mp4": []byte("junk"), "empty.mkv": nil, "list.ts": []byte("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/x.ts\n#EXT-X-ENDLIST\n")})
	for path, want := range map[string]string{
		filepath.Join(root, "junk.mp4"):  "Invalid data found when processing input",
		filepath.Join(root, "empty.mkv"): "exit status 1",
		filepath.Join(root, "list.ts"):   "Invalid data",
		sound:                            "does not contain any stream",
	} {
		err := open(t, path, camera.Options{}).Next(t.Context(), new(camera.Frame))
		if err == nil || !strings.HasPrefix(err.Error(), "film "+path+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestFilmWithoutFFmpeg(t *testing.T) {
	path := filepath.Join(put(t, map[string][]byte{"a.mp4": nil}), "a.mp4")
	t.Setenv("PATH", t.TempDir())
	want := "source " + path + ": ffmpeg not found: install the ffmpeg package"
	if _, err := (camera.Schemes{files.Scheme()}).Open(path, camera.Options{}); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestFilmReal(t *testing.T) {
	path := needs.Shared(t, "data", "video", "car-detection.mp4")
	cameratest.FFmpeg(t)
	s := open(t, path+"?fps=0", camera.Options{ShortSide: 256})
	var f camera.Frame
	for range 30 {
		if err := s.Next(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		if f.Height != 256 || f.Width < 256 {
			t.Fatalf("%d×%d", f.Width, f.Height)
		}
	}
}

func TestFilmHardlyAllocates(t *testing.T) {
	path := cameratest.Film(t, "a.mp4", "testsrc=size=320x240:rate=25:duration=8")
	s := open(t, path+"?fps=0", camera.Options{})
	var f camera.Frame
	got := testing.AllocsPerRun(100, func() {
		if err := s.Next(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
	})
	// What it takes to watch ctx, nothing that grows with the picture.
	if got > 10 {
		t.Errorf("%v allocations a frame", got)
	}
}
