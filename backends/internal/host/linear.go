package host

import (
	"fmt"
	"math"

	"dynvit/backends"
)

// weight is a matrix cut into panels of tileCols outputs, their weights
// interleaved by input; the last panel is filled up with zeros.
type weight struct {
	out, in   int
	precision backends.Precision
	panels    []float32 // [panels, in, 4], rounded to the precision
	pairs     []int64   // [panels, in, 2], int8: see dotInt8
	scale     []float32 // [4·panels], int8
	bias      []float32 // [4·panels]
}

func (w *weight) Dims() (out, in int)           { return w.out, w.in }
func (w *weight) Precision() backends.Precision { return w.precision }

func (b *portable) Pack(w []float32, out, in int, bias []float32, p backends.Precision) (backends.Weight, error) {
	need("Pack", out > 0 && in > 0 && len(w) == out*in && (bias == nil || len(bias) == out), "lengths differ")
	for i, v := range w {
		if v-v != 0 {
			return nil, fmt.Errorf("portable: weight %d is %v", i, v)
		}
	}
	panels := (out + tileCols - 1) / tileCols
	packed := &weight{out: out, in: in, precision: p, bias: make([]float32, panels*tileCols)}
	copy(packed.bias, bias)
	if p == backends.Int8 {
		packed.packInt8(w, panels)
	} else {
		packed.packFloat(w, panels)
	}
	return packed, nil
}

func (w *weight) packFloat(src []float32, panels int) {
	w.panels = make([]float32, panels*w.in*tileCols)
	for o := range w.out {
		panel := w.panels[o/tileCols*w.in*tileCols:]
		for i, v := range src[o*w.in : (o+1)*w.in] {
			panel[i*tileCols+o%tileCols] = w.precision.Round(v)
		}
	}
}

func (w *weight) packInt8(src []float32, panels int) {
	w.pairs = make([]int64, panels*w.in*2)
	w.scale = make([]float32, panels*tileCols)
	codes := make([]int8, w.in)
	for o := range w.out {
		w.scale[o], _ = backends.QuantizeRow(codes, src[o*w.in:(o+1)*w.in])
		panel := w.pairs[o/tileCols*w.in*2:]
		for i, q := range codes {
			panel[2*i+o%tileCols/2] += int64(q) << (32 * (o % 2))
		}
	}
}

// Parts of a Linear: rowBlock rows by panelBlock panels. 32 rows of 768 inputs are
// 96 KB and stay in L2 while 16 panels (64 outputs) pass by; a layer of DeiT-T
// makes 21 to 84 parts, enough to keep many workers busy to the end.
const (
	rowBlock   = 32
	panelBlock = 16
)

// linear is one call of Linear as a task.
type linear struct {
	dst, x, res backends.Tensor
	w           *weight
	act         backends.Act
	codes       []int8    // [rows, in], int8
	scale       []float32 // [rows], int8; NaN where the row is not finite
	columns     int       // parts across
}

func (b *portable) Linear(dst, x backends.Tensor, packed backends.Weight, act backends.Act, res backends.Tensor) {
	w := packed.(*weight)
	need("Linear", x.Cols == w.in && dst.Cols == w.out && dst.Rows == x.Rows, "shapes differ")
	need("Linear", res.IsZero() || (res.Rows == dst.Rows && res.Cols == dst.Cols), "residual has another shape")
	if x.Rows == 0 {
		return
	}
	l := &b.linear
	*l = linear{dst: dst, x: x, res: res, w: w, act: act, codes: l.codes, scale: l.scale}
	switch w.precision {
	case backends.Int8:
		b.quantise(l)
	case backends.BF16, backends.F16:
		l.x = b.rounded(x, w.precision)
	}
	panels := len(w.bias) / tileCols
	l.columns = (panels + panelBlock - 1) / panelBlock
	b.pool.run(l, (x.Rows+rowBlock-1)/rowBlock*l.columns)
}

