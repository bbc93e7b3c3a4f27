package kerneltest

import (
	"fmt"

	"dynvit/camera"
	"dynvit/preprocess"
)

func pictureCases() []Case {
	return []Case{{"picture/formats", (*bench).formats}, {"picture/sizes", (*bench).sizes}}
}

var imageNet = preprocess.Spec{Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225}}

// formats: each of them, odd sizes and regions that begin between two pixels of one chroma too.
func (b *bench) formats() {
	s := imageNet
	s.Size, s.Resize, s.Patch = 16, 20, 4
	for _, format := range []camera.Format{camera.YUYV, camera.NV12, camera.I420, camera.RGB24, camera.GREY} {
		for _, size := range [][2]int{{64, 48}, {33, 27}} {
			for _, r := range []preprocess.Region{preprocess.Whole, {X0: 0.3, Y0: 0.2, X1: 0.9, Y1: 1}} {
				b.picture(s, format, size, r)
			}
		}
	}
}

// sizes: either pass first, enlarged, padded, as it is, warped, in both layouts and filters,
// and one of several blocks a row.
func (b *bench) sizes() {
	for i, size := range [][2]int{{150, 40}, {40, 150}, {12, 9}, {16, 16}, {20, 64}, {1, 1}, {300, 20}} {
		for _, resize := range []int{0, 14, 24} {
			s := imageNet
			s.Size, s.Resize, s.Patch, s.Filter = 16, resize, 8, preprocess.Filter(i%2)
			if i%3 == 0 {
				s.Layout = preprocess.Pixels
			}
			b.picture(s, camera.RGB24, size, preprocess.Whole)
		}
	}
	s := imageNet // more columns than a block has threads
	s.Size, s.Resize, s.Patch = 136, 140, 8
	b.picture(s, camera.GREY, [2]int{160, 150}, preprocess.Whole)
}

func (b *bench) picture(s preprocess.Spec, format camera.Format, size [2]int, r preprocess.Region) {
	f := &camera.Frame{Format: format, Width: size[0], Height: size[1], Data: make([]byte, format.Bytes(size[0], size[1]))}
	for i := range f.Data {
		f.Data[i] = byte(b.rng.Uint32())
	}
	p, err := preprocess.New(s)
	if err != nil {
		fail("%v", err)
	}
	want := make([]float32, p.Len())
	if err := p.Decode(f, r); err != nil {
		fail("%v", err)
	}
	from, passes := p.Source(), p.Passes()
	p.Render(want)
	input := b.result(make([]float32, p.Len()))
	b.passes(s, from, passes, input.address())
	what := fmt.Sprintf("picture %+v %v %v %v", s, format, size, r)
	same(what, input.read(what), want)
}

// passes launches both.
func (b *bench) passes(s preprocess.Spec, f preprocess.Source, p preprocess.Passes, input uint64) {
	first, second, down := p.Across, p.Down, 0
	lines, n := p.Height, p.Across.Out
	if p.DownFirst {
		first, second, down = p.Down, p.Across, 1
		lines, n = p.Down.Out, p.Width
	}
	scratch := b.bytes(make([]byte, 3*lines*n))
	b.launch("resize_first", [3]int{ceil(n, 128), lines, 1}, 128, scratch, b.bytes(f.Data), int(f.Format), f.Width, f.Height, f.X, f.Y,
		b.taps(first), b.ints(first.Weights), down, n)
	patch, table := s.Patch, p.Table[:]
	if s.Layout == preprocess.Pixels {
		patch = 0
	}
	var numbers []float32
	for _, channel := range table {
		numbers = append(numbers, channel[:]...)
	}
	b.launch("resize_second", [3]int{ceil(s.Size, 128), s.Size, 1}, 128, input, scratch, n, b.taps(second), b.ints(second.Weights), 1-down, s.Size,
		p.Across.Pad, p.Down.Pad, p.Across.Out, p.Down.Out, patch, b.floats(numbers))
}

func (b *bench) taps(p preprocess.Pass) uint64 {
	var list []int32
	for _, t := range p.Taps {
		list = append(list, t[:]...)
	}
	return b.ints(list)
}
