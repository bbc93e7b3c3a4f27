// Package ref is the oracle: every operation of a backend in the plainest Go,
// summed in float64, on one goroutine, slow on purpose. It defines what the
// other backends must compute, precision by precision. Products are wrapped in
// conversions where fusing them with an addition would change bits, so that the
// results are the same on every GOARCH.
package ref

import (
	"fmt"
	"math"
	"sort"

	"dynvit/backends"
)

// Open returns the oracle. It serves everywhere; threads are ignored.
func Open(backends.Options) (backends.Backend, error) { return &ref{}, nil }

type ref struct {
	err error // first failure since the last download
}

func (*ref) Name() string { return "ref" }

func (*ref) Precisions() []backends.Precision {
	return []backends.Precision{backends.F32, backends.BF16, backends.F16, backends.Int8}
}

func (*ref) Close() error { return nil }

// weight keeps the operands as the precision rounds them.
type weight struct {
	out, in   int
	precision backends.Precision
	w         []float32 // [out, in], rounded; not for int8
	codes     []int8    // [out, in], int8
	scale     []float32 // [out], int8
	bias      []float32 // [out]
}

func (w *weight) Dims() (out, in int)           { return w.out, w.in }
func (w *weight) Precision() backends.Precision { return w.precision }

func (r *ref) Pack(w []float32, out, in int, bias []float32, p backends.Precision) (backends.Weight, error) {
	if len(w) != out*in || (bias != nil && len(bias) != out) {
		panic(fmt.Sprintf("ref: Pack: %d weights and %d biases for [%d, %d]", len(w), len(bias), out, in))
	}
	for i, v := range w {
		if v-v != 0 {
			return nil, fmt.Errorf("ref: weight %d is %v", i, v)
		}
	}
	packed := &weight{out: out, in: in, precision: p, bias: make([]float32, out)}
	copy(packed.bias, bias)
	if p == backends.Int8 {
		packed.codes, packed.scale = make([]int8, out*in), make([]float32, out)
		for o := range out {
			packed.scale[o], _ = backends.QuantizeRow(packed.codes[o*in:(o+1)*in], w[o*in:(o+1)*in])
		}
		return packed, nil
	}
	packed.w = make([]float32, out*in)
	for i, v := range w {
		packed.w[i] = p.Round(v)
	}
	return packed, nil
}

func (r *ref) Alloc(rows, cols int) (backends.Tensor, error) {
	return backends.Tensor{Rows: rows, Cols: cols, Host: make([]float32, rows*cols)}, nil
}

func (r *ref) AllocIndex(n int) (backends.Index, error) {
	return backends.Index{N: n, Host: make([]int32, n)}, nil
}

func (r *ref) View(t backends.Tensor, from, to int) backends.Tensor {
	need("View", from >= 0 && from <= to && to <= t.Rows, "rows outside the tensor")
	return backends.Tensor{Rows: to - from, Cols: t.Cols, Host: t.Host[from*t.Cols : to*t.Cols]}
}

// need panics where a shape does not fit.
func need(method string, ok bool, what string) {
	if !ok {
		panic("ref: " + method + ": " + what)
	}
}

func (r *ref) Upload(dst backends.Tensor, src []float32) {
	need("Upload", len(src) == len(dst.Host), "length differs")
	copy(dst.Host, src)
}

func (r *ref) UploadIndex(dst backends.Index, src []int32) {
	need("UploadIndex", len(src) == dst.N, "length differs")
	copy(dst.Host, src)
}

func (r *ref) Linear(dst, x backends.Tensor, packed backends.Weight, act backends.Act, res backends.Tensor) {
	w := packed.(*weight)
	need("Linear", x.Cols == w.in && dst.Cols == w.out && dst.Rows == x.Rows, "shapes differ")
	need("Linear", res.IsZero() || (res.Rows == dst.Rows && res.Cols == dst.Cols), "residual has another shape")
	codes, rounded := make([]int8, w.in), make([]float64, w.in)
	for i := range x.Rows {
		row := x.Host[i*x.Cols : (i+1)*x.Cols]
		scale, finite := float32(0), true
		if w.precision == backends.Int8 {
			scale, finite = backends.QuantizeRow(codes, row)
		}
		for j, v := range row {
			rounded[j] = float64(w.precision.Round(v))
		}
		for o := range w.out {
			var y float32
			switch {
			case !finite:
				y = float32(math.NaN())
			case w.precision == backends.Int8:
				y = w.dotInt8(codes, scale, o)
			default:
				y = w.dot(rounded, o)
			}
			y = activate(y, act)
			if !res.IsZero() {
				y += res.Host[i*dst.Cols+o]
			}
			dst.Host[i*dst.Cols+o] = y
		}
	}
}

