package tuning

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"slices"

	"dynvit/camera"
	"dynvit/camera/drawn"
)

// The scenes are drawn at half a camera's size: drawing takes longer than looking.
const (
	drawnScenes = 100
	drawnHold   = 20 // of them are of one thing, in one place
	drawnWidth  = 640
	drawnHeight = 360
)

// pair is what frame i mixes: scenes by steps that have no divisor in common with
// their number, which meet all pairs.
func pair(i int) (a, b int) { return i * 37 % drawnScenes, (i*59 + 23) % drawnScenes }

// DrawnFrames are n JPEGs of 1280×720, what most cameras send, where there are no
// pictures of the place: each is two of the drawn scenes mixed. A scene alone is
// recognised at any keep ratio; a mixture is a close call, on which plans differ.
// No more than two scenes are in memory at a time: a hundred of them would take
// more than all else on a small box. Drawing takes 50 ms a frame and more on a slow
// box: enough, asked after each, ends it; nil: never.
func DrawnFrames(ctx context.Context, n int, enough func() bool) ([]camera.Frame, error) {
	films := [2]*drawn.Film{drawn.NewFilm(drawnWidth, drawnHeight), drawn.NewFilm(drawnWidth, drawnHeight)}
	m := newMixer(2*drawnWidth, 2*drawnHeight)
	var shown [2]camera.Frame
	frames := make([]camera.Frame, n)
	for _, i := range drawingOrder(n) {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("drawn frames: %w", err)
		}
		a, b := pair(i)
		films[0].Draw(a, &shown[0])
		films[1].Draw(b, &shown[1])
		var err error
		if frames[i], err = m.mix(&shown[0], &shown[1], 0.3+0.4*float64(i*61%100)/100); err != nil {
			return nil, fmt.Errorf("drawn frames: %w", err)
		}
		if enough != nil && enough() {
			break
		}
	}
	return slices.DeleteFunc(frames, func(f camera.Frame) bool { return f.Data == nil }), nil
}

// drawingOrder has frames of the same places follow each other: a place takes
// longer to draw than what stands in it.
func drawingOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		ai, bi := pair(i)
		aj, bj := pair(j)
		return cmp.Or(cmp.Compare(ai/drawnHold, aj/drawnHold), cmp.Compare(bi/drawnHold, bj/drawnHold), cmp.Compare(i, j))
	})
	return order
}

// mixer has the memory that mixing takes.
type mixer struct {
	picture *image.RGBA
	file    bytes.Buffer
}

func newMixer(width, height int) *mixer {
	return &mixer{picture: image.NewRGBA(image.Rect(0, 0, width, height))}
}

// mix is a JPEG of twice the size of a and b, RGB24 of one size: share of a, the
// rest of b.
func (m *mixer) mix(a, b *camera.Frame, share float64) (camera.Frame, error) {
	size := m.picture.Rect.Size()
	for y := range size.Y {
		for x := range size.X {
			from, to := 3*(y/2*a.Width+x/2), m.picture.PixOffset(x, y)
			for c := range 3 {
				m.picture.Pix[to+c] = uint8(share*float64(a.Data[from+c]) + (1-share)*float64(b.Data[from+c]) + 0.5)
			}
			m.picture.Pix[to+3] = 255
		}
	}
	m.file.Reset()
	err := jpeg.Encode(&m.file, m.picture, &jpeg.Options{Quality: 85})
	return camera.Frame{
		Format: camera.JPEG, Width: size.X, Height: size.Y, Data: bytes.Clone(m.file.Bytes()), Name: a.Name + " and " + b.Name,
	}, err
}
