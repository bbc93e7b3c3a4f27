package daemon

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"

	"dynvit/calibrate"
	"dynvit/camera"
	"dynvit/engine"
	"dynvit/preprocess"
	"dynvit/vit"
)

// Target is a model on a set of pictures, as calibrate runs it. It keeps one
// group's model open at a time, beside the one it was lent. One goroutine uses
// it at a time.
type Target struct {
	open    func(engine.Options) (Classifier, error)
	options engine.Options
	frames  []camera.Frame
	between func() // called ahead of each frame; nil: nothing

	lent      Classifier // of lentGroup; nil: none. Not closed
	lentGroup calibrate.Group
	own       Classifier // of group; nil: none
	group     calibrate.Group
	result    engine.Result
}

// NewTarget prepares to run the frames, of which there is at least one. The
// options' precision and threads are those of each group in turn.
func NewTarget(open func(engine.Options) (Classifier, error), o engine.Options, frames []camera.Frame) *Target {
	return &Target{open: open, options: o, frames: frames}
}

// Use implements calibrate.Target.
func (t *Target) Use(g calibrate.Group) error {
	if t.lent != nil && g == t.lentGroup || t.own != nil && g == t.group {
		t.group = g
		return nil
	}
	t.Close()
	o := t.options
	o.Precision, o.Threads = g.Precision, g.Threads
	c, err := t.open(o)
	if err != nil {
		return err
	}
	t.own, t.group = c, g
	return nil
}

// Run implements calibrate.Target.
func (t *Target) Run(p calibrate.Point, frame int) (calibrate.Outcome, error) {
	if t.between != nil {
		t.between()
	}
	c := t.own
	if t.lent != nil && t.group == t.lentGroup {
		c = t.lent
	}
	f := &t.frames[frame]
	if err := c.Classify(&t.result, f, preprocess.Whole, vit.Plan{Keep: p.Keep}); err != nil {
		return calibrate.Outcome{}, fmt.Errorf("%s: %w", f.Name, err)
	}
	return calibrate.Outcome{Latency: t.result.Frame, Logits: t.result.Logits}, nil
}

// Close closes what the target opened; Use opens again.
func (t *Target) Close() {
	if t.own != nil {
		t.own.Close() // frees memory: there is nothing to lose
		t.own = nil
	}
}

// Keeps is the grid that calibration tries where nothing is named.
func Keeps() []vit.Keep {
	return []vit.Keep{{Ratio: 1}, {Ratio: 0.9}, {Ratio: 0.8}, {Ratio: 0.7}, {Ratio: 0.6}, {Ratio: 0.5}, {Ratio: 0.4}}
}

// Plans are a model's plans for what is asked for. What comes to the same counts,
// as with few patches, is one plan.
func Plans(c Classifier, keeps []vit.Keep) ([]calibrate.Plan, error) {
	var list []calibrate.Plan
	seen := map[string]bool{}
	for _, k := range keeps {
		p, err := c.Plan(k)
		if err != nil {
			return nil, err
		}
		if seen[fmt.Sprint(p.Keep)] {
			continue
		}
		seen[fmt.Sprint(p.Keep)] = true
		tokens := []int{c.Info().Patches + 1}
		for _, n := range p.Keep {
			tokens = append(tokens, n+1)
		}
		list = append(list, calibrate.Plan{KeepRatio: c.Ratio(k, p), Keep: p.Keep, Tokens: tokens, GMACs: float64(c.MACs(p)) / 1e9})
	}
	return list, nil
}

// drawnForCalibration shows each of the drawn scenes for 20 frames, at half a
// camera's size: drawing takes longer than looking.
const drawnForCalibration = "test:?size=640x360&fps=0&frames=100"

// DrawnFrames are n JPEGs of 1280×720, what most cameras send, where there are no
// pictures of the place: each is two of the drawn scenes mixed. A scene alone is
// recognised at any keep ratio; a mixture is a close call, on which plans differ.
// between is called ahead of each drawing, some ten milliseconds apart; nil:
// nothing.
func DrawnFrames(ctx context.Context, n int, between func()) ([]camera.Frame, error) {
	if between == nil {
		between = func() {}
	}
	source, err := openSource(drawnForCalibration, camera.Options{})
	if err != nil {
		return nil, fmt.Errorf("drawn frames: %w", err)
	}
	defer source.Close()
	scenes := make([]camera.Frame, 100)
	for i := range scenes {
		between()
		if err := source.Next(ctx, &scenes[i]); err != nil {
			return nil, fmt.Errorf("drawn frames: %w", err)
		}
	}
	frames := make([]camera.Frame, n)
	for i := range frames {
		between()
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("drawn frames: %w", err)
		}
		// Steps that have no divisor in common with 100 meet all pairs of scenes.
		a, b := &scenes[i*37%100], &scenes[(i*59+23)%100]
		if err := mix(&frames[i], a, b, 0.3+0.4*float64(i*61%100)/100); err != nil {
			return nil, fmt.Errorf("drawn frames: %w", err)
		}
	}
	return frames, nil
}

// mix makes f a JPEG of twice the size of a and b, RGB24 of one size: share of a,
// the rest of b.
func mix(f *camera.Frame, a, b *camera.Frame, share float64) error {
	w, h := 2*a.Width, 2*a.Height
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			from, to := 3*(y/2*a.Width+x/2), img.PixOffset(x, y)
			for c := range 3 {
				img.Pix[to+c] = uint8(share*float64(a.Data[from+c]) + (1-share)*float64(b.Data[from+c]) + 0.5)
			}
			img.Pix[to+3] = 255
		}
	}
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 85})
	*f = camera.Frame{Format: camera.JPEG, Width: w, Height: h, Data: buf.Bytes(), Name: a.Name + " and " + b.Name}
	return err
}
