package tuning

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"

	"dynvit/camera"
	"dynvit/camera/drawn"
)

// drawnSource shows each of the drawn scenes for 20 frames, at half a camera's
// size: drawing takes longer than looking.
const drawnSource = "test:?size=640x360&fps=0&frames=100"

// DrawnFrames are n JPEGs of 1280×720, what most cameras send, where there are no
// pictures of the place: each is two of the drawn scenes mixed. A scene alone is
// recognised at any keep ratio; a mixture is a close call, on which plans differ.
func DrawnFrames(ctx context.Context, n int) ([]camera.Frame, error) {
	source, err := camera.Schemes{drawn.Scheme()}.Open(drawnSource, camera.Options{})
	if err != nil {
		return nil, fmt.Errorf("drawn frames: %w", err)
	}
	defer source.Close()
	scenes := make([]camera.Frame, 100)
	for i := range scenes {
		if err := source.Next(ctx, &scenes[i]); err != nil {
			return nil, fmt.Errorf("drawn frames: %w", err)
		}
	}
	frames := make([]camera.Frame, n)
	for i := range frames {
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
