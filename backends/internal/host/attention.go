package host

import (
	"math"

	"dynvit/backends"
)

// tokenBlock tokens of a head, about, are packed as one part of an attention; queryRows
// queries of a head, about, meet its keys and values in one. Their scores (13 KB
// at 197 tokens) stay in L1, never more than that exists; a head's packed keys or
// values (50 KB in f32) are read from L2 once for each.
const (
	tokenBlock = 48
	queryRows  = 16
)

// attention is one call of Attention. Keys become panels like a weight [n, width],
// values like a weight [width, n], so that both products run in the kernel of
// Linear.
type attention struct {
	k     *Kernels
	mul   *Product // of precision p
	lanes []lane

	dst, qkv backends.Tensor
	pairs    []uint32 // instead of qkv: q, k, v, [3, heads, n, width] bfloat16, two a word
	heads, n int
	c, width int // columns of all heads, of one
	block    int // tokens packed in a part: whole panels of keys
	tiles    tiling
	by       backends.Score
	keys     []uint32  // [heads, panels of n, panel of width inputs]
	values   []uint32  // [heads, panels of width, panel of n inputs]
	zeros    []float32 // [panels of n or of width]: no bias
	sizes    []float32 // [n], or nil
	bias     []float32 // [panels of n]: what sizes add to a logit before it is scaled
	norms    []float32 // [heads, n]: ‖v‖, if by is Received
}

// Attention allocates the first time where Reserve was not told of a block of this size.
func (b *driver) Attention(dst, qkv, sizes backends.Tensor, heads int, p backends.Precision, score backends.Tensor, by backends.Score) {
	n, c := qkv.Rows, qkv.Cols/3
	b.need("Attention", heads > 0 && qkv.Cols == 3*c && c%heads == 0 && dst.Cols == c && dst.Rows <= n, "shapes differ")
	b.need("Attention", sizes.IsZero() || sizes.Rows == n && sizes.Cols == 1, "sizes are not [n, 1]")
	b.need("Attention", p < backends.Int8, "products are f32, bf16 or f16")
	b.need("Attention", score.IsZero() || ((score.Rows == n-1 || score.Rows == n && by == backends.Received) && score.Cols == 1), "score is not [n-1, 1]")
	b.need("Attention", score.IsZero() || by == backends.CLS || (by == backends.Received && dst.Rows == n), "score needs all queries")
	if dst.Rows == 0 {
		return
	}
	if score.IsZero() {
		by = backends.NoScore
	}
	b.attention = attention{dst: dst, qkv: qkv, sizes: sizes.Host, heads: heads, n: n, c: c, by: by}
	b.attend(p)
	if by != backends.NoScore {
		b.attention.score(score.Host)
	}
}

// SelfAttention implements backends.Fuser. Where kernels can write and read
// bfloat16, q, k and v are half as long, and each head's lie together.
func (b *driver) SelfAttention(dst, x backends.Tensor, packed backends.Weight, sizes backends.Tensor, heads int, p backends.Precision) {
	w, ok := packed.(*weight)
	b.need("SelfAttention", ok, "the weight is another backend's")
	n, c := x.Rows, w.out/3
	b.need("SelfAttention", x.Cols == w.in && heads > 0 && w.out == 3*c && c%heads == 0 && dst.Cols == c && dst.Rows <= n, "shapes differ")
	b.need("SelfAttention", sizes.IsZero() || sizes.Rows == n && sizes.Cols == 1, "sizes are not [n, 1]")
	b.need("SelfAttention", p < backends.Int8, "products are f32, bf16 or f16")
	if dst.Rows == 0 {
		return
	}
	s, width := &b.scratch, c/heads
	if !w.product.Pairs || b.k.Products[p].PackPairs == nil || width%w.product.Cols != 0 {
		grow(&s.between, n*w.out)
		qkv := backends.Tensor{Rows: n, Cols: w.out, Host: s.between[:n*w.out]}
		b.Linear(qkv, x, w, backends.None, backends.Tensor{})
		b.Attention(dst, qkv, sizes, heads, p, backends.Tensor{}, backends.NoScore)
		return
	}
	grow(&s.between, n*w.out/2)
	pairs := Words(s.between)
	b.linear = linear{w: w, pairs: pairs, width: width, few: c / w.product.Cols, rows: dst.Rows}
	b.product(x.Host, x.Cols, n)
	b.attention = attention{dst: dst, pairs: pairs, sizes: sizes.Host, heads: heads, n: n, c: c}
	b.attend(p)
}

