package cuda

import (
	"slices"

	"dynvit/backends"
	"dynvit/backends/cuda/device"
	"dynvit/backends/cuda/kernels"
)

// weight is a matrix in the layout of package kernels.
type weight struct {
	out, in           int
	precision         backends.Precision
	data, scale, sums device.Address // scale and sums of int8
	bias              device.Address // or 0
}

func (w *weight) Dims() (out, in int)           { return w.out, w.in }
func (w *weight) Precision() backends.Precision { return w.precision }

func (b *backend) Pack(w []float32, out, in int, bias []float32, p backends.Precision) (backends.Weight, error) {
	need("Pack", out > 0 && in > 0 && len(w) == out*in, "not out·in weights")
	need("Pack", bias == nil || len(bias) == out, "not out biases")
	need("Pack", b.carries(p), "precision that the device does not carry")
	if err := backends.CheckWeight("cuda", w, in); err != nil {
		return nil, err
	}
	packed := kernels.Pack(w, out, in, p)
	k := &weight{out: out, in: in, precision: p}
	for _, part := range []struct {
		into *device.Address
		data []byte
	}{{&k.data, packed.Data}, {&k.scale, bytesOf(packed.Scale)}, {&k.sums, bytesOf(packed.Sums)}, {&k.bias, bytesOf(bias)}} {
		if len(part.data) == 0 {
			continue
		}
		var err error
		if *part.into, err = b.alloc(len(part.data)); err != nil {
			return nil, err
		}
		b.upload(*part.into, part.data)
	}
	return k, b.takeLost()
}

func (b *backend) carries(p backends.Precision) bool {
	return slices.Contains(b.target.Precisions, p)
}

// How gemm stores what it computes.
const (
	asF32 = iota
	asF16
	asBF16
)

// storedAs is how products in p want their operands.
func storedAs(p backends.Precision) int {
	switch p {
	case backends.F16:
		return asF16
	case backends.BF16:
		return asBF16
	}
	return asF32
}

// Tiles of gemm: a block computes so many rows and outputs; rows of 16-bit results are
// as long as whole tiles.
const tileRows, tileOutputs = 32, 64

// product is one gemm: dst = act(x·Wᵀ + b) + res.
type product struct {
	x      span
	ldx    int
	packed bool // x is of the kernel's own 16-bit operands
	w      *weight
	act    backends.Act
	res    backends.Tensor
	dst    span
	ldy    int
	stored int
	rows   int
	ranges span // of x's rows, or none
	parts  int
	left   span // where the ranges of dst's rows go, or none
}

// Places of gemm's arguments that fold changes.
const (
	argX      = 0
	argPacked = 2
	argGamma  = 11
	argBeta   = 12
	argEps    = 13
	argRanges = 14
	argParts  = 15
	argRows   = 17
	argIn     = 18
)

func (b *backend) multiply(p *product) {
	w := p.w
	s := b.begin(gemm(w.precision), device.Size{parts(w.out, tileOutputs), parts(p.rows, tileRows), 1}, 128)
	s.add(at(p.x.at), number(p.ldx), flag(p.packed), at(w.data), at(w.scale), at(w.sums), at(w.bias), tensor(p.res))
	s.add(at(p.dst.at), number(p.ldy), number(p.stored))
	s.add(0, 0, 0) // LayerNorm: none
	s.add(at(p.ranges.at), number(p.parts), at(p.left.at))
	s.add(number(p.rows), number(w.in), number(w.out), number(int(p.act)))
	s.reads = [4]span{p.x, spanOf(p.res), p.ranges}
	s.writes = [3]span{p.dst, p.left}
	b.do(s)
}

func (b *backend) weight(method string, w backends.Weight) *weight {
	k, ok := w.(*weight)
	need(method, ok, "weight of another backend")
	return k
}

func (b *backend) Linear(dst, x backends.Tensor, packed backends.Weight, act backends.Act, res backends.Tensor) {
	w := b.weight("Linear", packed)
	need("Linear", x.Cols == w.in && dst.Cols == w.out && dst.Rows == x.Rows, "shapes differ")
	need("Linear", res.IsZero() || res.Rows == dst.Rows && res.Cols == dst.Cols, "residual has another shape")
	b.multiply(&product{x: spanOf(x), ldx: x.Cols, w: w, act: act, res: res, dst: spanOf(dst), ldy: dst.Cols, rows: x.Rows})
}
