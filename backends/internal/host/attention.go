package host

import (
	"math"

	"dynvit/backends"
)

// queryBlock is how many queries of a head make one part: their keys and values
// (100 KB at 197 tokens) are read from L2 once for each.
const queryBlock = 16

// attention is one call of Attention as a task. A part is one block of queries of one head;
// its scores live in a row of the scratch, never as a whole matrix.
type attention struct {
	dst, qkv    backends.Tensor // qkv as given
	operands    []float32       // qkv, rounded to the products' precision
	heads       int
	p           backends.Precision
	by          backends.Score
	blocks      int       // query blocks of a head
	weights     []float32 // [parts, n] scratch: one query's attention
	received    []float32 // [parts, n]: attention summed over the block's queries
	norms       []float32 // [heads, n]: ‖v‖ (Received only)
	width, c, n int
}

func (b *portable) Attention(dst, qkv backends.Tensor, heads int, p backends.Precision, score backends.Tensor, by backends.Score) {
	n, c := qkv.Rows, qkv.Cols/3
	need("Attention", heads > 0 && qkv.Cols == 3*c && c%heads == 0 && dst.Cols == c && dst.Rows <= n, "shapes differ")
	need("Attention", p != backends.Int8, "products are f32, bf16 or f16")
	need("Attention", score.IsZero() || (score.Rows == n-1 && score.Cols == 1), "score is not [n-1, 1]")
	need("Attention", score.IsZero() || by == backends.CLS || (by == backends.Received && dst.Rows == n), "score needs all queries")
	if dst.Rows == 0 {
		return
	}
	if score.IsZero() {
		by = backends.NoScore
	}
	a := &b.attention
	*a = attention{dst: dst, qkv: qkv, operands: qkv.Host, heads: heads, p: p, by: by, width: c / heads, c: c, n: n,
		weights: a.weights, received: a.received, norms: a.norms}
	if p != backends.F32 {
		a.operands = b.rounded(qkv, p).Host
	}
	a.blocks = (dst.Rows + queryBlock - 1) / queryBlock
	parts := heads * a.blocks
	a.weights = grow(a.weights, parts*n)
	a.received = grow(a.received, parts*n)
	if by == backends.Received {
		a.norms = grow(a.norms, heads*n)
	}
	b.pool.run(a, parts)
	if !score.IsZero() {
		a.score(score.Host)
	}
}

func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

func (a *attention) part(i int) {
	h, block := i/a.blocks, i%a.blocks
	weights, received := a.weights[i*a.n:(i+1)*a.n], a.received[i*a.n:(i+1)*a.n]
	clear(received)
	if a.by == backends.Received && block == 0 {
		a.valueNorms(h)
	}
	for q := block * queryBlock; q < min((block+1)*queryBlock, a.dst.Rows); q++ {
		most := a.logits(weights, h, q)
		total := softmax(weights, most)
		if a.by == backends.Received || (a.by == backends.CLS && q == 0) {
			for j, w := range weights {
				received[j] += w / total
			}
		}
		for j, w := range weights {
			weights[j] = a.p.Round(w)
		}
		a.mix(a.dst.Host[q*a.c+h*a.width:][:a.width], weights, h, 1/total)
	}
}

// row is token i's part of q (0), k (1) or v (2) of head h.
func (a *attention) row(from []float32, part, h, i int) []float32 {
	return from[i*3*a.c+part*a.c+h*a.width:][:a.width]
}

// logits writes query q's scaled products with every key and returns the largest.
func (a *attention) logits(dst []float32, h, q int) float32 {
	scale := float32(1 / math.Sqrt(float64(a.width)))
	query := a.row(a.operands, 0, h, q)
	most := float32(math.Inf(-1))
	j := 0
	for ; j+4 <= a.n; j += 4 {
		d := dot4(query, a.row(a.operands, 1, h, j), a.row(a.operands, 1, h, j+1), a.row(a.operands, 1, h, j+2), a.row(a.operands, 1, h, j+3))
		for i, s := range d {
			dst[j+i] = s * scale
			most = max(most, dst[j+i])
		}
	}
	for ; j < a.n; j++ {
		k := a.row(a.operands, 1, h, j)
		dst[j] = dot4(query, k, k, k, k)[0] * scale
		most = max(most, dst[j])
	}
	return most
}

// dot4 is one query's products with four keys, four inputs at a time as in dot2x4.
func dot4(q, k0, k1, k2, k3 []float32) [4]float32 {
	var s0, s1, s2, s3 float32
	for len(q) >= 4 && len(k0) >= 4 && len(k1) >= 4 && len(k2) >= 4 && len(k3) >= 4 {
		v, a, b, c, d := (*[4]float32)(q), (*[4]float32)(k0), (*[4]float32)(k1), (*[4]float32)(k2), (*[4]float32)(k3)
		s0 += v[0]*a[0] + v[1]*a[1] + v[2]*a[2] + v[3]*a[3]
		s1 += v[0]*b[0] + v[1]*b[1] + v[2]*b[2] + v[3]*b[3]
		s2 += v[0]*c[0] + v[1]*c[1] + v[2]*c[2] + v[3]*c[3]
		s3 += v[0]*d[0] + v[1]*d[1] + v[2]*d[2] + v[3]*d[3]
		q, k0, k1, k2, k3 = q[4:], k0[4:], k1[4:], k2[4:], k3[4:]
	}
	for i, v := range q {
		s0 += v * k0[i]
		s1 += v * k1[i]
		s2 += v * k2[i]
		s3 += v * k3[i]
	}
	return [4]float32{s0, s1, s2, s3}
}

// softmax replaces logits by exp(s-most) and returns their sum.
func softmax(s []float32, most float32) (total float32) {
	for j, v := range s {
		s[j] = exp(v - most)
		total += s[j]
	}
	return total
}

// mix writes Σ weights·v · inverse.
func (a *attention) mix(dst, weights []float32, h int, inverse float32) {
	values := a.operands[2*a.c+h*a.width:]
	i := 0
	for ; i+4 <= len(dst); i += 4 {
		var s0, s1, s2, s3 float32
		at := i
		for _, w := range weights {
			v := (*[4]float32)(values[at:])
			s0 += w * v[0]
			s1 += w * v[1]
			s2 += w * v[2]
			s3 += w * v[3]
			at += 3 * a.c
		}
		dst[i], dst[i+1], dst[i+2], dst[i+3] = s0*inverse, s1*inverse, s2*inverse, s3*inverse
	}
	for ; i < len(dst); i++ {
		var s float32
		for j, w := range weights {
			s += w * values[j*3*a.c+i]
		}
		dst[i] = s * inverse
	}
}

func (a *attention) valueNorms(h int) {
	for j := range a.n {
		sum := float32(0)
		for _, v := range a.row(a.qkv.Host, 2, h, j) {
			sum += v * v
		}
		a.norms[h*a.n+j] = float32(math.Sqrt(float64(sum)))
	}
}

// score adds up what the parts saw, in their order, so that the number of threads
// does not change a bit.
func (a *attention) score(dst []float32) {
	clear(dst)
	for i := range a.heads * a.blocks {
		h := i / a.blocks
		for j := range dst {
			w := a.received[i*a.n+j+1]
			if a.by == backends.Received {
				w *= a.norms[h*a.n+j+1] / float32(a.n)
			}
			dst[j] += w / float32(a.heads)
		}
	}
}
