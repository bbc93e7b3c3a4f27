package kerneltest

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"dynvit/backends"
)

func tokenCases() []Case {
	return []Case{{"tokens/topk", (*bench).topK}, {"tokens/gather", (*bench).gather}, {"tokens/unfold", (*bench).unfold}}
}

func (b *bench) topK() {
	for _, s := range [][2]int{{1, 1}, {1, 2}, {7, 4}, {196, 138}, {256, 100}, {300, 1}, {300, 301}, {530, 260}} {
		n, k := s[0], s[1]
		score := b.random(n)
		for i := range score {
			score[i] = float32(math.Round(float64(score[i]*8)) / 8) // ties
		}
		for i, v := range []float64{math.NaN(), math.Inf(-1), math.Copysign(0, -1), 0, math.Inf(1), math.NaN()} {
			score[(i*31+n/2)%n] = float32(v)
		}
		room := b.result(make([]float32, k))
		b.launch("topk", [3]int{1, 1, 1}, 256, room.address(), b.floats(score), n, k)
		want, _ := b.want.AllocIndex(k) // the oracle allocates what it is asked to
		b.want.TopK(want, b.tensor(n, 1, score))
		room.read("topk")
		if got := b.getInts(room.address(), k); !slices.Equal(got, want.Host) {
			fail("topk of %d: %d kept are %v, want %v", n, k, got, want.Host)
		}
	}
}

func (b *bench) gather() {
	const rows, cols = 20, 150
	x, kept := b.random(rows*cols), []int32{0, 3, 19, 20, 7, -1, 19}
	before := b.random(len(kept) * cols)
	dst := b.result(before)
	place := b.bytes(make([]byte, 8))
	b.launch("gather", [3]int{len(kept), 1, 1}, 128, dst.address(), b.floats(x), b.ints(kept), rows, cols, place)
	want := slices.Clone(before)
	for i, from := range kept {
		if from >= 0 && from < rows {
			copy(want[i*cols:][:cols], x[int(from)*cols:])
		}
	}
	same("gather", dst.read("gather"), want)
	word := make([]byte, 8)
	b.Read(place, word)
	got := binary.LittleEndian.Uint64(word)
	if row := int32(got >> 32); uint32(got) != 1 || row != 20 && row != -1 {
		fail("gather: error word %x", got)
	}
}

func (b *bench) unfold() {
	for _, c := range []struct {
		g                    backends.Conv
		channels, from, rows int
	}{
		{backends.Conv{H: 9, W: 7, Kernel: 3, Stride: 1, Pad: 1}, 5, 11, 30},
		{backends.Conv{H: 16, W: 16, Kernel: 7, Stride: 2, Pad: 3}, 3, 0, 64},
		{backends.Conv{H: 8, W: 8, Kernel: 4, Stride: 4}, 6, 1, 3},
	} {
		n := c.g.Kernel * c.g.Kernel * c.channels
		src := b.random(c.g.H * c.g.W * c.channels)
		dst, want := b.result(make([]float32, c.rows*n)), b.tensor(c.rows, n, nil)
		_, w := c.g.Out()
		b.launch("unfold", [3]int{c.rows, 1, 1}, 128, dst.address(), b.floats(src), c.channels, c.g.H, c.g.W, c.g.Kernel, c.g.Stride, c.g.Pad, w, c.from)
		b.want.Unfold(want, b.tensor(c.g.H*c.g.W, c.channels, src), c.g, c.from)
		what := fmt.Sprintf("unfold %+v", c)
		same(what, dst.read(what), want.Host)
	}
}
