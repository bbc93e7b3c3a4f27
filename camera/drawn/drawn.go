// Package drawn is scheme test: pictures that are drawn here, of five things that
// the default model knows, each in a place where it belongs. They are for trying
// the daemon without a camera, for tests and for measuring; the same URI always
// gives the same pictures.
//
// A scene (scene.go) puts a thing, one file each, on a canvas (canvas.go) with
// the textures and shapes of texture.go.
package drawn

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"dynvit/camera"
	"dynvit/camera/internal/lifetime"
	"dynvit/camera/internal/option"
)

// What a source is where the URI does not say.
const (
	defaultRate   = 5 // frames a second
	defaultWidth  = 640
	defaultHeight = 480
)

// sceneSeconds is how long each scene lasts, by frames at the source's rate.
const sceneSeconds = 4

// Scheme is test:?fps=5&frames=100&seed=1&size=640x480.
func Scheme() camera.Scheme {
	return camera.Scheme{Names: []string{"test"}, Marks: "?#", Parse: parse}
}

// target is a parsed URI.
type target struct {
	given  option.Given
	rate   option.Rate
	frames uint64 // 0: no end
	seed   uint64
	size   option.Size
}

func parse(_, text, options string) (camera.Target, error) {
	if text != "" && text != "//" {
		return nil, fmt.Errorf("%q: takes no path, only options after ?", text)
	}
	t := new(target)
	var err error
	t.given, err = option.Parse(options, option.FPS(&t.rate), option.Number("frames", "a number, 0 (no end) or more", &t.frames),
		option.Number("seed", "a number, 0 or more", &t.seed), option.Pixels(&t.size))
	return t, err
}

func (t *target) String() string { return "test:" + t.given.After("?") }

func (t *target) Open(camera.Options) (camera.Source, error) { return open(t), nil }

// source shows the scenes, one after another in an order that the seed shuffles,
// each a little different each time. Which frame shows what depends on seed, rate,
// size and the frame's number alone.
type source struct {
	lifetime.Lifetime
	pacer  lifetime.Pacer
	seed   uint32
	rate   float64 // frames a second of the scenes' own time
	frames uint64  // 0: no end
	hold   uint64  // frames a scene
	seq    uint64

	back  *canvas // the present scene's place
	front *canvas
	round uint64 // 1 + number of the scene in back; 0: none yet
}

func open(t *target) *source {
	rate := t.rate.Or(defaultRate)
	s := &source{
		Lifetime: lifetime.New(),
		pacer:    lifetime.NewPacer(rate),
		seed:     scatter(uint32(t.seed), uint32(t.seed>>32)),
		rate:     rate,
		frames:   t.frames,
	}
	if rate == 0 {
		s.rate = defaultRate
	}
	s.hold = max(1, uint64(sceneSeconds*s.rate+0.5))
	width, height := t.size.Width, t.size.Height
	if width == 0 {
		width, height = defaultWidth, defaultHeight
	}
	s.back, s.front = newCanvas(width, height), newCanvas(width, height)
	return s
}

// Next draws the next frame when it is due.
func (s *source) Next(ctx context.Context, f *camera.Frame) error {
	if err := s.Check(ctx); err != nil {
		return err
	}
	if s.frames != 0 && s.seq == s.frames {
		return io.EOF
	}
	if err := s.pacer.Wait(ctx, &s.Lifetime); err != nil {
		return err
	}
	s.show(s.seq, f)
	s.seq++
	return nil
}

// show fills f with frame n, from 0.
func (s *source) show(n uint64, f *camera.Frame) {
	f.Name = s.draw(n)
	size := 3 * s.front.width * s.front.height
	f.Data = slices.Grow(f.Data[:0], size)[:size]
	s.front.write(f.Data, uint32(n+1)^s.seed)
	f.Format, f.Width, f.Height = camera.RGB24, s.front.width, s.front.height
	f.Seq, f.Captured = n+1, time.Now()
}

// draw puts frame n, from 0, on the front canvas and says what it shows.
func (s *source) draw(n uint64) string {
	round := n / s.hold
	v := variation(scatter(s.seed, uint32(round)))
	shown := &scenes[s.order(round)]
	if s.round != round+1 {
		shown.place(s.back, v)
		s.round = round + 1
	}
	copy(s.front.pix, s.back.pix)
	shown.thing(s.front, v.poseAt(float32(float64(n%s.hold)/s.rate)), v)
	return shown.name
}

// order is which scene is shown in a round: all of them before any comes again,
// shuffled once by the seed.
func (s *source) order(round uint64) int {
	var order [len(scenes)]int
	for i := range order {
		j := int(scatter(s.seed, uint32(i)^0xa5a5) % uint32(i+1))
		order[i], order[j] = order[j], i
	}
	return order[round%uint64(len(scenes))]
}

// Close ends the source.
func (s *source) Close() error {
	s.End()
	return nil
}

// Film is what test: shows, without its clock and in any order: who wants many of
// its frames need not hold them. One goroutine uses it at a time.
type Film struct{ source *source }

// NewFilm is test:?size=WIDTHxHEIGHT.
func NewFilm(width, height int) *Film {
	return &Film{open(&target{size: option.Size{Width: width, Height: height}})}
}

// Draw fills f, whose memory is used again, with frame n, from 0.
func (m *Film) Draw(n int, f *camera.Frame) { m.source.show(uint64(n), f) }
