package host

import "dynvit/backends"

// A part of a Linear is rowBlock rows by about partCols outputs. 32 rows of 192
// inputs (24 KB) stay in L1 while the part's panels pass by, 32 of 768 in L2; a
// layer of DeiT-T makes 28 to 112 parts, enough to keep many threads busy to the
// end, and its CLS row alone still makes 4 to 21.
const (
	rowBlock = 32
	partCols = 48
)

// linear is one call of Linear as a task.
type linear struct {
	k     *Kernels
	lanes []lane

	dst, res backends.Tensor
	w        *weight
	act      backends.Act
	x        []float32 // [rows, in] operands, not int8
	codes    []int8    // [rows, in] operands, int8
	scale    []float32 // [rows], int8; NaN where the row is not finite
	rows     int
	panels   int // of a part
	across   int // parts beside each other
}

func (b *driver) Linear(dst, x backends.Tensor, packed backends.Weight, act backends.Act, res backends.Tensor) {
	w, ok := packed.(*weight)
	b.need("Linear", ok, "the weight is another backend's")
	b.need("Linear", x.Cols == w.in && dst.Cols == w.out && dst.Rows == x.Rows, "shapes differ")
	b.need("Linear", res.IsZero() || (res.Rows == dst.Rows && res.Cols == dst.Cols), "residual has another shape")
	if x.Rows == 0 {
		return
	}
	l := &b.linear
	*l = linear{k: &b.k, lanes: b.scratch.lanes, dst: dst, res: res, w: w, act: act, x: x.Host, rows: x.Rows}
	switch w.precision {
	case backends.Int8:
		l.codes, l.scale = b.quantized(x)
	case backends.BF16, backends.F16:
		l.x = b.rounded(x, w.precision)
	}
	l.panels = max(1, partCols/w.cols)
	l.across = panels(w.panels(), l.panels)
	b.pool.run(l, panels(x.Rows, rowBlock)*l.across)
}

func (l *linear) part(lane, i int) {
	row, panel := i/l.across*rowBlock, i%l.across*l.panels
	rows, count := min(rowBlock, l.rows-row), min(l.panels, l.w.panels()-panel)
	tile, stride := l.lanes[lane].tile, count*l.w.cols
	if l.w.precision == backends.Int8 {
		l.productsInt8(tile, l.lanes[lane].sums, row, rows, panel, count)
	} else {
		l.products(tile, row, rows, panel, count)
	}
	for r := range rows {
		l.finish(tile[r*stride:(r+1)*stride], row+r, panel*l.w.cols)
	}
}

// products writes x·Wᵀ + b of the rows and panels to tile.
func (l *linear) products(tile []float32, row, rows, panel, count int) {
	in, cols := l.w.in, l.w.cols
	for p := range count {
		l.k.Float.Mul(tile[p*cols:], count*cols, l.x[row*in:], in, rows, in, l.w.floats[(panel+p)*in*cols:][:in*cols])
	}
	bias := l.w.bias[panel*cols:][:count*cols]
	for r := range rows {
		y := tile[r*len(bias):][:len(bias)]
		for j, v := range bias {
			y[j] += v
		}
	}
}

// productsInt8 does the same with codes: the sums are exact, scale and bias take one
// rounding together.
func (l *linear) productsInt8(tile []float32, sums []int32, row, rows, panel, count int) {
	in, cols := l.w.in, l.w.cols
	for p := range count {
		l.k.Int8.Mul(sums[p*cols:], count*cols, l.codes[row*in:], in, rows, in, l.w.codes[(panel+p)*l.w.words:][:l.w.words])
	}
	bias, scale := l.w.bias[panel*cols:][:count*cols], l.w.scale[panel*cols:][:count*cols]
	for r := range rows {
		y, acc, s := tile[r*len(bias):][:len(bias)], sums[r*len(bias):][:len(bias)], l.scale[row+r]
		for j, v := range bias {
			y[j] = backends.FMA32(float32(acc[j]), s*scale[j], v)
		}
	}
}

// finish applies activation and residual to a row's outputs from column on, and
// stores those that exist.
func (l *linear) finish(y []float32, row, column int) {
	y = y[:min(len(y), l.w.out-column)]
	switch l.act {
	case backends.GELU:
		l.k.GELU(y)
	case backends.ReLU:
		for j, v := range y {
			if v < 0 {
				y[j] = 0
			}
		}
	}
	at := row*l.w.out + column
	if !l.res.IsZero() {
		for j, v := range l.res.Host[at:][:len(y)] {
			y[j] += v
		}
	}
	copy(l.dst.Host[at:], y)
}

// operandBlock rows make one part of rounding or coding a Linear's input.
const operandBlock = 16

// rounded returns x's elements rounded to p, in scratch.
func (b *driver) rounded(x backends.Tensor, p backends.Precision) []float32 {
	grow(&b.scratch.operands, len(x.Host))
	dst := b.scratch.operands[:len(x.Host)]
	b.rounding = rounding{&b.k, dst, x.Host, operandBlock * x.Cols, p}
	b.pool.run(&b.rounding, panels(x.Rows, operandBlock))
	return dst
}

type rounding struct {
	k        *Kernels
	dst, src []float32
	block    int // elements of a part
	p        backends.Precision
}

func (r *rounding) part(_, i int) {
	from, to := i*r.block, min((i+1)*r.block, len(r.src))
	r.k.Round(r.dst[from:to], r.src[from:to], r.p)
}

// quantized returns the codes and scales of x's rows, in scratch.
func (b *driver) quantized(x backends.Tensor) ([]int8, []float32) {
	grow(&b.scratch.codes, len(x.Host))
	grow(&b.scratch.scale, x.Rows)
	b.coding = coding{&b.k, b.scratch.codes[:len(x.Host)], b.scratch.scale[:x.Rows], x}
	b.pool.run(&b.coding, panels(x.Rows, operandBlock))
	return b.coding.codes, b.coding.scale
}

type coding struct {
	k     *Kernels
	codes []int8
	scale []float32
	x     backends.Tensor
}

func (q *coding) part(_, i int) {
	n := q.x.Cols
	for r := i * operandBlock; r < min((i+1)*operandBlock, q.x.Rows); r++ {
		q.scale[r] = q.k.Quantize(q.codes[r*n:(r+1)*n], q.x.Host[r*n:(r+1)*n])
	}
}
