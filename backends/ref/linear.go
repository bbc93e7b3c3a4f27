package ref

import (
	"math"

	"dynvit/backends"
)

// weight keeps the operands as the precision rounds them.
type weight struct {
	out, in   int
	precision backends.Precision
	halfSums  bool      // f16
	w         []float32 // [out, in], rounded; not for int8
	codes     []int8    // [out, in], int8
	scale     []float32 // [out], int8
	bias      []float32 // [out]
}

func (w *weight) Dims() (out, in int)           { return w.out, w.in }
func (w *weight) Precision() backends.Precision { return w.precision }

func (r *ref) Pack(w []float32, out, in int, bias []float32, p backends.Precision) (backends.Weight, error) {
	need("Pack", out > 0 && in > 0 && len(w) == out*in, "not out·in weights")
	need("Pack", bias == nil || len(bias) == out, "not out biases")
	need("Pack", p <= backends.Int8, "unknown precision")
	if err := backends.CheckWeight("ref", w, in); err != nil {
		return nil, err
	}
	packed := &weight{out: out, in: in, precision: p, halfSums: r.halfSums && p == backends.F16, bias: make([]float32, out)}
	copy(packed.bias, bias)
	if p == backends.Int8 {
		packed.quantize(w)
		return packed, nil
	}
	packed.w = rounded(w, p)
	return packed, nil
}

// rounded is a copy of x as operands of p.
func rounded(x []float32, p backends.Precision) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = p.Round(v)
	}
	return y
}

// quantize makes the codes of each output, with a scale of its own.
func (w *weight) quantize(src []float32) {
	w.codes, w.scale = make([]int8, w.out*w.in), make([]float32, w.out)
	for o := range w.out {
		w.scale[o], _ = backends.QuantizeRow(w.codes[o*w.in:], src[o*w.in:(o+1)*w.in])
	}
}

func (r *ref) Linear(dst, x backends.Tensor, packed backends.Weight, act backends.Act, res backends.Tensor) {
	w, ok := packed.(*weight)
	need("Linear", ok, "weight of another backend")
	need("Linear", x.Cols == w.in && dst.Cols == w.out && dst.Rows == x.Rows, "shapes differ")
	need("Linear", res.IsZero() || res.Rows == dst.Rows && res.Cols == dst.Cols, "residual has another shape")
	for i := range x.Rows {
		y := row(dst, i)
		for o, v := range w.times(row(x, i)) {
			v = activate(v, act)
			if !res.IsZero() {
				v += row(res, i)[o]
			}
			y[o] = v
		}
	}
}

// times is W·x + b of one row of x.
func (w *weight) times(x []float32) []float32 {
	if w.precision == backends.Int8 {
		return w.timesInt8(x)
	}
	x = rounded(x, w.precision)
	y := make([]float32, w.out)
	o := 0
	for ; o+4 <= w.out && !w.halfSums; o += 4 {
		w.dots(y[o:o+4], o, x)
	}
	for ; o < w.out; o++ {
		y[o] = w.dot(o, x)
	}
	return y
}

// dots is dot of four outputs, whose sums don't wait for each other's (a frame of DeiT-T takes 0.55 of the time).
func (w *weight) dots(y []float32, o int, x []float32) {
	n := len(x)
	w0, w1, w2, w3 := w.w[o*n:][:n], w.w[(o+1)*n:][:n], w.w[(o+2)*n:][:n], w.w[(o+3)*n:][:n]
	s0, s1, s2, s3 := float64(w.bias[o]), float64(w.bias[o+1]), float64(w.bias[o+2]), float64(w.bias[o+3])
	for i, v := range x {
		v := float64(v)
		s0 += float64(v * float64(w0[i]))
		s1 += float64(v * float64(w1[i]))
		s2 += float64(v * float64(w2[i]))
		s3 += float64(v * float64(w3[i]))
	}
	y[0], y[1], y[2], y[3] = float32(s0), float32(s1), float32(s2), float32(s3)
}

// dot is output o of operands x.
func (w *weight) dot(o int, x []float32) float32 {
	row := w.w[o*w.in : (o+1)*w.in]
	if w.halfSums {
		return backends.DotHalves(w.bias[o], x, row)
	}
	return float32(dot(float64(w.bias[o]), x, row))
}

func (w *weight) timesInt8(x []float32) []float32 {
	codes := make([]uint8, w.in)
	scale, zero, finite := backends.QuantizeInput(codes, x)
	if !finite {
		scale = float32(math.NaN()) // and so is all that it scales
	}
	y := make([]float32, w.out)
	for o := range y {
		var sum int32
		for j, q := range w.codes[o*w.in : (o+1)*w.in] {
			sum += (int32(codes[j]) - int32(zero)) * int32(q)
		}
		y[o] = backends.FMA32(float32(sum), float32(scale*w.scale[o]), w.bias[o])
	}
	return y
}

func activate(y float32, act backends.Act) float32 {
	switch act {
	case backends.GELU:
		return float32(float64(y) / 2 * (1 + math.Erf(float64(y)/math.Sqrt2)))
	case backends.QuickGELU:
		return float32(float64(y) / (1 + math.Exp(-1.702*float64(y))))
	case backends.TanhGELU:
		x := float64(y)
		cubic := x + float64(0.044715*float64(x*float64(x*x)))
		return float32(x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*cubic)))
	case backends.ReLU:
		if y < 0 { // NaN stays
			return 0
		}
	}
	return y
}
