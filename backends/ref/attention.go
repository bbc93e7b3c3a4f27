package ref

import (
	"math"

	"dynvit/backends"
)

// Attention computes, for each head and query i,
//
//	s_j = (q̂_i·k̂_j)·width^-1/2 + log sizes_j,  P_j = exp(s_j − max s),  dst_i = (Σ_j P̂_j·v̂_j)/(Σ_j P_j)
//
// where ^ rounds to p and Σ P̂_j·v̂_j, as q̂_i·k̂_j, is backends.DotHalves where the oracle is of
// half sums and p is F16. Scores come of the unrounded P_j/ΣP and v.
func (r *ref) Attention(dst, qkv, sizes backends.Tensor, heads int, p backends.Precision, score backends.Tensor, by backends.Score) {
	n, c := qkv.Rows, qkv.Cols/3
	need("Attention", heads > 0 && qkv.Cols == 3*c && c%heads == 0, "qkv is not [n, 3·heads·width]")
	need("Attention", dst.Cols == c && dst.Rows <= n, "shapes differ")
	need("Attention", p < backends.Int8, "products are f32, bf16 or f16")
	need("Attention", sizes.IsZero() || sizes.Rows == n && sizes.Cols == 1, "sizes are not [n, 1]")
	need("Attention", score.IsZero() || (score.Rows == n-1 || score.Rows == n && by == backends.Received) && score.Cols == 1, "score is not [n-1, 1]")
	need("Attention", score.IsZero() || by == backends.CLS && dst.Rows > 0 || by == backends.Received && dst.Rows == n,
		"score lacks its queries")
	operands := qkv
	operands.Host = rounded(qkv.Host, p)
	importance := make([]float64, n)
	for h := range heads {
		a := head{qkv, operands, sizes, h * (c / heads), c / heads, p, r.halfSums && p == backends.F16}
		for i := range dst.Rows {
			weights, total := a.weights(i)
			a.mix(row(dst, i)[a.first:][:a.width], weights, total)
			if by == backends.CLS && i > 0 {
				continue
			}
			for j, w := range weights {
				share := w / total
				if by == backends.Received {
					share *= a.norm(j) / float64(n)
				}
				importance[j] += float64(share / float64(heads))
			}
		}
	}
	for j := range score.Host {
		score.Host[j] = float32(importance[n-score.Rows+j])
	}
}

// head is one head's part of qkv.
type head struct {
	qkv          backends.Tensor
	operands     backends.Tensor // qkv rounded to p
	sizes        backends.Tensor // or none
	first, width int             // columns
	p            backends.Precision
	halfSums     bool
}

// The head's parts of token i are columns of its row in t: q, k, then v.
func (a head) q(t backends.Tensor, i int) []float32 { return a.columns(t, i, 0) }
func (a head) k(t backends.Tensor, i int) []float32 { return a.columns(t, i, t.Cols/3) }
func (a head) v(t backends.Tensor, i int) []float32 { return a.columns(t, i, t.Cols/3*2) }

func (a head) columns(t backends.Tensor, i, from int) []float32 {
	return row(t, i)[from+a.first:][:a.width]
}

// weights returns query i's P and its sum.
func (a head) weights(i int) (weights []float64, total float64) {
	scale, most := 1/math.Sqrt(float64(a.width)), math.Inf(-1)
	weights = make([]float64, a.qkv.Rows)
	for j := range weights {
		weights[j] = float64(a.dot(a.q(a.operands, i), a.k(a.operands, j)) * scale)
		if !a.sizes.IsZero() {
			weights[j] += math.Log(float64(a.sizes.Host[j]))
		}
		most = math.Max(most, weights[j])
	}
	for j, s := range weights {
		weights[j] = math.Exp(s - most)
		total += weights[j]
	}
	return weights, total
}

// dot multiplies operands.
func (a head) dot(q, k []float32) float64 {
	if a.halfSums {
		return float64(backends.DotHalves(0, q, k))
	}
	return dot(0, q, k)
}

func dot(sum float64, q, k []float32) float64 {
	for i, v := range q {
		sum += float64(float64(v) * float64(k[i]))
	}
	return sum
}

// mix writes Σ P̂·v̂ / ΣP.
func (a head) mix(dst []float32, weights []float64, total float64) {
	sums := make([]float64, len(dst))
	if a.halfSums {
		a.mixHalves(sums, weights)
	} else {
		a.mixFloats(sums, weights)
	}
	for i, sum := range sums {
		dst[i] = float32(sum / total)
	}
}

func (a head) mixFloats(sums, weights []float64) {
	for j, w := range weights {
		if a.p != backends.F32 {
			w = float64(a.p.Round(float32(w)))
		}
		for i, v := range a.v(a.operands, j) {
			sums[i] += float64(w * float64(v))
		}
	}
}

func (a head) mixHalves(sums, weights []float64) {
	shares, column := make([]float32, len(weights)), make([]float32, len(weights))
	for j, w := range weights {
		shares[j] = backends.RoundF16(float32(w))
	}
	for i := range sums {
		for j := range column {
			column[j] = a.v(a.operands, j)[i]
		}
		sums[i] = float64(backends.DotHalves(0, shares, column))
	}
}

// norm is ‖v_j‖.
func (a head) norm(j int) float64 {
	v := a.v(a.qkv, j)
	return math.Sqrt(dot(0, v, v))
}
