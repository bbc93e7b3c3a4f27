package kerneltest

import (
	"fmt"
	"math"

	"dynvit/backends"
	"dynvit/backends/backendtest"
	"dynvit/backends/cuda/kernels"
)

func attentionCases() []Case {
	return []Case{
		{"attention/small", func(b *bench) { b.attentions(attentions[:5]) }},
		{"attention/wide", func(b *bench) { b.attentions(attentions[5:7]) }},
		{"attention/many tokens", func(b *bench) { b.attentions(attentions[7:8]) }},
		{"attention/many tokens, heads", func(b *bench) { b.attentions(attentions[8:9]) }},
		{"attention/around the products that are kept", func(b *bench) { b.attentions(attentions[9:]) }},
		{"attention/packed", (*bench).packedAttention},
	}
}

// heed is a size of attention.
type heed struct{ tokens, queries, heads, width int }

var attentions = []heed{
	{1, 1, 1, 4}, {2, 2, 3, 5}, {17, 17, 2, 32}, {65, 1, 2, 64}, {70, 33, 1, 33},
	{40, 40, 1, 96}, {66, 18, 2, 130},
	{330, 5, 1, 8}, {300, 20, 2, 70}, {256, 17, 1, 16}, {257, 17, 1, 16},
}

// products are the target's precisions that attention is there for.
func (b *bench) products() []backends.Precision {
	var list []backends.Precision
	for _, p := range b.target.Precisions {
		if p != backends.Int8 {
			list = append(list, p)
		}
	}
	return list
}

func limitOf(p backends.Precision) float64 {
	if p == backends.F32 {
		return backendtest.LimitAttention
	}
	return backendtest.LimitRoundedAttention
}

func (b *bench) attentions(list []heed) {
	for _, p := range b.products() {
		for _, h := range list {
			for _, by := range []backends.Score{backends.NoScore, backends.CLS, backends.Received} {
				if by != backends.NoScore && h.tokens == 1 || by == backends.Received && h.queries != h.tokens {
					continue
				}
				b.attention(p, h, by, 1)
				if by == backends.Received {
					b.attention(p, h, by, 0)
				}
				b.sized(p, h, by, 1)
			}
		}
	}
}

// attention scores tokens from skip on.
func (b *bench) attention(p backends.Precision, h heed, by backends.Score, skip int) {
	b.weighed(p, h, by, skip, nil)
}

// sized is attention to tokens that stand for several each.
func (b *bench) sized(p backends.Precision, h heed, by backends.Score, skip int) {
	b.weighed(p, h, by, skip, b.counts(h.tokens))
}

// counts are n numbers of tokens.
func (b *bench) counts(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(1 + b.rng.IntN(9))
	}
	return x
}

// weighed is attention to tokens of sizes, if there are any.
func (b *bench) weighed(p backends.Precision, h heed, by backends.Score, skip int, sizes []float32) {
	d := h.heads * h.width
	data := b.random(h.tokens * 3 * d)
	qkv := b.floats(data)
	dst, score := b.result(make([]float32, h.queries*d)), b.result(make([]float32, h.tokens-skip))
	strips := 1
	if by == backends.Received {
		strips = ceil(h.queries, 16)
	}
	shares := result{}
	if by != backends.NoScore {
		shares = b.result(make([]float32, h.heads*strips*h.tokens))
	}
	chunks := ceil(h.width, 64)
	left := b.result(make([]float32, 2*h.queries*h.heads*chunks))
	var to uint64
	if by != backends.NoScore {
		to = shares.address()
	}
	b.launch("attention_"+p.String(), [3]int{ceil(h.queries, 16), h.heads, chunks}, 128,
		qkv, 3*d, 0, dst.address(), to, int(by), left.address(), h.tokens, h.queries, h.heads, h.width, scaleOf(h.width), b.floats(sizes))
	of := backends.Tensor{}
	if sizes != nil {
		of = b.tensor(h.tokens, 1, sizes)
	}
	want, wantScore := b.tensor(h.queries, d, nil), backends.Tensor{}
	if by != backends.NoScore {
		b.launch("attention_scores", [3]int{ceil(h.tokens-skip, 4), 1, 1}, 128,
			to, strips, qkv, 3*d, score.address(), int(by), h.tokens, h.heads, h.width, skip)
		wantScore = b.tensor(h.tokens-skip, 1, nil)
	}
	b.want.Attention(want, b.tensor(h.tokens, 3*d, data), of, h.heads, p, wantScore, by)
	what := fmt.Sprintf("attention %v %+v score %d from %d, sized %v", p, h, by, skip, sizes != nil)
	got := dst.read(what)
	near(what, got, want.Host, limitOf(p))
	checkRanges(what, left.read(what), parted(got, h.width), 64*chunks, 64)
	if by != backends.NoScore {
		shares.read(what)
		near(what+", scores", score.read(what), wantScore.Host, limitOf(p))
	}
}

// parted widens rows of a head's width with zeros to whole parts of 64, so that every part is as long.
func parted(x []float32, width int) []float32 {
	wide := 64 * ceil(width, 64)
	padded := make([]float32, len(x)/width*wide)
	for i := 0; i < len(x)/width; i++ {
		copy(padded[i*wide:], x[i*width:][:width])
	}
	return padded
}

func scaleOf(width int) float32 { return float32(1 / math.Sqrt(float64(width))) }

// packedAttention: operands that the product of qkv left give the bits of numbers that
// have no more digits.
func (b *bench) packedAttention() {
	for _, p := range b.products() {
		if p == backends.F32 {
			continue
		}
		for _, h := range []heed{{40, 29, 2, 33}, {20, 20, 2, 64}} {
			d := h.heads * h.width
			ld := 64 * ceil(3*d, 64)
			data := make([]float32, h.tokens*3*d)
			words := make([]byte, 2*h.tokens*ld)
			for i, v := range b.random(len(data)) {
				data[i] = p.Round(v)
				at := i/(3*d)*ld + i%(3*d)
				word := word16(data[i], p)
				words[2*at], words[2*at+1] = byte(word), byte(word>>8)
			}
			packed, plain := b.result(make([]float32, h.queries*d)), b.result(make([]float32, h.queries*d))
			grid := [3]int{ceil(h.queries, 16), h.heads, 1}
			b.launch("attention_"+p.String(), grid, 128, b.bytes(words), ld, 1, packed.address(), uint64(0), 0, uint64(0), h.tokens, h.queries,
				h.heads, h.width, scaleOf(h.width), uint64(0))
			b.launch("attention_"+p.String(), grid, 128, b.floats(data), 3*d, 0, plain.address(), uint64(0), 0, uint64(0), h.tokens, h.queries,
				h.heads, h.width, scaleOf(h.width), uint64(0))
			what := fmt.Sprintf("packed attention %v %+v", p, h)
			same(what, packed.read(what), plain.read(what))
		}
	}
}

// word16 is a number that p holds, in memory.
func word16(v float32, p backends.Precision) uint16 {
	data := kernels.Pack([]float32{v}, 1, 1, p).Data
	return uint16(data[0]) | uint16(data[1])<<8
}
