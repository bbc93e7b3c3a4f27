// Package hosttest holds a table of kernels to its twin in plain Go and to the
// definitions of package backends, at every length around a vector and a tile,
// on memory that ends where a page does that cannot be read.
package hosttest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"dynvit/backends"
	"dynvit/backends/internal/host"
	"dynvit/internal/guardpage"
)

// Run checks all entries of a table.
func Run(t *testing.T, k host.Kernels) {
	for _, p := range k.Precisions {
		t.Run(fmt.Sprintf("Convert/%v", p), func(t *testing.T) { convert(t, k.Products[p], p) })
		t.Run(fmt.Sprintf("Mul/%v", p), func(t *testing.T) { mul(t, k.Products[p], p) })
		if kept := k.Products[p].Kept; kept != nil {
			t.Run(fmt.Sprintf("Mul/%v/kept", p), func(t *testing.T) { mul(t, *kept, p) })
		}
		if k.Products[p].PackRows != nil {
			t.Run(fmt.Sprintf("PackRows/%v", p), func(t *testing.T) { packRows(t, k.Products[p]) })
		}
		if k.Products[p].PackPairs != nil {
			t.Run(fmt.Sprintf("PackPairs/%v", p), func(t *testing.T) { packPairs(t, k.Products[p]) })
		}
		t.Run(fmt.Sprintf("Peak/%v", p), func(t *testing.T) { peak(t, k, p) })
	}
	twin := host.Portable()
	t.Run("Softmax", func(t *testing.T) { softmax(t, k, twin) })
	t.Run("Exp", func(t *testing.T) { exponential(t, k) })
	t.Run("GELU", func(t *testing.T) { gelu(t, k) })
	t.Run("Normal", func(t *testing.T) { normal(t, k) })
	t.Run("Norm", func(t *testing.T) { norm(t, k, twin) })
	t.Run("Divide", func(t *testing.T) { divide(t, k) })
	t.Run("Add", func(t *testing.T) { add(t, k) })
	t.Run("AddHeads", func(t *testing.T) { addHeads(t, k) })
	t.Run("Receive", func(t *testing.T) { receive(t, k) })
	t.Run("Allocations", func(t *testing.T) { allocations(t, k) })
}

// most is beyond two vectors of 16 and a tail, longest beyond two rounds of 64 codes.
const (
	most    = 50
	longest = 150
)