// quantise makes the codes of all rows once, before the parts share them.
func (b *portable) quantise(l *linear) {
	n := l.x.Rows * l.x.Cols
	if cap(l.codes) < n {
		l.codes = make([]int8, n)
	}
	if cap(l.scale) < l.x.Rows {
		l.scale = make([]float32, l.x.Rows)
	}
	l.codes, l.scale = l.codes[:n], l.scale[:l.x.Rows]
	b.quant = quantiser{l.codes, l.scale, l.x}
	b.pool.run(&b.quant, l.x.Rows)
}

type quantiser struct {
	codes []int8
	scale []float32
	x     backends.Tensor
}

func (q *quantiser) part(i int) {
	n := q.x.Cols
	scale, finite := backends.QuantizeRow(q.codes[i*n:(i+1)*n], q.x.Host[i*n:(i+1)*n])
	if !finite {
		scale = float32(math.NaN())
	}
	q.scale[i] = scale
}

// part computes one block of rows by one block of panels.
func (l *linear) part(i int) {
	row := i / l.columns * rowBlock
	rows := min(row+rowBlock, l.x.Rows)
	first := i % l.columns * panelBlock
	last := min(first+panelBlock, len(l.w.bias)/tileCols)
	for p := first; p < last; p++ {
		if l.w.precision == backends.Int8 {
			l.panelInt8(p, row, rows)
		} else {
			l.panelFloat(p, row, rows)
		}
	}
}

func (l *linear) panelFloat(p, row, rows int) {
	in := l.w.in
	panel := l.w.panels[p*in*tileCols : (p+1)*in*tileCols]
	var c [8]float32
	for ; row < rows; row += 2 {
		other := min(row+1, rows-1) // an odd last row is computed twice
		dot2x4(&c, l.x.Host[row*in:(row+1)*in], l.x.Host[other*in:(other+1)*in], panel)
		bias := l.w.bias[p*tileCols:][:tileCols]
		for r := row; r <= other; r++ {
			y := c[(r-row)*tileCols:][:tileCols]
			for j := range y {
				y[j] += bias[j]
			}
			l.finish(y, r, p*tileCols)
		}
	}
}

func (l *linear) panelInt8(p, row, rows int) {
	in := l.w.in
	panel := l.w.pairs[p*in*2 : (p+1)*in*2]
	codes := func(r int) []int8 { r = min(r, rows-1); return l.codes[r*in : (r+1)*in] }
	var c [16]int32
	var y [tileCols]float32
	for ; row < rows; row += tileRows {
		dotInt8(&c, codes(row), codes(row+1), codes(row+2), codes(row+3), panel)
		for r := row; r < min(row+tileRows, rows); r++ {
			for j := range y {
				o := p*tileCols + j
				y[j] = backends.FMA32(float32(c[(r-row)*tileCols+j]), l.scale[r]*l.w.scale[o], l.w.bias[o])
			}
			l.finish(y[:], r, p*tileCols)
		}
	}
}

// finish applies activation and residual to the outputs from column on, and
// stores those that exist.
func (l *linear) finish(y []float32, row, column int) {
	y = y[:min(len(y), l.w.out-column)]
	switch l.act {
	case backends.GELU:
		for j, v := range y {
			y[j] = gelu(v)
		}
	case backends.ReLU:
		for j, v := range y {
			if v < 0 {
				y[j] = 0
			}
		}
	}
	at := row*l.w.out + column
	if !l.res.IsZero() {
		for j, v := range l.res.Host[at : at+len(y)] {
			y[j] += v
		}
	}
	copy(l.dst.Host[at:], y)
}

// rounded returns x with every element rounded to p, in scratch.
func (b *portable) rounded(x backends.Tensor, p backends.Precision) backends.Tensor {
	if cap(b.operands) < len(x.Host) {
		b.operands = make([]float32, len(x.Host))
	}
	b.round = rounder{b.operands[:len(x.Host)], x.Host, x.Cols, p}
	b.pool.run(&b.round, x.Rows)
	return backends.Tensor{Rows: x.Rows, Cols: x.Cols, Host: b.round.dst}
}

type rounder struct {
	dst, src []float32
	cols     int
	p        backends.Precision
}

func (r *rounder) part(i int) {
	dst := r.dst[i*r.cols : (i+1)*r.cols]
	for j, v := range r.src[i*r.cols : (i+1)*r.cols] {
		dst[j] = r.p.Round(v)
	}
}
