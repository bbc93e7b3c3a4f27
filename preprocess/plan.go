package preprocess

import "math"

// axis says how the crop's pixels along one axis are made of the region's.
type axis struct {
	copied  bool      // the axis keeps its size: output i is the window's pixel i
	pad     int       // black output pixels before the first that is made
	out     int       // output pixels that are made
	from    int       // the first of the region's pixels that they need
	to      int       // the one after the last
	taps    []tap     // [out], empty where copied
	weights []int32   // of all taps, one after another
	exact   []float64 // scratch of build

	// What acrossAVX2 takes in place of taps and weights; pairs is 0 where it can't.
	pairs   int        // of pixels for each output
	offsets []int32    // of the first pair in bytes
	wide    [][8]int32 // [out, pairs]: two pixels' weights for R, G, B
}

// tap is what one output pixel is made of: count pixels of the window, the
// first of them at first, and as many weights, which begin at weights.
type tap struct{ first, count, weights int32 }

// build computes an axis of in pixels, resized to resized, of which the middle
// s.Size pixels are kept.
func (a *axis) build(in, resized int, s Spec) {
	skip := a.crop(resized, s)
	a.taps, a.weights = a.taps[:0], a.weights[:0]
	a.copied = in == resized
	if a.copied {
		a.from, a.to = skip, skip+a.out
		return
	}
	scale := float64(in) / float64(resized)
	stretch := max(scale, 1)
	support := float64(s.Filter.support() * stretch)
	a.exact = grow(a.exact, 2*int(math.Ceil(support))+1)
	for i := range a.out {
		center := float64((float64(skip+i) + 0.5) * scale)
		first := max(0, int(center-support+0.5))
		end := min(in, int(center+support+0.5))
		t := tap{int32(first), int32(end - first), int32(len(a.weights))}
		a.taps = append(a.taps, t)
		a.weights = append(a.weights, make([]int32, t.count)...)
		s.Filter.weigh(a.weights[t.weights:], a.exact[:t.count], first, center, 1/stretch)
	}
	a.trim()
}

// crop sets the number of output pixels and returns how many resized ones lie
// before them. A picture that is smaller than the crop is padded, with the smaller half
// before it, as torchvision does.
func (a *axis) crop(resized int, s Spec) (skip int) {
	if resized < s.Size {
		a.pad, a.out = (s.Size-resized)/2, resized
		return 0
	}
	a.pad, a.out = 0, s.Size
	return s.before(resized - s.Size)
}

// before is how many of the pixels that the crop leaves lie before it.
func (s Spec) before(left int) int {
	if s.FloorCrop {
		return left / 2
	}
	return int(math.RoundToEven(float64(left) / 2))
}

// trim lets the window begin with the first pixel that is needed; both ends of
// the taps rise from one to the next.
func (a *axis) trim() {
	last := a.taps[len(a.taps)-1]
	a.from, a.to = int(a.taps[0].first), int(last.first+last.count)
	for i := range a.taps {
		a.taps[i].first -= int32(a.from)
	}
}

// plan is what one size of picture needs.
type plan struct {
	width, height int // of the region
	x, y          axis
	downFirst     bool // the vertical pass comes first
}

// plans keeps the plans of the sizes seen last, enough for a box whose cameras
// differ; building one costs as much as a tenth of a frame.
type plans struct {
	kept [8]plan
	next int // the oldest
}

// of returns the plan of a size. It is valid until the next call.
func (p *plans) of(s Spec, w, h int) *plan {
	for i := range p.kept {
		if k := &p.kept[i]; k.width == w && k.height == h {
			return k
		}
	}
	k := &p.kept[p.next]
	p.next = (p.next + 1) % len(p.kept)
	k.width, k.height = w, h
	toW, toH := s.target(w, h)
	k.x.build(w, toW, s)
	k.y.build(h, toH, s)
	k.x.widen()
	k.downFirst = downFirst(w, h, toW, toH)
	return k
}

// downFirst is when Pillow's vertical pass comes before the horizontal one: where the
// height shrinks, and by more pixels than twice what the width shrinks by (13.0.0,
// ImagingResampleInner; before that, only above a height of 100 widths). The picture
// between the passes is rounded to bytes, so the order shows in the last bit.
func downFirst(w, h, toW, toH int) bool {
	return h > toH && h-toH > 2*(w-toW)
}

// target is the size after Resize: the short side s.Resize, the long one
// int(s.Resize·long/short) (torchvision, _compute_resized_output_size); both where the
// picture is squashed.
func (s Spec) target(w, h int) (int, int) {
	if s.Resize == 0 {
		return s.Size, s.Size
	}
	if s.Squash {
		return s.Resize, s.Resize
	}
	if w <= h {
		return s.Resize, s.Resize * h / w
	}
	return s.Resize * w / h, s.Resize
}
