package cuda

import (
	"math"

	"dynvit/backends"
	"dynvit/backends/cuda/device"
)

// Sizes of attention's grid: queries of a block, columns of a head that it mixes, and
// tokens of a block of attention_scores.
const blockQueries, blockColumns, blockTokens = 16, 64, 4

// Places of attention's arguments that fold changes.
const argLeft = 6

// mixture is attention of what lies in qkv, for the first queries.
type mixture struct {
	qkv     span
	sizes   span // or none
	ld      int
	packed  bool // of 16-bit operands
	dst     backends.Tensor
	tokens  int
	heads   int
	product backends.Precision
	shares  span // or none
	by      backends.Score
}

func (b *backend) mix(m *mixture) {
	width := m.dst.Cols / m.heads
	s := b.begin(attention(m.product), device.Size{parts(m.dst.Rows, blockQueries), m.heads, parts(width, blockColumns)}, 128)
	s.add(at(m.qkv.at), number(m.ld), flag(m.packed), tensor(m.dst), at(m.shares.at), number(int(m.by)), 0)
	s.add(number(m.tokens), number(m.dst.Rows), number(m.heads), number(width), real(scale(width)), at(m.sizes.at))
	s.reads = [4]span{m.qkv, m.sizes}
	s.writes = [3]span{spanOf(m.dst), m.shares}
	b.do(s)
}

// scale is what attention multiplies q·k by.
func scale(width int) float32 { return float32(1 / math.Sqrt(float64(width))) }

func (b *backend) Attention(dst, qkv, sizes backends.Tensor, heads int, p backends.Precision, score backends.Tensor, by backends.Score) {
	n, c := qkv.Rows, qkv.Cols/3
	need("Attention", heads > 0 && qkv.Cols == 3*c && c%heads == 0, "qkv is not [n, 3·heads·width]")
	need("Attention", dst.Cols == c && dst.Rows <= n, "shapes differ")
	need("Attention", sizes.IsZero() || sizes.Rows == n && sizes.Cols == 1, "sizes are not [n, 1]")
	need("Attention", p < backends.Int8 && b.carries(p), "products are of a precision that the device does not carry")
	need("Attention", score.IsZero() || (score.Rows == n-1 || score.Rows == n && by == backends.Received) && score.Cols == 1, "score is not [n-1, 1]")
	need("Attention", score.IsZero() || by == backends.CLS && dst.Rows > 0 || by == backends.Received && dst.Rows == n,
		"score lacks its queries")
	m := mixture{qkv: spanOf(qkv), sizes: spanOf(sizes), ld: qkv.Cols, dst: dst, tokens: n, heads: heads, product: p}
	if score.IsZero() {
		b.mix(&m)
		return
	}
	strips := 1
	if by == backends.Received {
		strips = parts(dst.Rows, blockQueries)
	}
	bytes := heads * strips * n * elementBytes
	m.shares, m.by = span{b.use(&b.shares, bytes), bytes}, by
	b.mix(&m)
	b.score(&m, strips, score)
}

// score makes the tokens' importance, but the first's where it is not asked for, of the
// shares that attention left.
func (b *backend) score(m *mixture, strips int, score backends.Tensor) {
	s := b.begin(attentionScores, device.Size{parts(score.Rows, blockTokens), 1, 1}, 128)
	s.add(at(m.shares.at), number(strips), at(m.qkv.at), number(m.ld), tensor(score), number(int(m.by)))
	s.add(number(m.tokens), number(m.heads), number(m.dst.Cols/m.heads), number(m.tokens-score.Rows))
	s.reads = [4]span{m.shares, m.qkv}
	s.writes = [3]span{spanOf(score)}
	b.do(s)
}
