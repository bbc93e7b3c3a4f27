package preprocess

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dynvit/camera"
)

// TestShapes: the resized and cropped picture is Pillow's to the bit, whatever
// the shape, the filter and the way to the size.
func TestShapes(t *testing.T) {
	e := expected(t)
	if e.Pillow != "13.0.0" || len(e.Specs) < 8 || len(e.Shapes) < 60 {
		t.Fatalf("expect.json is of Pillow %s, or not whole", e.Pillow)
	}
	for name, want := range e.Specs {
		s := want.spec()
		s.Std, s.Layout = deit.Std, Pixels
		p := newPreprocessor(t, s) // one for all shapes: its buffers meet all sizes
		for _, shape := range e.Shapes {
			t.Run(fmt.Sprintf("%s/%dx%d", name, shape.Width, shape.Height), func(t *testing.T) {
				if got := checksum(render(t, p, drawn(shape.Width, shape.Height))); got != shape.Crops[name] {
					t.Error("differs from Pillow's")
				}
			})
		}
	}
}

// TestInput: the numbers are those of ToTensor and Normalize in float32, in
// either layout.
func TestInput(t *testing.T) {
	want := expected(t).Input
	for name, layout := range map[string]Layout{"pixels": Pixels, "patches": Patches} {
		s := deit
		s.Layout = layout
		p := newPreprocessor(t, s)
		dst := make([]float32, p.Len())
		if err := p.Do(dst, drawn(640, 480), Whole); err != nil {
			t.Fatal(err)
		}
		data, err := binary.Append(nil, binary.LittleEndian, dst)
		if err != nil {
			t.Fatal(err)
		}
		if checksum(data) != want[name] {
			t.Errorf("%s: differ from numpy's", name)
		}
	}
}

// TestLayouts checks the order of elements where it can be read.
func TestLayouts(t *testing.T) {
	frame := &camera.Frame{Format: camera.RGB24, Width: 4, Height: 4}
	for i := range 48 {
		frame.Data = append(frame.Data, byte(i))
	}
	input := func(l Layout) []float32 {
		p := newPreprocessor(t, Spec{Size: 4, Resize: 4, Patch: 2, Std: [3]float32{1, 1, 1}, Layout: l})
		dst := make([]float32, p.Len())
		if err := p.Do(dst, frame, Whole); err != nil {
			t.Fatal(err)
		}
		return dst
	}
	pixels, patches := input(Pixels), input(Patches)
	for i, v := range frame.Data {
		x, y, c := i/3%4, i/3/4, i%3
		want := float32(v) / 255
		if pixels[i] != want {
			t.Errorf("pixel %d,%d channel %d: %v, want %v", x, y, c, pixels[i], want)
		}
		patch, column := y/2*2+x/2, c*4+y%2*2+x%2
		if got := patches[patch*12+column]; got != want {
			t.Errorf("patch %d column %d: %v, want %v", patch, column, got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"no size":           func(s *Spec) { s.Size = 0 },
		"huge size":         func(s *Spec) { s.Size = 1 << 20 },
		"negative resize":   func(s *Spec) { s.Resize = -1 },
		"huge resize":       func(s *Spec) { s.Resize = 1 << 20 },
		"no patch":          func(s *Spec) { s.Patch = 0 },
		"patch not fitting": func(s *Spec) { s.Patch = 15 },
		"std of zero":       func(s *Spec) { s.Std[1] = 0 },
		"unknown filter":    func(s *Spec) { s.Filter = 9 },
		"unknown layout":    func(s *Spec) { s.Layout = 9 },
	} {
		s := deit
		change(&s)
		if _, err := New(s); err == nil || !strings.HasPrefix(err.Error(), "preprocess: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestRenderPanics: without pixels in hand there is nothing that could be right.
func TestRenderPanics(t *testing.T) {
	p := newPreprocessor(t, deit)
	panics := func(name string, n int) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", name)
			}
		}()
		p.Render(make([]float32, n))
	}
	panics("before the first frame", p.Len())
	if err := p.Decode(drawn(9, 9), Whole); err != nil {
		t.Fatal(err)
	}
	panics("wrong length", p.Len()-1)
	if err := p.Decode(&camera.Frame{Format: camera.PNG}, Whole); err == nil {
		t.Fatal("an empty picture is no error")
	}
	panics("after a damaged frame", p.Len())
}

// TestManySizes: more sizes than plans are kept, in turn, give what each gives
// alone.
func TestManySizes(t *testing.T) {
	p := newPreprocessor(t, deit)
	var alone [11][]byte
	for i := range alone {
		alone[i] = slices.Clone(render(t, newPreprocessor(t, deit), drawn(30+7*i, 40)))
	}
	for i := range 3 * len(alone) {
		i = i * 5 % len(alone)
		if !slices.Equal(render(t, p, drawn(30+7*i, 40)), alone[i]) {
			t.Errorf("size %d differs when it follows others", i)
		}
	}
}

// TestNoAllocations: a frame of a size seen before takes no memory, also when
// cameras of several sizes take turns.
func TestNoAllocations(t *testing.T) {
	p := newPreprocessor(t, deit)
	dst := make([]float32, p.Len())
	frames := []camera.Frame{
		*drawn(640, 360),
		{Format: camera.YUYV, Width: 320, Height: 240, Data: make([]byte, 320*240*2)},
		{Format: camera.NV12, Width: 300, Height: 400, Data: make([]byte, 300*400*3/2)},
		{Format: camera.GREY, Width: 150, Height: 100, Data: make([]byte, 150*100)},
	}
	const runs = 10 // what the runtime allocates on its own is less than one a run
	n := testing.AllocsPerRun(runs, func() {
		for i := range frames {
			if err := p.Do(dst, &frames[i], Whole); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for %d frames", n, len(frames))
	}
}