func (w *weight) dot(x []float64, o int) float32 {
	sum := float64(w.bias[o])
	for j, v := range w.w[o*w.in : (o+1)*w.in] {
		sum += float64(x[j] * float64(v))
	}
	return float32(sum)
}

func (w *weight) dotInt8(codes []int8, scale float32, o int) float32 {
	var acc int32
	for j, v := range w.codes[o*w.in : (o+1)*w.in] {
		acc += int32(codes[j]) * int32(v)
	}
	return backends.FMA32(float32(acc), float32(scale*w.scale[o]), w.bias[o])
}

func activate(y float32, act backends.Act) float32 {
	switch act {
	case backends.GELU:
		return float32(float64(y) / 2 * (1 + math.Erf(float64(y)/math.Sqrt2)))
	case backends.ReLU:
		if y < 0 {
			return 0
		}
	}
	return y
}

func (r *ref) LayerNorm(dst, x, gamma, beta backends.Tensor, eps float32) {
	c := x.Cols
	need("LayerNorm", dst.Rows == x.Rows && dst.Cols == c && gamma.Cols == c && beta.Cols == c, "shapes differ")
	for i := range x.Rows {
		row := x.Host[i*c : (i+1)*c]
		mean, variance := 0.0, 0.0
		for _, v := range row {
			mean += float64(v) / float64(c)
		}
		for _, v := range row {
			d := float64(v) - mean
			variance += float64(d*d) / float64(c)
		}
		inverse := 1 / math.Sqrt(variance+float64(eps))
		for j, v := range row {
			y := float64((float64(v)-mean)*inverse) * float64(gamma.Host[j])
			dst.Host[i*c+j] = float32(float64(y) + float64(beta.Host[j]))
		}
	}
}

// Attention computes, for each head and query, s = (q̂·k̂)·d^-1/2, P = exp(s-max s)
// and (Σ P̂·v̂)/(Σ P), where ^ rounds to p. Scores come of the unrounded P/ΣP and v.
func (r *ref) Attention(dst, qkv backends.Tensor, heads int, p backends.Precision, score backends.Tensor, by backends.Score) {
	n, c := qkv.Rows, qkv.Cols/3
	need("Attention", qkv.Cols == 3*c && heads > 0 && c%heads == 0 && dst.Cols == c && dst.Rows <= n, "shapes differ")
	need("Attention", p != backends.Int8, "products are f32, bf16 or f16")
	need("Attention", score.IsZero() || (score.Rows == n-1 && score.Cols == 1), "score is not [n-1, 1]")
	need("Attention", score.IsZero() || by == backends.CLS || (by == backends.Received && dst.Rows == n), "score needs all queries")
	importance := make([]float64, n)
	for h := range heads {
		a := head{qkv.Host, n, c, h * (c / heads), c / heads, p}
		for q := range dst.Rows {
			weights := a.softmax(q)
			a.mix(dst.Host[q*c+a.first:][:a.width], weights)
			if by == backends.CLS && q > 0 {
				continue
			}
			for j, w := range weights {
				if by == backends.Received {
					w *= a.norm(j) / float64(n)
				}
				importance[j] += w / float64(heads)
			}
		}
	}
	if !score.IsZero() {
		for j := range score.Host {
			score.Host[j] = float32(importance[j+1])
		}
	}
}

// head is one head's part of qkv.
type head struct {
	qkv          []float32
	n, c         int
	first, width int
	p            backends.Precision
}

func (a head) row(part, i int) []float32 {
	return a.qkv[i*3*a.c+part*a.c+a.first:][:a.width]
}

// softmax returns query q's attention to each token, P/ΣP.
func (a head) softmax(q int) []float64 {
	scale := 1 / math.Sqrt(float64(a.width))
	weights := make([]float64, a.n)
	most := math.Inf(-1)
	for j := range weights {
		sum := 0.0
		for i, k := range a.row(1, j) {
			sum += float64(float64(a.p.Round(a.row(0, q)[i])) * float64(a.p.Round(k)))
		}
		weights[j] = float64(sum * scale)
		most = math.Max(most, weights[j])
	}
	total := 0.0
	for j, s := range weights {
		weights[j] = math.Exp(s - most)
		total += weights[j]
	}
	for j := range weights {
		weights[j] /= total
	}
	return weights
}