func random(n int) []float32 {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// near is a relative difference that float32 arithmetic in another order may make.
func near(a, b float32, limit float64) bool {
	d := math.Abs(float64(a) - float64(b))
	return a == b || d <= limit*max(1, math.Abs(float64(b))) || a != a && b != b
}

// inputs are what a row of activations is as operands, and the scale they are to be
// multiplied with.
func inputs(row []float32, p backends.Precision) (values []float32, scale float32) {
	if p != backends.Int8 {
		return rounded(row, p), 1
	}
	codes := make([]uint8, len(row))
	scale, zero, ok := backends.QuantizeInput(codes, row)
	if !ok {
		scale = float32(math.NaN())
	}
	for _, c := range codes {
		values = append(values, float32(c)-float32(zero))
	}
	return values, scale
}

// weights is the same for a row of weights.
func weights(row []float32, p backends.Precision) (values []float32, scale float32) {
	if p != backends.Int8 {
		return rounded(row, p), 1
	}
	codes := make([]int8, len(row))
	scale, _ = backends.QuantizeRow(codes, row)
	for _, c := range codes {
		values = append(values, float32(c))
	}
	return values, scale
}

func rounded(row []float32, p backends.Precision) (values []float32) {
	for _, v := range row {
		values = append(values, p.Round(v))
	}
	return values
}

// converted are rows of activations as the kernel wants them, and their scales and zero
// points.
func converted(t *testing.T, k host.Product, src []float32, stride, rows, cols int) (dst []uint32, scale []float32, zero []int32) {
	t.Helper()
	dst, scale, zero = guardpage.Ending[uint32](t, rows*k.Words(cols)), guardpage.Ending[float32](t, rows), guardpage.Ending[int32](t, rows)
	if k.Convert == nil {
		for r := range rows {
			copy(dst[r*cols:][:cols], host.Words(src[r*stride:]))
		}
		return dst, scale, zero
	}
	for i := range dst {
		dst[i] = 0xdeadbeef // what it does not write is seen
	}
	k.Convert(dst, src, stride, rows, cols, scale, zero)
	return dst, scale, zero
}

// convert: the scale of every row; mul sees the operands. Rows beside each other become
// what each becomes alone.
func convert(t *testing.T, k host.Product, p backends.Precision) {
	for n := 1; n <= longest; n++ {
		const rows = 7
		stride := n + 5
		src := guardpage.Copied(t, random((rows-1)*stride+n))
		row := func(r int) []float32 { return src[r*stride:][:n] }
		clear(row(1))
		row(2)[n-1] = float32(math.Inf(1))
		row(3)[n/2] = float32(math.NaN())
		row(4)[n-1] = float32(math.Inf(-1))
		for i, v := range row(5) {
			row(5)[i] = -v * v // none above 0
		}
		got, scale, zero := converted(t, k, src, stride, rows, n)
		for r := range rows {
			alone, scaleAlone, zeroAlone := converted(t, k, row(r), n, 1, n)
			if !slices.Equal(got[r*len(alone):][:len(alone)], alone) || zero[r] != zeroAlone[0] || !near(scale[r], scaleAlone[0], 0) {
				t.Errorf("%d elements: row %d of %d differs from the same alone", n, r, rows)
			}
			if _, want := inputs(row(r), p); k.Codes && !near(scale[r], want, 0) {
				t.Errorf("%d elements, row %d: scale %v, want %v", n, r, scale[r], want)
			}
		}
	}
}

// mul compares whole calls with sums in float64, or exact ones, for every height of a
// tile, alone and with others below, and every tail of inputs.
func mul(t *testing.T, k host.Product, p backends.Precision) {
	for in := 1; in <= most; in++ {
		Mul(t, k, p, in, k.Heights)
	}
}

// Mul is Run's check of products of so many inputs in tiles of some heights.
func Mul(t *testing.T, k host.Product, p backends.Precision, in int, heights []int) {
	t.Run(fmt.Sprint(in), func(t *testing.T) { mulInputs(t, k, p, in, heights) }) // and its memory goes
}

func mulInputs(t *testing.T, k host.Product, p backends.Precision, in int, heights []int) {
	weights := make([][]float32, k.Cols)
	for j := range weights {
		weights[j] = random(in + 100*j)[100*j:]
	}
	panel, unit := packed(t, k, weights)
	panel = widened(t, k, panel, in)
	bias := guardpage.Copied(t, random(k.Cols))
	for _, height := range heights {
		oneCall(t, k, p, height, 1, in, weights, panel, unit, bias, height%2 == 0)
		if in%6 == 0 {
			oneCall(t, k, p, height, 2+in%5, in, weights, panel, unit, bias, height%2 != 0)
		}
	}
}

// widened is a panel as Mul reads it, which is kept in a byte a weight, or two.
func widened(t *testing.T, k host.Product, panel []uint32, in int) []uint32 {
	t.Helper()
	if k.Widen == nil {
		return panel
	}
	size := 2
	if k.Codes {
		size = 1
	}
	if weights, kept := k.Cols*in, 4*len(panel); size*weights+8*k.Cols < kept {
		t.Errorf("%d weights are kept in %d bytes", weights, kept)
	}
	wide := guardpage.Ending[uint32](t, k.WideWords(in))
	k.Widen(wide, panel)
	return wide
}

// packed is the panel of weights and the scale of each output.
func packed(t *testing.T, k host.Product, rows [][]float32) (panel []uint32, unit []float32) {
	t.Helper()
	in := len(rows[0])
	stride := k.Words(in) + 3
	all := guardpage.Ending[uint32](t, (len(rows)-1)*stride+k.Words(in))
	unit = guardpage.Ending[float32](t, len(rows))
	for j, w := range rows {
		unit[j] = k.Weights(all[j*stride:][:k.Words(in)], w)
	}
	panel = guardpage.Ending[uint32](t, k.PanelWords(in))
	k.Pack(panel, all, stride, len(rows), k.Words(in))
	return panel, unit
}

func oneCall(t *testing.T, k host.Product, p backends.Precision, height, tiles, in int, weights [][]float32, panel []uint32, unit, bias []float32, residual bool) {
	t.Helper()
	rows, aStride, dstStride := height*tiles, k.Words(in)+1, k.Cols+5
	c := host.Call{
		Dst: guardpage.Ending[float32](t, (rows-1)*dstStride+k.Cols), A: guardpage.Ending[uint32](t, (rows-1)*aStride+k.Words(in)),
		Panel: panel, Bias: bias, Panels: 1, Rows: rows, Tile: height, Words: k.Words(in), DstStride: dstStride, AStride: aStride,
	}
	if p == backends.Int8 {
		c.Scale, c.Zero, c.Unit = guardpage.Ending[float32](t, rows), guardpage.Ending[int32](t, rows), unit
	}
	const sentinel = -987.25
	for i := range c.Dst {
		c.Dst[i] = sentinel
	}
	x := make([][]float32, rows)
	for r := range rows {
		x[r] = random(in + 1000*(r+1))[1000*(r+1):]
		row, scale, zero := converted(t, k, guardpage.Copied(t, x[r]), in, 1, in)
		copy(c.A[r*aStride:], row)
		if p == backends.Int8 {
			c.Scale[r], c.Zero[r] = scale[0], zero[0]
		}
	}
	if residual {
		c.Res = guardpage.Copied(t, random(len(c.Dst)))
	}
	k.Mul(&c)
	beside(t, k, c)
	if k.Pairs && !residual {
		pairs(t, k, c)
	}
	for r := range rows {
		for j := range k.Cols {
			want := expected(p, k.HalfSums, x[r], weights[j], bias[j])
			if residual {
				want += c.Res[r*dstStride+j]
			}
			if got := c.Dst[r*dstStride+j]; (p == backends.Int8 || k.HalfSums) && got != want || !near(got, want, 2e-6*math.Sqrt(float64(in))) {
				t.Errorf("%d rows, %d inputs: [%d, %d] is %v, want %v", rows, in, r, j, got, want)
				return
			}
		}
		for j := k.Cols; j < dstStride && r < rows-1; j++ {
			if c.Dst[r*dstStride+j] != sentinel {
				t.Errorf("%d rows: wrote beside row %d", rows, r)
			}
		}
	}
}

// beside: panels of one call give what each gives in one of its own.
func beside(t *testing.T, k host.Product, c host.Call) {
	t.Helper()
	const n = 3
	one := c
	c.Panels, c.DstStride = n, n*k.Cols+1
	c.Panel, c.Bias = guardpage.Copied(t, slices.Repeat(c.Panel, n)), guardpage.Copied(t, slices.Repeat(c.Bias, n))
	if c.Unit != nil {
		c.Unit = guardpage.Copied(t, slices.Repeat(c.Unit, n))
	}
	for i := range k.Cols { // what is of its own, the middle one's
		c.Bias[k.Cols+i] *= 2
		if c.Unit != nil {
			c.Unit[k.Cols+i] *= 2
		}
	}
	c.Dst = guardpage.Ending[float32](t, (c.Rows-1)*c.DstStride+n*k.Cols)
	if c.Res != nil {
		c.Res = guardpage.Copied(t, random(len(c.Dst)))
	}
	k.Mul(&c)
	for i := range n {
		one.Dst, one.DstStride = make([]float32, (c.Rows-1)*c.DstStride+k.Cols), c.DstStride
		one.Panel, one.Bias = c.Panel[i*len(one.Panel):][:len(one.Panel)], c.Bias[i*k.Cols:]
		if c.Unit != nil {
			one.Unit = c.Unit[i*k.Cols:]
		}
		if c.Res != nil {
			one.Res = c.Res[i*k.Cols:]
		}
		k.Mul(&one)
		for r := range c.Rows {
			got, want := c.Dst[r*c.DstStride+i*k.Cols:][:k.Cols], one.Dst[r*c.DstStride:][:k.Cols]
			if !slices.Equal(got, want) {
				t.Fatalf("%d rows, panel %d of %d, row %d: %v, alone %v", c.Rows, i, n, r, got, want)
			}
		}
	}
}

// pairs: what a call writes as bfloat16 are its outputs, rounded.
func pairs(t *testing.T, k host.Product, c host.Call) {
	t.Helper()
	outputs, stride := c.Dst, c.DstStride
	c.Pairs, c.DstStride = true, k.Cols/2+3
	c.Dst = guardpage.Ending[float32](t, (c.Rows-1)*c.DstStride+k.Cols/2)
	k.Mul(&c)
	for r := range c.Rows {
		for i := range c.DstStride {
			want := uint32(0) // untouched
			if i < k.Cols/2 {
				y := outputs[r*stride+2*i:]
				want = math.Float32bits(backends.RoundBF16(y[0]))>>16 | math.Float32bits(backends.RoundBF16(y[1]))&^0xffff
			} else if r == c.Rows-1 {
				break
			}
			if got := math.Float32bits(c.Dst[r*c.DstStride+i]); got != want {
				t.Fatalf("%d rows, %d words: word %d of row %d is %#x, want %#x", c.Rows, c.Words, i, r, got, want)
			}
		}
	}
}

// expected is the definition of one output.
func expected(p backends.Precision, halfSums bool, x, w []float32, bias float32) float32 {
	a, sa := inputs(x, p)
	b, sb := weights(w, p)
	if halfSums {
		return backends.DotHalves(bias, a, b)
	}
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	if p == backends.Int8 {
		return backends.FMA32(float32(sum), sa*sb, bias)
	}
	return float32(sum + float64(bias))
}

// packRows makes of a matrix what Pack makes of its transposed, where both define
// the words.
func packRows(t *testing.T, k host.Product) {
	for rows := 1; rows <= 9; rows++ {
		for cols := 1; cols <= k.Cols; cols++ {
			stride := cols + 2
			src := guardpage.Copied(t, random((rows-1)*stride+cols))
			columns := make([][]float32, cols)
			for j := range columns {
				for r := range rows {
					columns[j] = append(columns[j], src[r*stride+j])
				}
			}
			want, _ := packed(t, k, columns)
			got := guardpage.Ending[uint32](t, k.PanelWords(rows))
			k.PackRows(got, src, stride, rows, cols)
			for i := range k.Words(rows) {
				for j := range cols {
					if at := i*k.Cols + j; got[at] != want[at] {
						t.Fatalf("%d×%d: word %d of output %d is %#x, want %#x", rows, cols, i, j, got[at], want[at])
					}
				}
			}
		}
	}
}

// packPairs makes of operands what PackRows makes of the numbers they are of.
func packPairs(t *testing.T, k host.Product) {
	for rows := 1; rows <= 9; rows++ {
		src := random(rows * k.Cols)
		want, got := guardpage.Ending[uint32](t, k.PanelWords(rows)), guardpage.Ending[uint32](t, k.PanelWords(rows))
		k.PackRows(want, src, k.Cols, rows, k.Cols)
		operands, _, _ := converted(t, k, src, k.Cols, rows, k.Cols)
		stride := k.Cols/2 + 3
		apart := guardpage.Ending[uint32](t, (rows-1)*stride+k.Cols/2)
		for r := range rows {
			copy(apart[r*stride:], operands[r*k.Cols/2:][:k.Cols/2])
		}
		k.PackPairs(got, apart, stride, rows)
		if !slices.Equal(got, want) {
			t.Errorf("%d rows: differ from PackRows'", rows)
		}
	}
}

func peak(t *testing.T, k host.Kernels, p backends.Precision) {
	one, _ := k.Peak(p, 1)
	many, _ := k.Peak(p, 100)
	if one <= 0 || many != 100*one {
		t.Errorf("%v operations in a round, %v in a hundred", one, many)
	}
}

func softmax(t *testing.T, k, twin host.Kernels) {
	for n := 1; n <= most; n++ {
		const rows = 3
		stride := n + 4
		for _, spread := range []float32{1, 20, 1e4} {
			x := random((rows-1)*stride + n)
			for i := range x {
				x[i] *= spread
			}
			got, want := guardpage.Copied(t, x), guardpage.Copied(t, x)
			a, b := guardpage.Ending[float32](t, rows), make([]float32, rows)
			k.Softmax(got, stride, rows, n, 0.3, a)
			twin.Softmax(want, stride, rows, n, 0.3, b)
			for r := range rows {
				if !near(a[r]/b[r], 1, 1e-6) {
					t.Errorf("%d elements: sum %v, want %v", n, a[r], b[r])
				}
			}
			for i := range got {
				if i%stride >= n && got[i] != x[i] || !near(got[i], want[i], 4e-7) {
					t.Errorf("%d elements times %v: %v becomes %v, want %v", n, spread, x[i], got[i], want[i])
				}
			}
		}
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			x := guardpage.Copied(t, random(n))
			x[n/2] = float32(bad)
			sum := []float32{0}
			if k.Softmax(x, n, 1, n, 1, sum); sum[0] == sum[0] {
				t.Errorf("%d elements, one %v: sum %v, want NaN", n, bad, sum)
			}
		}
	}
}

