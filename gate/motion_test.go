package gate

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"testing"
	"time"

	"dynvit/camera"
	"dynvit/config"
	"dynvit/preprocess"
)

// wall is a frame of a grey wall with noise, and a dark thing at x, below 0: none.
func wall(t *testing.T, format camera.Format, x int, seed uint64) *camera.Frame {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	img := image.NewGray(image.Rect(0, 0, 320, 180))
	for i := range img.Pix {
		img.Pix[i] = uint8(120 + random.IntN(5))
		if at := i % 320; x >= 0 && at >= x && at < x+60 && i/320 >= 60 && i/320 < 120 {
			img.Pix[i] -= 60
		}
	}
	f, b := &camera.Frame{Format: format, Width: 320, Height: 180, Data: img.Pix}, new(bytes.Buffer)
	var err error
	switch format {
	case camera.JPEG:
		err = jpeg.Encode(b, img, nil)
	case camera.PNG:
		err = png.Encode(b, img)
	default:
		return f
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Data = b.Bytes()
	return f
}

// cameraOf has a gate.
func cameraOf() config.Camera {
	c := config.DefaultCamera()
	c.Motion, c.Heartbeat = 0.02, time.Minute
	return c
}

// look is what the daemon does with a frame: asks the gate, then decodes, with the gate
// watching where it wants to, and looks. It returns whether the frame was looked at.
func look(t *testing.T, m *Motion, p *preprocess.Preprocessor, f *camera.Frame, settled, every bool, now time.Time) bool {
	t.Helper()
	if m.IsStill(f, preprocess.Whole, settled, every, now) {
		return false
	}
	if m.Watching() {
		seen, err := p.DecodeWatched(m.Thumbnail(), f, preprocess.Whole)
		if err != nil {
			t.Fatal(err)
		}
		if !m.Looks(seen) {
			return false
		}
	}
	m.Looked(now)
	return true
}

// TestMotionByTheDecoder: which frames are looked at is what comparing each with the last one that was would say, whether the gate reads
// the frame itself or the decoder shows it.
func TestMotionByTheDecoder(t *testing.T) {
	for _, format := range []camera.Format{camera.JPEG, camera.GREY, camera.PNG} {
		p, err := preprocess.New(preprocess.Spec{Size: 32, Patch: 16, Std: [3]float32{1, 1, 1}})
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(3, 4))
		m := NewMotion(cameraOf(), new(preprocess.Thumbnailer))
		var last time.Time
		seen, shown, x, moving, watched, passed := new(preprocess.Thumbnail), new(preprocess.Thumbnail), -1, false, 0, 0
		now := time.Unix(0, 0)
		for i := range 300 {
			if random.IntN(10) == 0 {
				moving = !moving
			}
			if moving {
				x = random.IntN(260)
			}
			now = now.Add(time.Duration(random.IntN(4000)) * time.Millisecond)
			f, settled, every := wall(t, format, x, uint64(i)), random.IntN(8) > 0, random.IntN(8) > 0
			if _, err := p.DecodeWatched(shown, f, preprocess.Whole); err != nil {
				t.Fatal(err)
			}
			want := !settled || last.IsZero() || now.Sub(last) >= time.Minute || shown.Differs(seen) >= 0.02
			got := look(t, &m, p, f, settled, every, now)
			if got != want {
				t.Fatalf("%v, frame %d: looked at %v, want %v", format, i, got, want)
			}
			if got {
				*seen, last = *shown, now
				if m.Watching() {
					watched++
				}
			} else {
				passed++
			}
		}
		if passed < 50 || (watched > 50) != (format != camera.GREY) {
			t.Errorf("%v: the decoder showed %d frames of %d that were looked at", format, watched, 300-passed)
		}
	}
}

// TestMotionReadsOnce: a still JPEG costs no decoding, and one that is looked at while things move is not read by the gate.
func TestMotionReadsOnce(t *testing.T) {
	p, err := preprocess.New(preprocess.Spec{Size: 32, Patch: 16, Std: [3]float32{1, 1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	m := NewMotion(cameraOf(), new(preprocess.Thumbnailer))
	now := time.Unix(0, 0)
	step := func(x int) (watching, looked bool) {
		now = now.Add(time.Second)
		looked = look(t, &m, p, wall(t, camera.JPEG, x, 1), true, true, now)
		return m.Watching(), looked
	}
	for i, c := range []struct {
		x                int
		watching, looked bool
	}{
		{-1, true, true},   // the first
		{-1, false, false}, // still: the gate reads it
		{-1, false, false},
		{50, false, true}, // moves: read twice
		{90, true, true},  // goes on: read once
		{130, true, true},
		{130, true, false}, // has ended: decoded in vain
		{130, false, false},
	} {
		if watching, looked := step(c.x); watching != c.watching || looked != c.looked {
			t.Errorf("frame %d: watching %v, looked at %v, want %v and %v", i, watching, looked, c.watching, c.looked)
		}
	}
}

// TestMotionWithoutThumbnail: a frame that nobody can tell anything of is looked at, and so is the next.
func TestMotionWithoutThumbnail(t *testing.T) {
	m := NewMotion(cameraOf(), new(preprocess.Thumbnailer))
	now := time.Unix(0, 0)
	for range 3 {
		f := &camera.Frame{Format: camera.JPEG, Data: []byte("no picture")}
		if m.IsStill(f, preprocess.Whole, true, true, now) || !m.Watching() || !m.Looks(false) {
			t.Error("passed over")
		}
		m.Looked(now)
	}
	off := cameraOf()
	off.Motion = 0
	m.Limit(off)
	if m.IsStill(wall(t, camera.JPEG, -1, 1), preprocess.Whole, true, true, now) || m.Watching() {
		t.Error("a gate that is off watches")
	}
}
