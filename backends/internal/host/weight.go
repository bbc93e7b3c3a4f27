package host

import (
	"fmt"
	"slices"

	"dynvit/backends"
)

// weight is a matrix cut into panels of cols outputs, in the layout of its kernel.
// Outputs that fill up the last panel have weight, scale and bias 0.
type weight struct {
	out, in   int
	precision backends.Precision
	cols      int       // outputs of a panel
	floats    []float32 // [panels, in, cols], rounded to the precision; not int8
	codes     []uint64  // [panels, words], int8
	words     int       // of a panel, int8
	scale     []float32 // [panels·cols], int8
	bias      []float32 // [panels·cols]
}

func (w *weight) Dims() (out, in int)           { return w.out, w.in }
func (w *weight) Precision() backends.Precision { return w.precision }

// panels is how many there are.
func (w *weight) panels() int { return len(w.bias) / w.cols }

func (b *driver) Pack(w []float32, out, in int, bias []float32, p backends.Precision) (backends.Weight, error) {
	b.need("Pack", out > 0 && in > 0 && len(w) == out*in && (bias == nil || len(bias) == out), "lengths differ")
	if !slices.Contains(b.k.Precisions, p) {
		return nil, fmt.Errorf("%s: no kernels for %v", b.name, p)
	}
	for i, v := range w {
		if v-v != 0 {
			return nil, fmt.Errorf("%s: weight [%d, %d] is %v", b.name, i/in, i%in, v)
		}
	}
	packed := &weight{out: out, in: in, precision: p}
	if p == backends.Int8 {
		packed.packInt8(&b.k.Int8, w)
	} else {
		packed.packFloat(&b.k.Float, w)
	}
	packed.bias = make([]float32, roundUp(out, packed.cols))
	copy(packed.bias, bias)
	return packed, nil
}

func (w *weight) packFloat(k *Float, src []float32) {
	w.cols = k.Cols
	w.floats = make([]float32, roundUp(w.out, w.cols)*w.in)
	for o := range w.out {
		panel := w.floats[o/w.cols*w.in*w.cols:]
		for i, v := range src[o*w.in : (o+1)*w.in] {
			panel[i*w.cols+o%w.cols] = w.precision.Round(v)
		}
	}
}

func (w *weight) packInt8(k *Int8, src []float32) {
	w.cols, w.words = k.Cols, k.Words(w.in)
	w.codes = make([]uint64, panels(w.out, w.cols)*w.words)
	w.scale = make([]float32, roundUp(w.out, w.cols))
	row := make([]int8, w.in)
	for o := range w.out {
		w.scale[o], _ = backends.QuantizeRow(row, src[o*w.in:(o+1)*w.in]) // finite: checked above
		k.Pack(w.codes[o/w.cols*w.words:][:w.words], o%w.cols, row)
	}
}