// exponential holds softmax's e^x to package math over all of its range, beside the row's
// greatest, 0. What a kernel multiplies x with is rounded, which costs as much as x is large.
func exponential(t *testing.T, k host.Kernels) {
	const step, rows = 1.0 / 2048, 87 * 16
	n := 1 + 2048/16
	x := make([]float32, rows*n)
	for i := range x {
		if i%n != 0 {
			x[i] = -float32(i/n*(n-1)+i%n) * step
		}
	}
	got, total := guardpage.Copied(t, x), guardpage.Ending[float32](t, rows)
	k.Softmax(got, n, rows, n, 1, total)
	worst, at := 0.0, float32(0)
	for i, v := range x {
		want := math.Exp(float64(v))
		if d := math.Abs(float64(got[i])-want) / want / (1 - float64(v)/2); d > worst {
			worst, at = d, v
		}
	}
	t.Logf("e^x differs by %.3g of its value and as much for each 2 of |x|, at %v", worst, at)
	if worst > 1.6e-7 {
		t.Errorf("e^x differs by %.3g of its value and as much for each 2 of |x|, at %v; want at most 1.6e-7", worst, at)
	}
}

// normal holds GELU's Φ to package math, from where it is 0 to where it is 1.
func normal(t *testing.T, k host.Kernels) {
	x := make([]float32, 16*4096)
	for i := range x {
		x[i] = float32(i-8*4096) / 4096
	}
	got := guardpage.Copied(t, x)
	k.GELU(got, len(x), 1, len(x))
	worst, at := 0.0, float32(0)
	for i, v := range x {
		want := float64(v) / 2 * (1 + math.Erf(float64(v)/math.Sqrt2))
		if d := math.Abs(float64(got[i])-want) / max(1, math.Abs(float64(v))); d > worst {
			worst, at = d, v
		}
	}
	t.Logf("GELU differs by %.3g of max(1, |x|), at %v", worst, at)
	if worst > 2.2e-7 {
		t.Errorf("GELU differs by %.3g of max(1, |x|), at %v; want at most 2.2e-7", worst, at)
	}
}

