package preprocess

import (
	"fmt"

	"dynvit/camera"
	"dynvit/exif"
)

// Limits of the pictures that are decoded: 64 megapixels are 192 MB of RGB and
// beyond any camera that this package will meet; the side is JPEG's own limit.
const (
	maxPixels = 64 << 20
	maxSide   = 1<<16 - 1
)

func checkSize(w, h int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("picture of %d×%d has no pixels", w, h)
	}
	if w > maxSide || h > maxSide || w*h > maxPixels {
		return fmt.Errorf("picture of %d×%d is too large: limits are %d pixels and sides of %d", w, h, maxPixels, maxSide)
	}
	return nil
}

// window is the part of a picture that is decoded: of the region, what the
// crop's pixels are made of.
type window struct {
	width, height int // of the picture as it is looked at
	turn          exif.Orientation
	box           box          // in the stored picture
	plan          *plan        // of the region's size; nil: no pixels in hand
	rgb           []byte       // [box.height, box.width, 3]
	raw           camera.Frame // what rgb is still to be made of, or none
	damaged       bool
}

// need panics where no pixels are in hand.
func (w *window) need(method string) {
	if w.plan == nil {
		panic("preprocess: " + method + ": no pixels in hand")
	}
}

// row returns row i of the window.
func (w *window) row(i int) []byte {
	n := 3 * w.box.width()
	return w.rgb[i*n:][:n]
}

// aim returns the window of region r in a stored picture of w×h that is to be
// turned by o, its pixels still unknown. decoder is what its decoder will take, in
// bytes.
func (p *Preprocessor) aim(w, h int, o exif.Orientation, r Region, decoder int64) (window, error) {
	if err := checkSize(w, h); err != nil {
		return window{}, err
	}
	width, height := seen(o, w, h)
	b := r.pixels(width, height)
	plan := p.plans.of(p.spec, b.width(), b.height())
	b = stored(o, box{b.x0 + plan.x.from, b.y0 + plan.y.from, b.x0 + plan.x.to, b.y0 + plan.y.to}, w, h)
	n := 3 * b.width() * b.height()
	copies := int64(1)
	if !o.Upright() {
		copies = 2
	}
	if err := afford(decoder + copies*int64(n)); err != nil {
		return window{}, err
	}
	return window{width: width, height: height, turn: o, box: b, plan: plan, rgb: grow(p.window.rgb, n+plan.x.behind())[:n]}, nil
}

// grow returns n elements of s, whose contents are lost where it is too small.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
