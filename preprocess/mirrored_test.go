package preprocess

import (
	"slices"
	"testing"

	"dynvit/camera"
)

// TestMirror: the input of a picture, mirrored, is that of the mirrored picture, in both
// layouts, and mirrored again it is as it was.
func TestMirror(t *testing.T) {
	const size = 8
	f := &camera.Frame{Format: camera.RGB24, Width: size, Height: size, Data: make([]byte, 3*size*size)}
	g := &camera.Frame{Format: camera.RGB24, Width: size, Height: size, Data: make([]byte, 3*size*size)}
	for y := range size {
		for x := range size {
			for c := range 3 {
				v := byte(7*x*x + 13*y + 50*c)
				f.Data[3*(y*size+x)+c], g.Data[3*(y*size+size-1-x)+c] = v, v
			}
		}
	}
	for _, s := range []Spec{{Size: size, Patch: 4}, {Size: size, Patch: 2}, {Size: size, Layout: Pixels}} {
		s.Std = [3]float32{1, 2, 3}
		input, want := rendered(t, s, f), rendered(t, s, g)
		before := slices.Clone(input)
		s.Mirror(input)
		if !slices.Equal(input, want) || slices.Equal(input, before) {
			t.Errorf("%+v: %v, want %v", s, input, want)
		}
		if s.Mirror(input); !slices.Equal(input, before) {
			t.Errorf("%+v: twice is not as before", s)
		}
	}
}

func rendered(t *testing.T, s Spec, f *camera.Frame) []float32 {
	t.Helper()
	p, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Decode(f, Whole); err != nil {
		t.Fatal(err)
	}
	input := make([]float32, p.Len())
	p.Render(input)
	return input
}