// mix writes Σ P̂·v̂ / ΣP. weights are P/ΣP; the largest P is 1, so ΣP is the
// inverse of the largest weight.
func (a head) mix(dst []float32, weights []float64) {
	largest := 0.0
	for _, w := range weights {
		largest = math.Max(largest, w)
	}
	for i := range dst {
		sum := 0.0
		for j, w := range weights {
			rounded := float64(a.p.Round(float32(w / largest)))
			sum += float64(rounded * float64(a.p.Round(a.row(2, j)[i])))
		}
		dst[i] = float32(sum * largest)
		if math.IsNaN(weights[0]) {
			dst[i] = float32(math.NaN())
		}
	}
}

// norm is ‖v_j‖ of this head.
func (a head) norm(j int) float64 {
	sum := 0.0
	for _, v := range a.row(2, j) {
		sum += float64(float64(v) * float64(v))
	}
	return math.Sqrt(sum)
}

func (r *ref) MeanHalf(x backends.Tensor) {
	need("MeanHalf", x.Cols%2 == 0, "odd number of columns")
	for j := x.Cols / 2; j < x.Cols; j++ {
		sum := 0.0
		for i := range x.Rows {
			sum += float64(x.Host[i*x.Cols+j])
		}
		for i := range x.Rows {
			x.Host[i*x.Cols+j] = float32(sum / float64(x.Rows))
		}
	}
}

func (r *ref) TopK(kept backends.Index, score backends.Tensor) {
	need("TopK", score.Cols == 1 && kept.N >= 1 && kept.N <= score.Rows+1, "shapes differ")
	order := make([]int, score.Rows)
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool {
		a, b := score.Host[order[i]], score.Host[order[j]]
		return a > b || (a == a && b != b)
	})
	best := order[:kept.N-1]
	sort.Ints(best)
	kept.Host[0] = 0
	for i, row := range best {
		kept.Host[i+1] = int32(row + 1)
	}
}

func (r *ref) Gather(dst, x backends.Tensor, kept backends.Index) {
	need("Gather", dst.Rows == kept.N && dst.Cols == x.Cols, "shapes differ")
	for i, row := range kept.Host {
		if row < 0 || int(row) >= x.Rows {
			r.fail(fmt.Errorf("ref: Gather: row %d of %d", row, x.Rows))
			continue
		}
		copy(dst.Host[i*x.Cols:(i+1)*x.Cols], x.Host[int(row)*x.Cols:])
	}
}

func (r *ref) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *ref) Unfold(dst, src backends.Tensor, g backends.Conv, from int) {
	h, w := g.Out()
	c := src.Cols
	need("Unfold", src.Rows == g.H*g.W && dst.Cols == g.Kernel*g.Kernel*c && from >= 0 && from+dst.Rows <= h*w, "shapes differ")
	for i := range dst.Rows {
		y, x := (from+i)/w, (from+i)%w
		for k := range g.Kernel * g.Kernel {
			sy, sx := y*g.Stride+k/g.Kernel-g.Pad, x*g.Stride+k%g.Kernel-g.Pad
			part := dst.Host[i*dst.Cols+k*c:][:c]
			if sy < 0 || sy >= g.H || sx < 0 || sx >= g.W {
				clear(part)
				continue
			}
			copy(part, src.Host[(sy*g.W+sx)*c:])
		}
	}
}

func (r *ref) MaxRows(dst, x backends.Tensor) {
	need("MaxRows", dst.Rows == 1 && dst.Cols == x.Cols && x.Rows >= 1, "shapes differ")
	copy(dst.Host, x.Host)
	for i, v := range x.Host {
		dst.Host[i%x.Cols] = max(dst.Host[i%x.Cols], v)
	}
}

func (r *ref) Download(dst []float32, src backends.Tensor) error {
	need("Download", len(dst) == len(src.Host), "length differs")
	copy(dst, src.Host)
	return r.taken()
}

func (r *ref) DownloadIndex(dst []int32, src backends.Index) error {
	need("DownloadIndex", len(dst) == src.N, "length differs")
	copy(dst, src.Host)
	return r.taken()
}

func (r *ref) taken() error {
	err := r.err
	r.err = nil
	return err
}