// attend does what b.attention says in precision p.
func (b *driver) attend(p backends.Precision) {
	a, s, mul := &b.attention, &b.scratch, &b.k.Products[p]
	s.reserveHeads(&b.k, a.n, a.c, a.heads)
	a.k, a.mul, a.lanes, a.width = &b.k, mul, s.lanes, a.c/a.heads
	a.keys, a.values, a.zeros, a.norms = s.keys, s.values, s.zeros, s.norms
	a.block = max(1, tokenBlock/mul.Cols) * mul.Cols
	a.bias = s.bias
	a.addSizes()
	a.tiles = tile(a.dst.Rows, mul.Heights, queryRows, 1)
	b.pool.run(packing{a}, a.heads*panels(a.n, a.block))
	if a.by != backends.NoScore {
		a.clearScores()
	}
	b.pool.run(mixing{a}, a.heads*a.tiles.parts())
}

// addSizes sets the bias of the logits.
func (a *attention) addSizes() {
	if a.sizes == nil {
		a.bias = a.zeros
		return
	}
	unscaled := math.Sqrt(float64(a.width))
	for j, size := range a.sizes {
		a.bias[j] = 0
		if size != 1 {
			a.bias[j] = float32(math.Log(float64(size)) * unscaled)
		}
	}
}

// part q (0), k (1) or v (2) of head h from token i on; rows lie 3·c apart.
func (a *attention) from(part, h, i int) []float32 {
	return a.qkv.Host[i*3*a.c+part*a.c+h*a.width:]
}

// panelOf is panel p of head h's in all, each of outputs outputs and inputs inputs.
func (a *attention) panelOf(all []uint32, h, p, outputs, inputs int) []uint32 {
	size := a.mul.PanelWords(inputs)
	return all[(h*panels(outputs, a.mul.Cols)+p)*size:][:size]
}

// panelsOf are all panels of a head.
func (a *attention) panelsOf(all []uint32, h, outputs, inputs int) []uint32 {
	size := panels(outputs, a.mul.Cols) * a.mul.PanelWords(inputs)
	return all[h*size:][:size]
}

// packing is the first task of an attention: converting and packing keys and values.
type packing struct{ *attention }

func (a packing) part(lane, i int) {
	blocks := panels(a.n, a.block)
	h, from := i/blocks, i%blocks*a.block
	to := min(from+a.block, a.n)
	for token := from; token < to; token += a.mul.Cols {
		a.packKeys(&a.lanes[lane], h, token, min(a.mul.Cols, to-token))
	}
	a.packValues(h, from, to-from)
	if a.by == backends.Received {
		for token := from; token < to; token++ {
			a.norms[h*a.n+token] = length(a.from(2, h, token)[:a.width])
		}
	}
}

// packKeys makes n tokens one panel. Products past the last token are never looked at.
func (a *attention) packKeys(l *lane, h, token, n int) {
	rows, stride := a.rows(l, 1, h, token, n)
	a.mul.Pack(a.panelOf(a.keys, h, token/a.mul.Cols, a.n, a.width), rows, stride, n, a.mul.Words(a.width))
}

