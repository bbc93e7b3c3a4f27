package daemon

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dynvit/backends/all"
	"dynvit/camera"
	schemes "dynvit/camera/all"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/gate"
	"dynvit/internal/needs"
	"dynvit/messages"
	"dynvit/preprocess"
	"dynvit/timing"
)

// realModel opens the default model on the best backend.
func realModel(t testing.TB) *engine.Engine {
	t.Helper()
	e, err := engine.Open(engine.Options{Scaled: true}, all.List())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// film is the path of a shared film.
func film(t testing.TB, name string) string {
	t.Helper()
	needs.Program(t, "ffmpeg", "ffmpeg")
	return needs.Shared(t, "data", "video", name)
}

// seenFrame is what the model said of a frame, and how the frame differs.
type seenFrame struct {
	class int
	score float32
	thumb *preprocess.Thumbnail
}

// change of label, at a frame.
type changeAt struct{ frame, class int }

// watch judges frames with or without a gate, at so many frames a second, as the
// daemon does: gated ones are never seen by the judge.
func watch(list []seenFrame, c config.Camera, rate int) (changes []changeAt, looked int) {
	j, seen, last := gate.NewDebounce(c, nil), (*preprocess.Thumbnail)(nil), 0
	for i, f := range list {
		still := c.Motion > 0 && seen != nil && j.Settled() && i-last < rate*int(c.Heartbeat/time.Second) && f.thumb.Differs(seen) < c.Motion
		if still {
			continue
		}
		seen, last = f.thumb, i
		looked++
		if _, changed := j.See(j.Class(f.class, f.score), time.Unix(int64(i), 0)); changed {
			changes = append(changes, changeAt{i, j.Holds()})
		}
	}
	return changes, looked
}

// motionFrames are looked at of each source: 40 s.
const motionFrames = 200

// TestMotionMissesNoChange: on the drawn scenes and on the films, the gate shows every
// label that is clear for two seconds within these two seconds.
func TestMotionMissesNoChange(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it classifies a thousand frames")
	}
	const rate = 5
	for _, of := range []struct {
		name string
		rate float64 // its own frames a second
	}{
		{"test:", rate}, {"bottle-detection.mp4", 179. / 6}, {"car-detection.mp4", 12.5}, {"one-by-one-person-detection.mp4", 10},
	} {
		t.Run(of.name, func(t *testing.T) {
			uri := "test:?seed=1&frames=200&fps=0"
			if strings.HasSuffix(of.name, ".mp4") {
				uri = film(t, of.name) + "?fps=0"
			}
			list := classify(t, uri, of.rate/rate)
			c := config.DefaultCamera()
			every, all := watch(list, c, rate)
			for _, share := range []float64{0.01, 0.02, 0.05} {
				c.Motion = share
				gated, looked := watch(list, c, rate)
				t.Logf("motion %v: %d of %d frames looked at, %d of %d changes of label; latest %v later", share, looked, all, len(gated), len(every), lateness(every, gated, rate))
				if share == 0.02 && missed(list, every, gated, c.MinScore, 2*rate) > 0 {
					t.Errorf("motion %v: changes\n%v, without the gate\n%v", share, gated, every)
				}
			}
		})
	}
}

// missed counts labels that held clearly for so many frames and were not seen within them
// by the gated one. Where the score wanders about the limit, the label of a scene that
// stands still comes and goes by noise, and passing over frames of it is what the gate
// is for.
func missed(list []seenFrame, every, gated []changeAt, limit float64, within int) (n int) {
	for i, c := range every {
		end := len(list)
		if i+1 < len(every) {
			end = every[i+1].frame
		}
		if end-c.frame >= within && isClear(list[c.frame:c.frame+within], c.class, limit) && holdsAt(gated, c.frame+within-1) != c.class {
			n++
		}
	}
	return n
}

// isClear: every frame has the class, or for null none, by a tenth.
func isClear(list []seenFrame, class int, limit float64) bool {
	return !slices.ContainsFunc(list, func(f seenFrame) bool {
		if class == messages.NoClass {
			return float64(f.score) > limit-0.1
		}
		return f.class != class || float64(f.score) < limit+0.1
	})
}

// holdsAt is the class that holds at a frame.
func holdsAt(changes []changeAt, frame int) int {
	class := messages.NoClass
	for _, c := range changes {
		if c.frame <= frame {
			class = c.class
		}
	}
	return class
}

// lateness is the longest that a change comes later with the gate, where it comes.
func lateness(every, gated []changeAt, rate int) time.Duration {
	worst := 0
	for _, c := range every {
		for _, g := range gated {
			if g.class == c.class && g.frame >= c.frame {
				worst = max(worst, g.frame-c.frame)
				break
			}
		}
	}
	return time.Duration(worst) * time.Second / time.Duration(rate)
}