// gelu is held to the error function in float64. Its own rounding is that of
// 1+erf, which x multiplies.
func gelu(t *testing.T, k host.Kernels) {
	for cols := 1; cols <= most; cols++ {
		const rows = 3
		stride := cols + 4
		x := random((rows-1)*stride + cols)
		for i := range x {
			x[i] *= 3
		}
		copy(x[:cols], []float32{0, 1e-30, 5, -5, 100, -100, 1e30, float32(math.NaN()), float32(math.Inf(1))})
		got := guardpage.Copied(t, x)
		k.GELU(got, stride, rows, cols)
		for i, v := range x {
			if i%stride >= cols {
				if got[i] != v {
					t.Errorf("%d columns: wrote beside them", cols)
				}
				continue
			}
			want := float32(float64(v) / 2 * (1 + math.Erf(float64(v)/math.Sqrt2)))
			if limit := 4e-7 * math.Max(1, math.Abs(float64(v))); !near(got[i], want, limit) {
				t.Errorf("%d columns: GELU(%v) = %v, want %v", cols, v, got[i], want)
			}
		}
	}
}

func norm(t *testing.T, k, twin host.Kernels) {
	const rows = 3
	for n := 1; n <= most; n++ {
		for _, around := range []float32{0, 1000} { // rows of small variance around a large mean
			x, gamma, beta := random(rows*n), guardpage.Copied(t, random(n)), guardpage.Copied(t, random(n + 1)[1:])
			for i := range x {
				x[i] = around + x[i]
			}
			got, want := guardpage.Ending[float32](t, rows*n), make([]float32, rows*n)
			k.Norm(got, guardpage.Copied(t, x), gamma, beta, rows, 1e-6)
			twin.Norm(want, x, gamma, beta, rows, 1e-6)
			in := guardpage.Copied(t, x)
			k.Norm(in, in, gamma, beta, rows, 1e-6)
			for i := range got {
				if !near(got[i], want[i], 2e-4) || around == 0 && !near(got[i], want[i], 3e-6) || in[i] != got[i] {
					t.Errorf("%d elements around %v: %v and in place %v, want %v", n, around, got[i], in[i], want[i])
				}
			}
		}
	}
}

