package host

import (
	"math"

	"dynvit/backends"
)

// Parts of an attention: tokenBlock keys and values of a head to pack, then
// queryBlock queries of a head against them. The scores of a block (13 KB at 197
// tokens) stay in L1, never more than that exists; a head's packed keys or
// values (50 KB) are read from L2 once for each block.
const (
	tokenBlock = 48
	queryBlock = 16
)

// attention is one call of Attention. Keys become panels like a weight [n, width],
// values like a weight [width, n], so that both products run in the kernel of
// Linear.
type attention struct {
	k     *Kernels
	lanes []lane

	dst, qkv backends.Tensor
	heads, n int
	c, width int // columns of all heads, of one
	p        backends.Precision
	by       backends.Score
	keys     []float32 // [heads, panels, width, cols]
	values   []float32 // [heads, panels, n, cols]
	norms    []float32 // [heads, n]: ‖v‖, if by is Received
}

// Attention allocates only where scratch is too small for heads narrower than a
// panel, the first time.
func (b *driver) Attention(dst, qkv backends.Tensor, heads int, p backends.Precision, score backends.Tensor, by backends.Score) {
	n, c := qkv.Rows, qkv.Cols/3
	b.need("Attention", heads > 0 && qkv.Cols == 3*c && c%heads == 0 && dst.Cols == c && dst.Rows <= n, "shapes differ")
	b.need("Attention", p != backends.Int8, "products are f32, bf16 or f16")
	b.need("Attention", score.IsZero() || (score.Rows == n-1 && score.Cols == 1), "score is not [n-1, 1]")
	b.need("Attention", score.IsZero() || by == backends.CLS || (by == backends.Received && dst.Rows == n), "score needs all queries")
	if dst.Rows == 0 {
		return
	}
	if score.IsZero() {
		by = backends.NoScore
	}
	s := &b.scratch
	s.reserveHeads(&b.k, n, c, heads)
	a := &b.attention
	*a = attention{k: &b.k, lanes: s.lanes, dst: dst, qkv: qkv, heads: heads, n: n, c: c, width: c / heads,
		p: p, by: by, keys: s.keys, values: s.values, norms: s.norms}
	b.pool.run(packing{a}, heads*panels(n, tokenBlock))
	if by != backends.NoScore {
		a.clearScores()
	}
	b.pool.run(mixing{a}, heads*panels(dst.Rows, queryBlock))
	if by != backends.NoScore {
		a.score(score.Host)
	}
}

// row is token i's part of q (0), k (1) or v (2) of head h.
func (a *attention) row(part, h, i int) []float32 {
	return a.qkv.Host[i*3*a.c+part*a.c+h*a.width:][:a.width]
}

// panelsOf cuts head h's keys or values out of all; a panel holds cols columns of
// inputs rows, a head holds as many as columns fill.
func (a *attention) panelsOf(all []float32, h, columns, inputs int) []float32 {
	size := roundUp(columns, a.k.Float.Cols) * inputs
	return all[h*size : (h+1)*size]
}

// packing is the first task of an attention: rounding and packing keys and values.
type packing struct{ *attention }

func (a packing) part(lane, i int) {
	blocks := panels(a.n, tokenBlock)
	h, from := i/blocks, i%blocks*tokenBlock
	keys, values := a.panelsOf(a.keys, h, a.n, a.width), a.panelsOf(a.values, h, a.width, a.n)
	rounded := a.lanes[lane].query[:a.width]
	for token := from; token < min(from+tokenBlock, a.n); token++ {
		a.packKey(keys, a.operand(rounded, 1, h, token), token)
		a.packValue(values, a.operand(rounded, 2, h, token), token)
		if a.by == backends.Received {
			a.norms[h*a.n+token] = length(a.row(2, h, token))
		}
	}
}

// operand is a row rounded to the products' precision, in scratch or as it lies.
func (a *attention) operand(scratch []float32, part, h, i int) []float32 {
	row := a.row(part, h, i)
	if a.p == backends.F32 {
		return row
	}
	a.k.Round(scratch, row, a.p)
	return scratch
}

// packKey makes a key one column of its panel. Columns past the last token keep what
// they held: their products are never looked at.
func (a *attention) packKey(keys, row []float32, token int) {
	cols := a.k.Float.Cols
	panel := keys[token/cols*cols*a.width+token%cols:]
	for i, v := range row {
		panel[i*cols] = v
	}
}

