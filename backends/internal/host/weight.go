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
	if err := backends.CheckWeight(b.name, w, in); err != nil {
		return nil, err
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
	b.fill(packed, w)
	b.remember(packed.packed)
	return packed, nil
}

// filling packs the rows of src, a panel a part.
type filling struct {
	*weight
	src  []float32
	rows [][]uint32 // of each lane: a panel's
}

func (b *driver) fill(w *weight, src []float32) {
	rows := make([][]uint32, b.pool.threads())
	for lane := range rows {
		rows[lane] = make([]uint32, w.product.Cols*w.product.Words(w.in))
	}
	b.pool.run(filling{w, src, rows}, w.panels())
}

func (f filling) part(lane, i int) {
	k, words, rows := f.product, f.product.Words(f.in), f.rows[lane]
	clear(rows)
	first := i * k.Cols
	for j := range min(k.Cols, f.out-first) {
		f.unit[first+j] = k.Weights(rows[j*words:][:words], f.src[(first+j)*f.in:][:f.in])
	}
	k.Pack(f.packed[i*f.panel:][:f.panel], rows, words, k.Cols, words)
}