func divide(t *testing.T, k host.Kernels) {
	const rows = 3
	total := guardpage.Copied(t, []float32{3, 0.1, 7})
	for n := 1; n <= most; n++ {
		from, to := n+2, n+3
		src, dst := guardpage.Copied(t, random((rows-1)*from+n)), guardpage.Ending[float32](t, (rows-1)*to+n)
		k.Divide(dst, to, src, from, rows, n, total)
		for i, v := range dst {
			want := float32(0)
			if r, j := i/to, i%to; j < n {
				want = src[r*from+j] * (1 / total[r])
			}
			if v != want {
				t.Errorf("%d elements: [%d] is %v, want %v", n, i, v, want)
			}
		}
	}
}

// add and receive are exact.
func add(t *testing.T, k host.Kernels) {
	for n := range most {
		x := guardpage.Copied(t, random(n))
		got, want := guardpage.Ending[float64](t, n), make([]float64, n)
		for i := range want {
			got[i] = float64(i) * 0x1p30
			want[i] = got[i] + float64(x[i])
		}
		if k.Add(got, x); !slices.Equal(got, want) {
			t.Errorf("%d numbers: %v, want %v", n, got, want)
		}
	}
}

// addHeads' sums are those of float64, rounded; their squares may be added in another order.
func addHeads(t *testing.T, k host.Kernels) {
	for width := range most {
		for heads := 1; heads <= 4; heads++ {
			x := guardpage.Copied(t, random(heads*width))
			got := guardpage.Ending[float32](t, width)
			want, wantSquares := make([]float32, width), 0.0
			for i := range want {
				sum := 0.0
				for h := range heads {
					sum += float64(x[h*width+i])
				}
				want[i] = float32(sum)
				wantSquares += sum * sum
			}
			if squares := k.AddHeads(got, x); !slices.Equal(got, want) || math.Abs(squares-wantSquares) > 1e-14*wantSquares {
				t.Errorf("%d heads of %d: %v, squares %v, want %v, %v", heads, width, got, squares, want, wantSquares)
			}
		}
	}
}

