package cuda

import (
	"fmt"
	"slices"

	"dynvit/backends"
	"dynvit/backends/cuda/device"
)

// formats are the kernels' numbers of formats of pixels: camera's.
var formats = map[backends.PixelFormat]int{backends.YUYV: 3, backends.NV12: 4, backends.I420: 5, backends.RGB: 6, backends.Grey: 7}

// resizing implements backends.Resizing.
type resizing struct {
	backends.Resize
	first, second pass
	lines, n      int // of what lies between the passes: lines of n pixels
	table         device.Address
}

// pass is a backends.Pass on the device.
type pass struct{ taps, weights device.Address }

func (z *resizing) Len() int { return 3 * z.Size * z.Size }

// PrepareResize implements backends.Resizer.
func (b *backend) PrepareResize(z backends.Resize) (backends.Resizing, error) {
	need("PrepareResize", len(z.Across.Taps) == z.Across.Out && len(z.Down.Taps) == z.Down.Out, "as many taps as pixels are wanted")
	need("PrepareResize", z.Across.Pad+z.Across.Out <= z.Size && z.Down.Pad+z.Down.Out <= z.Size, "more pixels than the input has")
	r := &resizing{Resize: z, lines: z.Height, n: z.Across.Out}
	first, second := z.Across, z.Down
	if z.DownFirst {
		first, second = second, first
		r.lines, r.n = z.Down.Out, z.Width
	}
	var err error
	if r.first, err = b.pass(first); err != nil {
		return nil, err
	}
	if r.second, err = b.pass(second); err != nil {
		return nil, err
	}
	r.table, err = hold(b, slices.Concat(z.Table[0][:], z.Table[1][:], z.Table[2][:]))
	return r, err
}

func (b *backend) pass(p backends.Pass) (on pass, err error) {
	var taps []int32
	for _, t := range p.Taps {
		taps = append(taps, t[:]...)
	}
	if on.taps, err = hold(b, taps); err != nil {
		return on, err
	}
	on.weights, err = hold(b, p.Weights)
	return on, err
}

// hold copies numbers to memory of their own.
func hold[T float32 | int32](b *backend, x []T) (device.Address, error) {
	at, err := b.alloc(len(x) * elementBytes)
	if err != nil {
		return 0, err
	}
	b.upload(at, bytesOf(x))
	return at, b.takeLost()
}

// Resize implements backends.Resizer.
func (b *backend) Resize(dst backends.Tensor, from backends.Pixels, by backends.Resizing) {
	z := by.(*resizing)
	format, known := formats[from.Format]
	bytes := from.Format.Bytes(from.Width, from.Height)
	need("Resize", dst.Rows*dst.Cols == z.Len(), "length differs")
	need("Resize", known && len(from.Data) >= bytes, fmt.Sprintf("%d bytes of format %d, want %d", len(from.Data), from.Format, bytes))
	need("Resize", from.X+z.Width <= from.Width && from.Y+z.Height <= from.Height, "the frame is smaller")
	frame, between := b.use(&b.frame, bytes), b.use(&b.passed, 3*z.lines*z.n)
	b.upload(frame, from.Data[:bytes])
	s := b.begin(resizeFirst, device.Size{parts(z.n, 128), z.lines, 1}, 128)
	s.add(at(between), at(frame), number(format), number(from.Width), number(from.Height), number(from.X), number(from.Y),
		at(z.first.taps), at(z.first.weights), flag(z.DownFirst), number(z.n))
	b.do(s)
	s = b.begin(resizeSecond, device.Size{parts(z.Size, 128), z.Size, 1}, 128)
	s.add(tensor(dst), at(between), number(z.n), at(z.second.taps), at(z.second.weights), flag(!z.DownFirst), number(z.Size),
		number(z.Across.Pad), number(z.Down.Pad), number(z.Across.Out), number(z.Down.Out), number(z.Patch), at(z.table))
	b.do(s)
}