// classify looks at every so many frames of a source, as fast as they are read.
func classify(t *testing.T, uri string, every float64) (list []seenFrame) {
	t.Helper()
	model := realModel(t)
	plan, err := model.Plan(config.Default("box").Latency.Keep)
	if err != nil {
		t.Fatal(err)
	}
	source, err := schemes.List().Open(uri, camera.Options{ShortSide: model.Info().ShortSide})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var f camera.Frame
	var r engine.Result
	var thumbs preprocess.Thumbnailer
	for {
		err := source.Next(t.Context(), &f)
		if err == io.EOF || len(list) == motionFrames {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if float64(f.Seq-1) < every*float64(len(list)) {
			continue
		}
		one := seenFrame{thumb: new(preprocess.Thumbnail)}
		if err := thumbs.Make(one.thumb, &f, preprocess.Whole); err != nil {
			t.Fatal(err)
		}
		if err := model.Classify(&r, &f, preprocess.Whole, plan); err != nil {
			t.Fatal(fmt.Errorf("frame %d: %w", f.Seq, err))
		}
		one.class, one.score = r.Top[0], r.Scores[r.Top[0]]
		list = append(list, one)
	}
}

// stillCamera shows a wall with a sensor's noise, as JPEG or PNG of 640×360, 20 frames a
// second.
type stillCamera struct {
	*scripted
	format camera.Format
	frames [][]byte
}

func newStillCamera(t *testing.T, format camera.Format) *stillCamera {
	t.Helper()
	encode := func(w io.Writer, img image.Image) error { return jpeg.Encode(w, img, nil) }
	if format == camera.PNG {
		encode = png.Encode
	}
	s := &stillCamera{format: format, scripted: newScripted(50*time.Millisecond, nil, shots(1, 100000)...)}
	random := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		img := image.NewGray(image.Rect(0, 0, 640, 360))
		for i := range img.Pix {
			img.Pix[i] = uint8(100 + i%640/8 + int(random.NormFloat64()*5))
		}
		var b bytes.Buffer
		if err := encode(&b, img); err != nil {
			t.Fatal(err)
		}
		s.frames = append(s.frames, b.Bytes())
	}
	return s
}

func (s *stillCamera) Next(ctx context.Context, f *camera.Frame) error {
	err := s.scripted.Next(ctx, f)
	f.Format, f.Data = s.format, append(f.Data[:0], s.frames[s.n%len(s.frames)]...)
	return err
}

// TestMotionSavesTheProcessor on a still scene: most of what the daemon needs
// without the gate.
func TestMotionSavesTheProcessor(t *testing.T) {
	if testing.Short() {
		t.Skip("needs more than a short run: it looks at a camera for seconds")
	}
	const frames = 100
	use := func(share float64) (busy time.Duration, looked uint64) {
		source := newStillCamera(t, camera.JPEG)
		open := func(string, camera.Options) (camera.Source, error) { return source, nil }
		f := startCameras(t, map[string]string{"still": "test:"}, func(d *Deps) { d.openSource = open }, func(c *config.Camera) { c.Motion = share })
		f.looked("still", 3) // its label holds
		u := f.feedNamed("still")
		done := func() uint64 { d := u.counts.drops(); return u.counts.looked.Load() + d.Total() }
		before, first, began := processorTime(t), done(), u.counts.looked.Load()
		f.until("frames came", func() bool { return done() >= first+frames })
		return processorTime(t) - before, u.counts.looked.Load() - began
	}
	gated, looked := use(0.02)
	all, everything := use(0)
	t.Logf("FIGURES a still scene of %d frames: %.1f ms of processor a frame with the gate (%d looked at), %.1f without (%d)",
		frames, timing.Rounded(gated)/frames, looked, timing.Rounded(all)/frames, everything)
	if looked > 5 || gated > all/2 {
		t.Errorf("%d of %d frames looked at, %v instead of %v", looked, frames, gated, all)
	}
}

// TestMotionOfPNG: a still scene is told from its decoded pictures too, and frames that were passed over after all are counted as still.
func TestMotionOfPNG(t *testing.T) {
	source := newStillCamera(t, camera.PNG)
	open := func(string, camera.Options) (camera.Source, error) { return source, nil }
	f := startCameras(t, map[string]string{"still": "test:"}, func(d *Deps) { d.openSource = open }, func(c *config.Camera) { c.Motion = 0.02 })
	f.looked("still", 3) // its label holds
	u := f.feedNamed("still")
	began := u.counts.looked.Load()
	f.until("still frames came", func() bool { return u.counts.still.Load() >= 20 })
	if looked := u.counts.looked.Load() - began; looked > 5 || u.counts.failed.Load() > 0 {
		t.Errorf("%d frames looked at beside 20 still ones, %d failed", looked, u.counts.failed.Load())
	}
}

// processorTime is what this process has used.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
