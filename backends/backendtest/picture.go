package backendtest

import (
	"fmt"
	"testing"

	"dynvit/backends"
)

// resize compares a Resizer's inputs, to the bit, in every format: both orders of the passes,
// both layouts, padded, as they are, and from the middle of a frame.
func (s suite) resize(t *testing.T) {
	p := s.pair(t)
	got, ok := p.got.(backends.Resizer)
	if !ok {
		t.Skip("the backend resizes no pictures")
	}
	for i, of := range []struct{ width, height, x, y, across, down, size, patch int }{
		{1, 1, 0, 0, 1, 1, 1, 1}, {5, 4, 0, 0, 2, 2, 2, 0}, {9, 7, 2, 1, 4, 4, 4, 2}, {9, 7, 3, 3, 3, 2, 4, 2}, {31, 10, 0, 0, 8, 8, 8, 4}, {10, 31, 1, 1, 8, 8, 8, 0}, {150, 6, 7, 0, 135, 5, 135, 5},
	} {
		for format := backends.RGB; format <= backends.I420; format++ {
			z := backends.Resize{
				Width: of.width - of.x, Height: of.height - of.y, DownFirst: i%2 == 1, Size: of.size, Patch: of.patch, Table: p.table(),
				Across: p.pass(of.width-of.x, of.across, of.size), Down: p.pass(of.height-of.y, of.down, of.size),
			}
			from := backends.Pixels{Data: make([]byte, format.Bytes(of.width, of.height)), Format: format, Width: of.width, Height: of.height, X: of.x, Y: of.y}
			for i := range from.Data {
				from.Data[i] = byte(p.rng.Uint32())
			}
			p.oneResize(fmt.Sprintf("%+v, format %d", of, format), got, from, z)
		}
	}
}

func (p *pair) oneResize(what string, got backends.Resizer, from backends.Pixels, z backends.Resize) {
	p.t.Helper()
	want := p.want.(backends.Resizer)
	dst := p.tensor(z.Size*z.Size, 3, nil)
	for be, of := range map[backends.Resizer]backends.Tensor{got: dst.got, want: dst.want} {
		by, err := be.PrepareResize(z)
		if err != nil {
			p.t.Fatal(what, err)
		}
		if by.Len() != 3*z.Size*z.Size {
			p.t.Fatalf("%s: Len %d", what, by.Len())
		}
		be.Resize(of, from, by)
	}
	dst.compare(what, 0)
}

// table is some number for each byte of each channel.
func (p *pair) table() *[3][256]float32 {
	t := new([3][256]float32)
	for c := range t {
		copy(t[c][:], p.random(256))
	}
	return t
}

// pass makes out pixels of in, of a size of which they are the middle, by weights that sum up
// to one, some below zero, as a cubic filter's do.
func (p *pair) pass(in, out, size int) backends.Pass {
	pass := backends.Pass{Pad: (size - out) / 2, Out: out}
	for i := range out {
		first := i * in / out
		count := min(in-first, 1+p.rng.IntN(4))
		pass.Taps = append(pass.Taps, [3]int32{int32(first), int32(count), int32(len(pass.Weights))})
		rest := int32(1 << 22)
		for range count - 1 {
			w := p.rng.Int32N(1<<22) - 1<<20
			pass.Weights = append(pass.Weights, w)
			rest -= w
		}
		pass.Weights = append(pass.Weights, rest)
	}
	return pass
}