// packValues makes tokens from on, n of them, inputs of each panel. from is a multiple
// of the block's length, and that of the operands in a word.
func (a *attention) packValues(h, from, n int) {
	cols := a.mul.Cols
	for p := 0; p*cols < a.width; p++ {
		panel := a.panelOf(a.values, h, p, a.width, a.n)[from/a.mul.Group*cols:]
		if a.pairs != nil {
			rows, stride := a.ready(2, h, from)
			a.mul.PackPairs(panel, rows[p*cols/2:], stride, n)
			continue
		}
		a.mul.PackRows(panel, a.from(2, h, from)[p*cols:], 3*a.c, n, min(cols, a.width-p*cols))
	}
}

// ready is what from is, where it lies as operands, and how far apart.
func (a *attention) ready(part, h, i int) (rows []uint32, stride int) {
	stride = a.width / 2
	return a.pairs[((part*a.heads+h)*a.n+i)*stride:], stride
}

// rows returns n rows of a part of head h as operands: as they lie or in l.query.
func (a *attention) rows(l *lane, part, h, i, n int) (rows []uint32, stride int) {
	if a.pairs != nil {
		return a.ready(part, h, i)
	}
	x, stride := a.from(part, h, i), 3*a.c
	if a.mul.Convert == nil {
		return Words(x), stride
	}
	a.mul.Convert(l.query, x, stride, n, a.width, nil, nil)
	return l.query, a.mul.Words(a.width)
}

// length is ‖v‖.
func length(v []float32) float32 {
	return float32(math.Sqrt(squares(v, 0)))
}

// mixing is the second task: scores, softmax and weighted values.
type mixing struct{ *attention }

func (a mixing) part(lane, i int) {
	parts := a.tiles.parts()
	h := i / parts
	first, last := a.tiles.part(0, i%parts)
	for t := first; t < last; t++ {
		from, to := a.tiles.rows(t)
		a.attend(&a.lanes[lane], h, from, to-from)
	}
}

// attend answers rows queries of head h.
func (a *attention) attend(l *lane, h, from, rows int) {
	stride := a.logits(l, h, from, rows)
	a.k.Softmax(l.score, stride, rows, a.n, float32(1/math.Sqrt(float64(a.width))), l.total)
	for r := range rows {
		if a.by == backends.Received || (a.by == backends.CLS && from+r == 0) {
			l.receive(a.k, h*a.n, l.score[r*stride:][:a.n], l.total[r])
		}
	}
	a.mix(l, h, from, rows, stride)
}

// logits writes the products of the queries with all keys to l.score and returns the
// length of its rows.
func (a *attention) logits(l *lane, h, from, rows int) (stride int) {
	query, step := a.rows(l, 0, h, from, rows)
	cols := a.mul.Cols
	stride = roundUp(a.n, cols)
	c := &l.call
	*c = Call{
		Dst: l.score, A: query, Panel: a.panelsOf(a.keys, h, a.n, a.width), Bias: a.bias,
		Panels: stride / cols, Rows: rows, Tile: rows, Words: a.mul.Words(a.width), DstStride: stride, AStride: step,
	}
	a.mul.Mul(c)
	return stride
}

// mix writes the weighted sums of the values to dst.
func (a *attention) mix(l *lane, h, from, rows, stride int) {
	weights, step := Words(l.score), stride
	if a.mul.Convert != nil {
		weights, step = l.weights, a.mul.Words(a.n)
		a.mul.Convert(weights, l.score, stride, rows, a.n, nil, nil)
	}
	cols := a.mul.Cols
	wide := roundUp(a.width, cols)
	c := &l.call
	*c = Call{
		Dst: l.mixed, A: weights, Panel: a.panelsOf(a.values, h, a.width, a.n), Bias: a.zeros,
		Panels: wide / cols, Rows: rows, Tile: rows, Words: a.mul.Words(a.n), DstStride: wide, AStride: step,
	}
	a.mul.Mul(c)
	a.k.Divide(a.dst.Host[from*a.c+h*a.width:], a.c, l.mixed, wide, rows, a.width, l.total)
}
