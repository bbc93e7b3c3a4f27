package kerneltest

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"dynvit/backends"
	"dynvit/backends/backendtest"
)

func tokenCases() []Case {
	return []Case{{"tokens/topk", (*bench).topK}, {"tokens/gather", (*bench).gather}, {"tokens/unfold", (*bench).unfold}, {"tokens/match", (*bench).match}, {"tokens/merge", (*bench).merge}}
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

// match runs the kernels of a Match: topk, halve, aim, topk, regroup.
func (b *bench) match() {
	for _, c := range []struct{ n, heads, width, stay, drop int }{
		{1, 1, 4, 1, 0}, {2, 1, 1, 1, 0}, {7, 2, 5, 4, 0}, {33, 3, 33, 16, 5}, {40, 2, 64, 1, 38}, {150, 2, 16, 70, 60}, {300, 1, 4, 150, 30},
	} {
		for _, logs := range []int{0, 1} {
			keys, score := b.random(c.n*3*c.heads*c.width), b.random(c.n)
			for i, v := range score {
				score[i] = max(v, -v)
			}
			b.oneMatch(c.n, c.heads, c.width, c.stay, c.drop, keys, score, logs)
			for i := range score { // ties, no number, no direction
				score[i] = float32(i / 5 % 2)
				copy(keys[i*3*c.heads*c.width:][:3*c.heads*c.width], keys)
			}
			score[c.n/2] = float32(math.NaN())
			clear(keys[:3*c.heads*c.width])
			keys[c.n/2*3*c.heads*c.width+c.heads*c.width] = float32(math.NaN())
			b.oneMatch(c.n, c.heads, c.width, c.stay, c.drop, keys, score, logs)
		}
	}
}

func (b *bench) oneMatch(n, heads, width, stay, drop int, keys, score []float32, logs int) {
	survivors := n - drop
	targets, moving := survivors/2, survivors-stay
	sources := survivors - targets
	scores, qkv := b.floats(score), b.floats(keys)
	order, turns, turn := backendtest.Orders(b.rng, n)
	rest, from, to := b.result(make([]float32, survivors+1)), b.result(make([]float32, sources)), b.result(make([]float32, targets))
	target, gain := b.result(make([]float32, sources)), b.result(make([]float32, sources))
	moves, goes := b.result(make([]float32, moving+1)), b.result(make([]float32, n))
	kept, groups := b.result(make([]float32, stay+1)), b.result(make([]float32, n))
	b.launch("topk", [3]int{1, 1, 1}, 256, rest.address(), scores, n, survivors+1)
	if moving > 0 {
		b.launch("halve", [3]int{1, 1, 1}, 256, from.address(), to.address(), rest.address(), survivors, b.floats(order[turn:]), turns)
		b.launch("aim", [3]int{sources, 1, 1}, 128, target.address(), gain.address(), qkv, 3*heads*width, heads, width, from.address(), to.address(), targets, scores, logs)
		b.launch("topk", [3]int{1, 1, 1}, 256, moves.address(), gain.address(), sources, moving+1)
	}
	b.launch("regroup", [3]int{1, 1, 1}, 256, kept.address(), groups.address(), goes.address(), rest.address(), survivors, from.address(), target.address(), moves.address(), moving, n)
	wantKept, _ := b.want.AllocIndex(stay + 1) // the oracle allocates what it is asked to
	wantGroups, _ := b.want.AllocIndex(n)
	b.want.(backends.Merger).Match(wantKept, wantGroups, b.tensor(n, 3*heads*width, keys), heads, b.tensor(n, 1, score), logs == 1, drop, b.tensor(n, turns, order), turn)
	what := fmt.Sprintf("match of %d, %d heads of %d, %d stay, %d are dropped, logs %d, turn %d of %d", n, heads, width, stay, drop, logs, turn, turns)
	for _, r := range []result{rest, from, to, target, gain, moves, goes, kept, groups} {
		r.read(what)
	}
	if got := b.getInts(kept.address(), stay+1); !slices.Equal(got, wantKept.Host) {
		fail("%s: kept %v, want %v", what, got, wantKept.Host)
	}
	if got := b.getInts(groups.address(), n); !slices.Equal(got, wantGroups.Host) {
		fail("%s: groups %v, want %v", what, got, wantGroups.Host)
	}
}

func (b *bench) merge() {
	for _, c := range []struct{ n, cols, rows int }{{1, 1, 1}, {5, 3, 2}, {40, 150, 17}, {140, 192, 60}} {
		groups := make([]int32, c.n)
		for i := range groups {
			groups[i] = int32(b.rng.IntN(c.rows+1)) - 1
		}
		for _, sizes := range [][]float32{nil, b.counts(c.n)} {
			x, place := b.random(c.n*c.cols), b.bytes(make([]byte, 8))
			dst, total := b.result(b.random(c.rows*c.cols)), b.result(b.random(c.rows))
			run := func(groups []int32) {
				b.launch("merge", [3]int{c.rows, 1, 1}, 128, dst.address(), total.address(), b.floats(x), b.floats(sizes), b.ints(groups), c.n, c.rows, c.cols, place)
			}
			run(groups)
			of, want, wantTotal := backends.Tensor{}, b.tensor(c.rows, c.cols, nil), b.tensor(c.rows, 1, nil)
			if sizes != nil {
				of = b.tensor(c.n, 1, sizes)
			}
			index, _ := b.want.AllocIndex(c.n)
			b.want.UploadIndex(index, groups)
			b.want.(backends.Merger).Merge(want, wantTotal, b.tensor(c.n, c.cols, x), of, index)
			what := fmt.Sprintf("merge %+v, sized %v", c, sizes != nil)
			got := dst.read(what)
			near(what, got, want.Host, backendtest.LimitNorm)
			same(what+", total", total.read(what), wantTotal.Host)
			b.staysAlone(what, got, x, groups, c.cols)
			word := make([]byte, 8)
			if b.Read(place, word); binary.LittleEndian.Uint64(word) != 0 {
				fail("%s: error word %x", what, word)
			}
			wrong := slices.Clone(groups)
			wrong[c.n/2] = int32(c.rows)
			run(wrong)
			if b.Read(place, word); binary.LittleEndian.Uint64(word) != uint64(c.rows)<<32|2 {
				fail("%s: error word %x of row %d", what, word, c.rows)
			}
		}
	}
}

// staysAlone: a row whose group has no other keeps its bits.
func (b *bench) staysAlone(what string, got, x []float32, groups []int32, cols int) {
	for i, g := range groups {
		if g >= 0 && slices.Index(groups, g) == i && !slices.Contains(groups[i+1:], g) {
			same(what+", alone", got[int(g)*cols:][:cols], x[i*cols:][:cols])
		}
	}
}