// packValue makes a value one row of each panel.
func (a *attention) packValue(values, row []float32, token int) {
	cols := a.k.Float.Cols
	for p := 0; p*cols < len(row); p++ {
		copy(values[(p*a.n+token)*cols:][:cols], row[p*cols:])
	}
}

// length is ‖v‖.
func length(v []float32) float32 {
	return float32(math.Sqrt(squares(v, 0)))
}

// mixing is the second task: scores, softmax and weighted values.
type mixing struct{ *attention }

func (a mixing) part(lane, i int) {
	blocks := panels(a.dst.Rows, queryBlock)
	h, from := i/blocks, i%blocks*queryBlock
	rows := min(queryBlock, a.dst.Rows-from)
	l := &a.lanes[lane]
	stride := a.logits(l, h, from, rows)
	scale := float32(1 / math.Sqrt(float64(a.width)))
	for r := range rows {
		weights := l.score[r*stride:][:a.n]
		l.total[r] = a.k.Softmax(weights, scale)
		if a.by == backends.Received || (a.by == backends.CLS && from+r == 0) {
			l.receive(h*a.n, weights, l.total[r])
		}
		if a.p != backends.F32 {
			a.k.Round(weights, weights, a.p)
		}
	}
	a.mix(l, h, from, rows, stride)
}

// logits writes the products of the queries with all keys to l.score and returns the
// length of its rows.
func (a *attention) logits(l *lane, h, from, rows int) (stride int) {
	query, step := a.qkv.Host[from*3*a.c+h*a.width:], 3*a.c
	if a.p != backends.F32 {
		for r := range rows {
			a.k.Round(l.query[r*a.width:][:a.width], a.row(0, h, from+r), a.p)
		}
		query, step = l.query, a.width
	}
	cols := a.k.Float.Cols
	keys := a.panelsOf(a.keys, h, a.n, a.width)
	stride = roundUp(a.n, cols)
	for p := 0; p < stride; p += cols {
		a.k.Float.Mul(l.score[p:], stride, query, step, rows, a.width, keys[p*a.width:])
	}
	return stride
}

// mix writes the weighted sums of the values to dst.
func (a *attention) mix(l *lane, h, from, rows, stride int) {
	cols := a.k.Float.Cols
	values := a.panelsOf(a.values, h, a.width, a.n)
	wide := roundUp(a.width, cols)
	for p := 0; p < wide; p += cols {
		a.k.Float.Mul(l.mixed[p:], wide, l.score, stride, rows, a.n, values[p*a.n:])
	}
	for r := range rows {
		dst, inverse := a.dst.Host[(from+r)*a.c+h*a.width:][:a.width], 1/l.total[r]
		for j, v := range l.mixed[r*wide:][:a.width] {
			dst[j] = v * inverse
		}
	}
}

// unit is 1 in the fixed-point numbers of lane.received: 2⁻⁴⁰ is far below what a
// float32 weight resolves, and sums of 2²³ queries fit.
const unit = 1 << 40

// receive adds a query's attention to what the tokens of a head received, at being the
// head's place. Integers, because the lanes' sums must add up to the same
// whichever lane saw which query.
func (l *lane) receive(at int, weights []float32, total float32) {
	if total != total {
		l.broken = true
		return
	}
	share := unit / total
	received := l.received[at:][:len(weights)]
	for j, w := range weights {
		received[j] += int64(w * share)
	}
}

func (a *attention) clearScores() {
	for i := range a.lanes {
		a.lanes[i].broken = false
		clear(a.lanes[i].received[:a.heads*a.n])
	}
}

// score writes the importance of the patches: what each received, over the heads.
func (a *attention) score(dst []float32) {
	broken := false
	for i := range a.lanes {
		broken = broken || a.lanes[i].broken
	}
	for j := range dst {
		total := 0.0
		for h := range a.heads {
			total += a.importance(h, j+1)
		}
		dst[j] = float32(total / float64(a.heads))
		if broken {
			dst[j] = float32(math.NaN())
		}
	}
}

// importance is what a token received of one head, as by says.
func (a *attention) importance(h, token int) float64 {
	var received int64
	for i := range a.lanes {
		received += a.lanes[i].received[h*a.n+token]
	}
	if a.by == backends.CLS {
		return float64(received) / unit
	}
	return float64(received) / unit * float64(a.norms[h*a.n+token]) / float64(a.n)
}
