package preprocess

import (
	"math"
	"slices"
	"testing"

	"dynvit/camera"
)

// planar is a picture in 4:2:0 with every sample different from its neighbours.
type planar struct {
	w, h, half int
	y, u, v    []byte
}

func newPlanar(w, h int) planar {
	half, rows := (w+1)/2, (h+1)/2
	p := planar{w, h, half, make([]byte, w*h), make([]byte, half*rows), make([]byte, half*rows)}
	for i := range p.y {
		p.y[i] = byte(16 + i*37%220)
	}
	for i := range p.u {
		p.u[i], p.v[i] = byte(16+i*53%225), byte(16+i*71%225)
	}
	return p
}

// rgb is the conversion by the book, pixel by pixel, from x0 on.
func (p planar) rgb(x0 int) []byte {
	var out []byte
	for y := range p.h {
		for x := x0; x < p.w; x++ {
			c := y/2*p.half + x/2
			r, g, b := studio(int32(p.y[y*p.w+x]), int32(p.u[c]), int32(p.v[c]))
			out = append(out, r, g, b)
		}
	}
	return out
}

func (p planar) frame(format camera.Format) *camera.Frame {
	f := &camera.Frame{Format: format, Width: p.w, Height: p.h}
	switch format {
	case camera.I420:
		f.Data = slices.Concat(p.y, p.u, p.v)
	case camera.NV12:
		f.Data = slices.Clone(p.y)
		for i := range p.u {
			f.Data = append(f.Data, p.u[i], p.v[i])
		}
	case camera.YUYV:
		for y := range p.h {
			for c := range p.half {
				first, second := y*p.w+2*c, y*p.w+min(2*c+1, p.w-1)
				i := y/2*p.half + c
				f.Data = append(f.Data, p.y[first], p.u[i], p.y[second], p.v[i])
			}
		}
	}
	return f
}

// TestChroma: in each format every pixel has its own luma and the chroma that
// lies under it, at odd sizes and where a region begins between two.
func TestChroma(t *testing.T) {
	for _, size := range [][2]int{{8, 6}, {7, 5}, {1, 1}, {2, 1}, {1, 4}, {33, 3}, {64, 4}, {77, 9}} {
		p := newPlanar(size[0], size[1])
		for _, format := range []camera.Format{camera.I420, camera.NV12, camera.YUYV} {
			f := p.frame(format)
			if got := pixels(t, f, p.w, p.h); !slices.Equal(got, p.rgb(0)) {
				t.Errorf("%v of %v: pixels differ", format, size)
			}
			if p.w < 7 {
				continue
			}
			pre := newPreprocessor(t, Spec{Size: 64, Std: deit.Std, Layout: Pixels})
			for x0 := 3; x0 < 5; x0++ {
				if err := pre.Decode(f, Region{float64(x0) / float64(p.w), 0, 1, 1}); err != nil {
					t.Fatal(err)
				}
				pre.window.convert()
				if !slices.Equal(pre.window.rgb, p.rgb(x0)) {
					t.Errorf("%v of %v: pixels from column %d on differ", format, size, x0)
				}
			}
		}
	}
}

func TestGrey(t *testing.T) {
	f := &camera.Frame{Format: camera.GREY, Width: 2, Height: 2, Data: []byte{1, 2, 250, 255}}
	if got, want := pixels(t, f, 2, 2), []byte{1, 1, 1, 2, 2, 2, 250, 250, 250, 255, 255, 255}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestStudio: the fixed point is BT.601's formula, rounded, but for ties that the
// coefficients' 16 bits cannot tell apart.
func TestStudio(t *testing.T) {
	worst := 0.0
	for y := int32(0); y < 256; y += 3 {
		for u := int32(0); u < 256; u += 3 {
			for v := int32(0); v < 256; v += 3 {
				r, g, b := studio(y, u, v)
				wr, wg, wb := bt601(float64(y), float64(u), float64(v))
				worst = max(worst, math.Abs(float64(r)-wr), math.Abs(float64(g)-wg), math.Abs(float64(b)-wb))
			}
		}
	}
	t.Logf("largest distance from the formula: %.4f", worst)
	if worst > 0.505 {
		t.Errorf("differs by %v, want at most rounding's 0.5 and 0.005 of the coefficients", worst)
	}
}

// bt601 derives the conversion from the standard's luma weights.
func bt601(y, u, v float64) (r, g, b float64) {
	const kr, kb = 0.299, 0.114
	const kg = 1 - kr - kb
	y, u, v = (y-16)/219, (u-128)/224, (v-128)/224
	level := func(x float64) float64 { return 255 * max(0, min(1, x)) }
	return level(y + 2*(1-kr)*v), level(y - 2*(1-kb)*kb/kg*u - 2*(1-kr)*kr/kg*v), level(y + 2*(1-kb)*u)
}

// TestShortFrames: a frame may be longer than its size needs, never shorter.
func TestShortFrames(t *testing.T) {
	p := newPreprocessor(t, deit)
	for format, need := range map[camera.Format]int{
		camera.RGB24: 105, camera.GREY: 35, camera.YUYV: 80, camera.NV12: 59, camera.I420: 59,
	} {
		f := &camera.Frame{Format: format, Width: 7, Height: 5, Data: make([]byte, need+1)}
		if err := p.Decode(f, Whole); err != nil {
			t.Errorf("%v of %d bytes: %v", format, need+1, err)
		}
		f.Data = f.Data[:need]
		if err := p.Decode(f, Whole); err != nil {
			t.Errorf("%v of %d bytes: %v", format, need, err)
		}
		f.Data = f.Data[:need-1]
		if err := p.Decode(f, Whole); err == nil {
			t.Errorf("%v of %d bytes is no error", format, need-1)
		}
	}
}
