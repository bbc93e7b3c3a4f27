package preprocess

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"dynvit/camera"
)

// picture8 is an RGB picture, [h, w, 3].
type picture8 struct {
	w, h int
	rgb  []byte
}

func (p picture8) at(x, y, c int) byte { return p.rgb[3*(y*p.w+x)+c] }

// resized is Pillow's Image.resize by the letter: one whole pass, then the other.
func (p picture8) resized(toW, toH int, f Filter) picture8 {
	shrinks := p.h-toH > 0 && p.h-toH > (p.w-toW)*2
	for pass := range 2 {
		if across := (pass == 0) != shrinks; across && toW != p.w {
			p = p.across(toW, f)
		} else if !across && toH != p.h {
			p = p.turned().across(toH, f).turned()
		}
	}
	return p
}

// across makes every row n pixels wide.
func (p picture8) across(n int, f Filter) picture8 {
	to := picture8{n, p.h, make([]byte, 3*n*p.h)}
	for x := range n {
		first, weights := taps(x, p.w, n, f)
		for y := range p.h {
			for c := range 3 {
				sum := int32(1 << 21)
				for i, k := range weights {
					sum += int32(p.at(first+i, y, c)) * k
				}
				to.rgb[3*(y*n+x)+c] = byte(max(0, min(255, sum>>22)))
			}
		}
	}
	return to
}

// taps is precompute_coeffs of one output pixel.
func taps(x, in, out int, f Filter) (first int, weights []int32) {
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	support := f.support() * stretch
	center := (float64(x) + 0.5) * scale
	first = max(0, int(center-support+0.5))
	end := min(in, int(center+support+0.5))
	exact, sum := make([]float64, end-first), 0.0
	for i := range exact {
		exact[i] = f.at(float64(float64(first+i)-center+0.5) * (1 / stretch))
		sum += exact[i]
	}
	for _, w := range exact {
		if sum != 0 {
			w /= sum
		}
		weights = append(weights, int32(math.Trunc(float64(w*(1<<22))+math.Copysign(0.5, w))))
	}
	return first, weights
}

func (p picture8) turned() picture8 {
	to := picture8{p.h, p.w, make([]byte, len(p.rgb))}
	for y := range p.h {
		for x := range p.w {
			copy(to.rgb[3*(x*p.h+y):][:3], p.rgb[3*(y*p.w+x):])
		}
	}
	return to
}

// part is Image.crop, which is black where it reaches outside.
func (p picture8) part(x0, y0, w, h int) picture8 {
	to := picture8{w, h, make([]byte, 3*w*h)}
	for y := range h {
		for x := range w {
			if x0+x >= 0 && x0+x < p.w && y0+y >= 0 && y0+y < p.h {
				copy(to.rgb[3*(y*w+x):][:3], p.rgb[3*((y0+y)*p.w+x0+x):])
			}
		}
	}
	return to
}

// shown is what a model sees of it: resized by the spec, the middle cut out.
func (p picture8) shown(s Spec) []byte {
	toW, toH := s.target(p.w, p.h)
	p = p.resized(toW, toH, s.Filter)
	return p.part(start(toW, s), start(toH, s), s.Size, s.Size).rgb
}

// start is where a centre crop begins: before the picture where that is padded.
func start(n int, s Spec) int {
	switch left := n - s.Size; {
	case left < 0:
		return -(-left / 2)
	case s.FloorCrop:
		return left / 2
	default:
		return int(math.RoundToEven(float64(left) / 2))
	}
}

// TestReference: frames of random shapes, regions and specs are, to the bit, what the
// plainest code makes of them, whichever pass comes first. That the plainest code is
// right is TestReferenceShapes', by Pillow itself.
func TestReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(23, 24))
	first := map[bool]int{}
	for range 250 {
		w, h := 1+rnd.IntN(160), 1+rnd.IntN(320)
		size := 1 + rnd.IntN(100)
		s := Spec{Size: size, Std: deit.Std, Layout: Pixels, Filter: Filter(rnd.IntN(2))}
		if rnd.IntN(2) == 0 {
			s.Resize, s.Squash, s.FloorCrop = max(1, size-10+rnd.IntN(30)), rnd.IntN(4) == 0, rnd.IntN(4) == 0
		}
		r := Whole
		if rnd.IntN(2) == 0 {
			r = Region{rnd.Float64() / 2, rnd.Float64() / 2, 1 - rnd.Float64()/2.1, 1 - rnd.Float64()/2.1}
		}
		f := &camera.Frame{Format: camera.RGB24, Width: w, Height: h, Data: noise(rnd, 3*w*h)}
		b := r.pixels(w, h)
		cut := picture8{w, h, f.Data}.part(b.x0, b.y0, b.width(), b.height())
		toW, toH := s.target(cut.w, cut.h)
		first[cut.h-toH > 0 && cut.h-toH > (cut.w-toW)*2]++
		p := newPreprocessor(t, s)
		if err := p.Do(make([]float32, p.Len()), f, r); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(p.RGB(), cut.shown(s)) {
			t.Errorf("%d×%d, %v, %+v: differs from the plain code", w, h, r, s)
		}
	}
	if first[true] < 40 || first[false] < 40 {
		t.Errorf("vertical pass first: %d, horizontal: %d; want 40 of each", first[true], first[false])
	}
}

// TestReferenceShapes holds the plainest code itself to Pillow's pictures.
func TestReferenceShapes(t *testing.T) {
	e, tried := expected(t), 0
	for _, shape := range e.Shapes {
		if shape.Width*shape.Height > 1<<17 {
			continue // slow
		}
		f := drawn(shape.Width, shape.Height)
		for name, want := range e.Specs {
			s := want.spec()
			if toW, toH := s.target(f.Width, f.Height); toW*toH > 1<<18 {
				continue // of which a crop is little
			}
			tried++
			if checksum(picture8{f.Width, f.Height, f.Data}.shown(s)) != shape.Crops[name] {
				t.Errorf("%s of %d×%d: differs from Pillow's", name, shape.Width, shape.Height)
			}
		}
	}
	if tried < 60 {
		t.Errorf("only %d pictures", tried)
	}
}
