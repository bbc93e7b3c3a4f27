package host

import (
	"fmt"
	"slices"

	"dynvit/backends"
)

// weight is a matrix cut into panels, in the layout of its product. Outputs that fill
// up the last panel have weight, scale and bias 0.
type weight struct {
	out, in   int
	precision backends.Precision
	product   *Product
	panel     int       // words of one
	packed    []uint32  // [panels, panel]
	unit      []float32 // [panels·Cols]: scale of each output; int8
	bias      []float32 // [panels·Cols]
}

func (w *weight) Dims() (out, in int)           { return w.out, w.in }
func (w *weight) Precision() backends.Precision { return w.precision }

// panels is how many there are.
func (w *weight) panels() int { return len(w.bias) / w.product.Cols }

func (b *driver) Pack(w []float32, out, in int, bias []float32, p backends.Precision) (backends.Weight, error) {
	b.need("Pack", out > 0 && in > 0 && len(w) == out*in && (bias == nil || len(bias) == out), "lengths differ")
	if !slices.Contains(b.k.Precisions, p) {
		return nil, fmt.Errorf("%s: no kernels for %v, but for %v", b.name, p, b.k.Precisions)
	}
	k := &b.k.Products[p]
	if k.Kept != nil {
		k = k.Kept
	}
	padded := roundUp(out, k.Cols)
	b.scratch.reservePanel(k, in)
	packed := &weight{out: out, in: in, precision: p, product: k, panel: k.PanelWords(in),
		unit: make([]float32, padded), bias: make([]float32, padded)}
	packed.packed = make([]uint32, packed.panels()*packed.panel)
	copy(packed.bias, bias)
	if !b.fill(packed, w) {
		i := slices.IndexFunc(w, notFinite)
		return nil, fmt.Errorf("%s: weight [%d, %d] is %v", b.name, i/in, i%in, w[i])
	}
	b.remember(packed.packed)
	return packed, nil
}

// filling packs the rows of src, a panel a part.
type filling struct {
	*weight
	src    []float32
	rows   [][]uint32 // of each lane: a panel's
	broken []bool     // of each lane: a weight was NaN or Inf
}

// fill reports whether all of src are numbers.
func (b *driver) fill(w *weight, src []float32) bool {
	rows := make([][]uint32, b.pool.threads())
	for lane := range rows {
		rows[lane] = make([]uint32, w.product.Cols*w.product.Words(w.in))
	}
	f := filling{w, src, rows, make([]bool, len(rows))}
	b.pool.run(f, w.panels())
	return !slices.Contains(f.broken, true)
}

func (f filling) part(lane, i int) {
	k, words, rows := f.product, f.product.Words(f.in), f.rows[lane]
	clear(rows)
	first := i * k.Cols
	for j := range min(k.Cols, f.out-first) {
		scale, ok := k.Weights(rows[j*words:][:words], f.src[(first+j)*f.in:][:f.in])
		f.unit[first+j] = scale
		f.broken[lane] = f.broken[lane] || !ok
	}
	k.Pack(f.packed[i*f.panel:][:f.panel], rows, words, k.Cols, words)
}
