package host

import "dynvit/backends"

// A part of a Linear is about partRows rows, or as many as its kernels ask for, by
// partCols outputs: of DeiT-T's layers 30 to 250 of them, enough to keep many threads busy
// to the end, and its CLS row alone still makes 4 to 24; none below a microsecond. Where
// panels are widened first, it is about partWide rows: with partRows each was widened twice for
// dense DeiT-S, which cost 2 % of its processor time in int8 on Zen 4.
const (
	partRows = 128
	partWide = 256
	partCols = 48
)

// linear is one call of Linear as a task.
type linear struct {
	k     *Kernels
	lanes []lane

	dst, res backends.Tensor
	apart    int // from one row of dst to the next
	w        *weight
	act      backends.Act
	a        []uint32  // [rows, stride] operands
	scale    []float32 // [rows], int8; NaN where the row is not finite
	zero     []int32   // [rows], int8
	stride   int
	tiles    tiling
	panels   int // of a part
	across   int // parts beside each other

	// Where pairs is not nil, what dst would be goes there as bfloat16, two a word:
	// width columns of all rows, then the next. Of the first few panels' columns only
	// the first rows are wanted.
	pairs            []uint32
	width, few, rows int
}

func (b *driver) Linear(dst, x backends.Tensor, packed backends.Weight, act backends.Act, res backends.Tensor) {
	w, ok := packed.(*weight)
	b.need("Linear", ok, "the weight is another backend's")
	b.need("Linear", x.Cols == w.in && dst.Cols == w.out && dst.Rows == x.Rows, "shapes differ")
	b.need("Linear", res.IsZero() || (res.Rows == dst.Rows && res.Cols == dst.Cols), "residual has another shape")
	if x.Rows == 0 {
		return
	}
	b.linear = linear{dst: dst, apart: dst.Cols, res: res, w: w, act: act}
	b.product(x.Host, x.Cols, x.Rows)
}

// hiddenPad is how many numbers lie between the rows of a hidden layer, that they don't
// start a power of two apart, which few sets of a cache would have to share.
const hiddenPad = 16

// MLP implements backends.Fuser.
func (b *driver) MLP(dst, x backends.Tensor, packed1, packed2 backends.Weight) {
	fc1, ok1 := packed1.(*weight)
	fc2, ok2 := packed2.(*weight)
	b.need("MLP", ok1 && ok2, "a weight is another backend's")
	b.need("MLP", x.Cols == fc1.in && fc1.out == fc2.in && dst.Cols == fc2.out && dst.Rows == x.Rows, "shapes differ")
	if x.Rows == 0 {
		return
	}
	apart := fc1.out + hiddenPad
	grow(&b.scratch.between, x.Rows*apart)
	hidden := backends.Tensor{Rows: x.Rows, Cols: fc1.out, Host: b.scratch.between}
	b.linear = linear{dst: hidden, apart: apart, w: fc1, act: backends.GELU}
	b.product(x.Host, x.Cols, x.Rows)
	b.linear = linear{dst: dst, apart: dst.Cols, res: dst, w: fc2}
	b.product(hidden.Host, apart, x.Rows)
}

// product does what b.linear says with rows of x, stride apart.
func (b *driver) product(x []float32, stride, rows int) {
	l := &b.linear
	k := l.w.product
	l.k, l.lanes = &b.k, b.scratch.lanes
	b.convert(x, stride, rows)
	l.tiles = tile(rows, k.Heights, b.partRows(k), b.pool.threads())
	l.panels = max(1, partCols/k.Cols)
	l.across = panels(l.w.panels(), l.panels)
	b.pool.run(l, l.tiles.parts()*l.across)
}

func (b *driver) partRows(k *Product) int {
	switch {
	case b.k.PartRows > 0 && b.pool.threads() > 1:
		return b.k.PartRows
	case k.Widen != nil:
		return partWide
	}
	return partRows
}

// part does some row tiles of some panels. A thread's parts are those of a band of rows,
// and beside each other in time they share their panels, which then come from a near
// cache.
func (l *linear) part(lane, i int) {
	band, i := i/(l.tiles.blocks*l.across), i%(l.tiles.blocks*l.across)
	first := i / l.tiles.blocks * l.panels
	last := min(first+l.panels, l.w.panels())
	from, to := l.tiles.part(band, i%l.tiles.blocks)
	if from == to {
		return
	}
	direct := l.direct()
	s := &l.lanes[lane]
	s.call.AStride, s.call.Words = l.stride, l.w.product.Words(l.w.in)
	for p, n := first, 0; p < last; p += n {
		n = 1
		if p < direct && l.pairs == nil && l.w.product.Widen == nil {
			n = min(last, direct) - p
		}
		l.aim(s, p, n)
		end := to
		if p < l.few {
			end = min(to, l.tiles.holding(l.rows))
		}
		for t := from; t < end; {
			row, rows, height := l.tiles.alike(t, end)
			if p < direct {
				l.multiply(s, row, rows, height, p)
			} else {
				l.multiplyAside(s, row, rows, height, p)
			}
			t += rows / height
		}
	}
	if last = min(last, direct); first < last && l.act != backends.None {
		row, _ := l.tiles.rows(from)
		_, end := l.tiles.rows(to - 1)
		cols := l.w.product.Cols
		l.activate(l.dst.Host[row*l.apart+first*cols:], l.apart, end-row, (last-first)*cols)
	}
}

