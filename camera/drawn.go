package camera

import (
	"context"
	"io"
	"slices"
	"time"
)

// What a drawn source is where the URI does not say.
const (
	drawnRate   = 5 // frames a second
	drawnWidth  = 640
	drawnHeight = 480
)

// sceneSeconds is how long each scene lasts, by frames at the source's rate.
const sceneSeconds = 4

// drawn is the source of scheme test: the scenes, one after another in an order
// that the seed shuffles, each a little different each time. Which frame shows
// what depends on seed, rate, size and the frame's number alone.
type drawn struct {
	lifetime
	pacer  pacer
	seed   uint32
	rate   float64 // frames a second of the scenes' own time
	frames uint64  // 0: no end
	hold   uint64  // frames a scene
	seq    uint64

	back  *canvas // the present scene's place
	front *canvas
	round uint64 // 1 + number of the scene in back; 0: none yet
}

func openDrawn(s Spec) *drawn {
	rate := s.options.rate(drawnRate)
	d := &drawn{
		lifetime: newLifetime(),
		pacer:    newPacer(rate),
		seed:     scatter(uint32(s.options.seed), uint32(s.options.seed>>32)),
		rate:     rate,
		frames:   s.options.frames,
	}
	if rate == 0 {
		d.rate = drawnRate
	}
	d.hold = max(1, uint64(sceneSeconds*d.rate+0.5))
	width, height := s.options.width, s.options.height
	if width == 0 {
		width, height = drawnWidth, drawnHeight
	}
	d.back, d.front = newCanvas(width, height), newCanvas(width, height)
	return d
}

// Next draws the next frame when it is due.
func (d *drawn) Next(ctx context.Context, f *Frame) error {
	if err := d.check(ctx); err != nil {
		return err
	}
	if d.frames != 0 && d.seq == d.frames {
		return io.EOF
	}
	if err := d.pacer.wait(ctx, &d.lifetime); err != nil {
		return err
	}
	name := d.draw(d.seq)
	d.seq++
	n := 3 * d.front.width * d.front.height
	f.Data = slices.Grow(f.Data[:0], n)[:n]
	d.front.write(f.Data, uint32(d.seq)^d.seed)
	f.Format, f.Width, f.Height = RGB24, d.front.width, d.front.height
	f.Seq, f.Captured, f.Name = d.seq, time.Now(), name
	return nil
}

// draw puts frame n, from 0, on the front canvas and says what it shows.
func (d *drawn) draw(n uint64) string {
	round := n / d.hold
	v := variation(scatter(d.seed, uint32(round)))
	s := &scenes[d.order(round)]
	if d.round != round+1 {
		s.place(d.back, v)
		d.round = round + 1
	}
	copy(d.front.pix, d.back.pix)
	s.thing(d.front, v.poseAt(float32(float64(n%d.hold)/d.rate)), v)
	return s.name
}

// order is which scene is shown in a round: all of them before any comes again,
// shuffled once by the seed.
func (d *drawn) order(round uint64) int {
	var order [len(scenes)]int
	for i := range order {
		j := int(scatter(d.seed, uint32(i)^0xa5a5) % uint32(i+1))
		order[i], order[j] = order[j], i
	}
	return order[round%uint64(len(scenes))]
}

// Close ends the source.
func (d *drawn) Close() error {
	d.end()
	return nil
}