func receive(t *testing.T, k host.Kernels) {
	const share = 0x1.234p39
	for n := range most {
		weights := guardpage.Copied(t, random(n))
		got, want := guardpage.Ending[int64](t, n), make([]int64, n)
		for i := range want {
			weights[i] *= weights[i]
			got[i] = int64(i) << 50
			want[i] = got[i] + int64(float32(weights[i]*share))
		}
		if k.Receive(got, weights, share); !slices.Equal(got, want) {
			t.Errorf("%d weights: %v, want %v", n, got, want)
		}
	}
}

func allocations(t *testing.T, k host.Kernels) {
	x, y, scale, zero := random(64), random(64), random(4), make([]int32, 4)
	w, sums, received := make([]uint32, 64), make([]float64, 64), make([]int64, 64)
	if n := testing.AllocsPerRun(10, func() {
		k.Softmax(x, 16, 4, 16, 1, scale)
		k.GELU(x, 8, 8, 8)
		k.Norm(y, x, x[:16], x[:16], 4, 1e-6)
		k.Divide(y, 16, x, 16, 4, 16, scale)
		k.Add(sums, x)
		k.AddHeads(y, x)
		k.Receive(received, x, 3)
		for _, p := range k.Precisions {
			if convert := k.Products[p].Convert; convert != nil {
				convert(w, x, 16, 4, 16, scale, zero)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