// direct is how many panels' outputs the kernel may write to dst: full ones, and none
// where dst may hold the residual that comes after the activation.
func (l *linear) direct() int {
	if l.act != backends.None && !l.res.IsZero() {
		return 0
	}
	return l.w.out / l.w.product.Cols
}

// aim sets what a kernel's arguments have in common for all rows of n panels.
func (l *linear) aim(s *lane, panel, n int) {
	c, w, cols := &s.call, l.w, l.w.product.Cols
	column := panel * cols
	c.Panels, c.Panel = n, w.packed[panel*w.panel:][:n*w.panel]
	c.Bias, c.Unit = w.bias[column:][:n*cols], w.unit[column:][:n*cols]
	if widen := w.product.Widen; widen != nil {
		widen(s.wide, c.Panel)
		next := min(panel+1, w.panels()-1) * w.panel
		c.Panel, c.Next = s.wide, w.packed[next:][:w.panel]
	}
}

// multiply writes tiles of equal height to dst, but for the activation. It sets a call's
// fields one by one: a whole new one each time took 2 % of DeiT-S in int8.
func (l *linear) multiply(s *lane, row, rows, height, panel int) {
	c := &s.call
	c.A, c.Scale, c.Zero, c.Rows, c.Tile = l.a[row*l.stride:], l.scale[row:], l.zero[row:], rows, height
	c.Res = nil
	column := panel * l.w.product.Cols
	if c.Pairs = l.pairs != nil; c.Pairs {
		part, words := column/l.width, l.width/2
		c.Dst, c.DstStride = Floats(l.pairs[(part*l.tiles.total+row)*words+column%l.width/2:]), words
		l.w.product.Mul(c)
		return
	}
	at := row*l.apart + column
	c.Dst, c.DstStride = l.dst.Host[at:], l.apart
	if !l.res.IsZero() {
		c.Res = l.res.Host[at:]
	}
	l.w.product.Mul(c)
}

// multiplyAside finishes tile by tile in scratch and copies the outputs that exist.
func (l *linear) multiplyAside(s *lane, row, rows, height, panel int) {
	c, cols := &s.call, l.w.product.Cols
	c.Dst, c.DstStride, c.Res, c.Pairs, c.Rows, c.Tile = s.tile, cols, nil, false, height, height
	for end := row + rows; row < end; row += height {
		c.A, c.Scale, c.Zero = l.a[row*l.stride:], l.scale[row:], l.zero[row:]
		l.w.product.Mul(c)
		l.finish(s.tile, row, height, panel*cols)
	}
}

// finish activates a tile of the last panel and moves it, plus the residual, to dst.
func (l *linear) finish(tile []float32, row, rows, column int) {
	cols := l.w.product.Cols
	count := min(cols, l.w.out-column)
	l.activate(tile, cols, rows, count)
	for r := range rows {
		y, at := tile[r*cols:][:count], (row+r)*l.apart+column
		if !l.res.IsZero() {
			for j, v := range l.res.Host[at:][:count] {
				y[j] += v
			}
		}
		copy(l.dst.Host[at:], y)
	}
}

func (l *linear) activate(y []float32, stride, rows, cols int) {
	switch l.act {
	case backends.GELU:
		l.k.GELU(y, stride, rows, cols)
	case backends.ReLU:
		relu(y, stride, rows, cols)
	case backends.QuickGELU:
		quickGELU(y, stride, rows, cols)
	case backends.TanhGELU:
		tanhGELU(y, stride, rows, cols)
	}
}

// relu keeps NaN.
func relu(x []float32, stride, rows, cols int) {
	for r := range rows {
		for j, v := range x[r*stride:][:cols] {
			if v < 0 {
				x[r*stride+j] = 0
			}
		}
	}
}

// convertRows rows make one part of converting a Linear's input.
const convertRows = 16

// convert makes x's rows the operands of b.linear, in scratch or as they lie, and
// sets their scales.
func (b *driver) convert(x []float32, stride, rows int) {
	l, s := &b.linear, &b.scratch
	k := l.w.product
	grow(&s.scale, rows)
	grow(&s.zero, rows)
	l.a, l.scale, l.zero, l.stride = Words(x), s.scale, s.zero, stride
	if k.Convert == nil {
		return
	}
	l.stride = k.Words(l.w.in)
	grow(&s.operands, rows*l.stride)
	l.a = s.operands
	b.conversion = conversion{l, x, stride, rows}
	b.pool.run(&b.conversion, panels(rows, convertRows))
}

// conversion makes rows of x, stride apart, the operands of a Linear.
type conversion struct {
	*linear
	x            []float32
	stride, rows int
}

func (c *conversion) part(_, i int) {
	from := i * convertRows
	to := min(from+convertRows, c.rows)
	c.w.product.Convert(c.a[from*c.linear.stride:], c.x[from*c.stride:], c.stride, to-from, c.w.in, c.scale[from:], c.zero[from:])
}
