// Package hosttest holds a table of kernels to its twin in plain Go and to the
// definitions of package backends, at every length around a vector and a tile,
// on memory that ends where a page does that cannot be read.
package hosttest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"dynvit/backends"
	"dynvit/backends/internal/host"
)

// Run checks all entries of a table.
func Run(t *testing.T, k host.Kernels) {
	for _, p := range k.Precisions {
		t.Run(fmt.Sprintf("Convert/%v", p), func(t *testing.T) { convert(t, k.Products[p], p) })
		t.Run(fmt.Sprintf("Mul/%v", p), func(t *testing.T) { mul(t, k.Products[p], p) })
		if k.Products[p].PackRows != nil {
			t.Run(fmt.Sprintf("PackRows/%v", p), func(t *testing.T) { packRows(t, k.Products[p]) })
		}
		t.Run(fmt.Sprintf("Peak/%v", p), func(t *testing.T) { peak(t, k, p) })
	}
	twin := host.Portable()
	t.Run("Softmax", func(t *testing.T) { softmax(t, k, twin) })
	t.Run("GELU", func(t *testing.T) { gelu(t, k) })
	t.Run("Norm", func(t *testing.T) { norm(t, k, twin) })
	t.Run("Scale", func(t *testing.T) { scale(t, k) })
	t.Run("Allocations", func(t *testing.T) { allocations(t, k) })
}

// most is beyond two vectors of 16 and a tail.
const most = 50

// memory hands out slices that end at a page that faults.
type memory struct{ t *testing.T }

// guarded is n elements, right below the guard page: misaligned wherever n is odd.
func guarded[T any](m memory, n int) []T {
	m.t.Helper()
	var zero T
	page := unix.Getpagesize()
	size := n * int(unsafe.Sizeof(zero))
	pages := (size+page-1)/page*page + page
	region, err := unix.Mmap(-1, 0, pages, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { unix.Munmap(region) })
	if err := unix.Mprotect(region[pages-page:], unix.PROT_NONE); err != nil {
		m.t.Fatal(err)
	}
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&region[pages-page-size])), n)
}

func copied[T any](m memory, src []T) []T {
	m.t.Helper()
	dst := guarded[T](m, len(src))
	copy(dst, src)
	return dst
}

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

// operands are what a row's words mean, and the scale they are to be multiplied
// with.
func operands(row []float32, p backends.Precision) (values []float32, scale float32) {
	if p == backends.Int8 {
		codes := make([]int8, len(row))
		scale, ok := backends.QuantizeRow(codes, row)
		for _, c := range codes {
			values = append(values, float32(c))
		}
		if !ok {
			scale = float32(math.NaN())
		}
		return values, scale
	}
	for _, v := range row {
		values = append(values, p.Round(v))
	}
	return values, 1
}

// words is a row as the kernel wants it.
func words(m memory, k host.Product, row []float32) ([]uint32, float32) {
	dst := guarded[uint32](m, k.Words(len(row)))
	if k.Convert == nil {
		copy(dst, host.Words(row))
		return dst, 1
	}
	for i := range dst {
		dst[i] = 0xdeadbeef // what it does not write is seen
	}
	return dst, k.Convert(dst, copied(m, row))
}

// convert: scale and, by way of a product with unit vectors, every operand.
func convert(t *testing.T, k host.Product, p backends.Precision) {
	m := memory{t}
	for n := 1; n <= most; n++ {
		rows := [][]float32{random(n), make([]float32, n), random(n), random(n)}
		rows[2][n-1] = float32(math.Inf(1))
		rows[3][n/2] = float32(math.NaN())
		for i, row := range rows {
			_, got := words(m, k, row)
			if _, want := operands(row, p); got != want && !(got != got && want != want) {
				t.Errorf("%d elements, row %d: scale %v, want %v", n, i, got, want)
			}
		}
	}
}

// mul compares whole calls with sums in float64, or exact ones, for every number
// of rows and every tail of inputs.
func mul(t *testing.T, k host.Product, p backends.Precision) {
	m := memory{t}
	for in := 1; in <= most; in++ {
		weights := make([][]float32, k.Cols)
		for j := range weights {
			weights[j] = random(in + 100*j)[100*j:]
		}
		panel, unit := packed(m, k, weights)
		bias := copied(m, random(k.Cols))
		for rows := 1; rows <= k.Rows; rows++ {
			oneCall(t, m, k, p, rows, in, weights, panel, unit, bias, rows%2 == 0)
		}
	}
}

// packed is the panel of weights and the scale of each output.
func packed(m memory, k host.Product, weights [][]float32) (panel []uint32, unit []float32) {
	in := len(weights[0])
	stride := k.Words(in) + 3
	all := guarded[uint32](m, (len(weights)-1)*stride+k.Words(in))
	unit = guarded[float32](m, len(weights))
	for j, w := range weights {
		row, scale := words(m, k, w)
		copy(all[j*stride:], row)
		unit[j] = scale
	}
	panel = guarded[uint32](m, k.PanelWords(in))
	k.Pack(panel, all, stride, len(weights), k.Words(in))
	return panel, unit
}

func oneCall(t *testing.T, m memory, k host.Product, p backends.Precision, rows, in int, weights [][]float32, panel []uint32, unit, bias []float32, residual bool) {
	t.Helper()
	aStride, dstStride := k.Words(in)+1, k.Cols+5
	c := host.Call{
		Dst: guarded[float32](m, (rows-1)*dstStride+k.Cols), A: guarded[uint32](m, (rows-1)*aStride+k.Words(in)),
		Panel: panel, Bias: bias, Rows: rows, Tile: rows, Words: k.Words(in), DstStride: dstStride, AStride: aStride,
	}
	if p == backends.Int8 {
		c.Scale, c.Unit = guarded[float32](m, rows), unit
	}
	const sentinel = -987.25
	for i := range c.Dst {
		c.Dst[i] = sentinel
	}
	inputs := make([][]float32, rows)
	for r := range rows {
		inputs[r] = random(in + 1000*(r+1))[1000*(r+1):]
		row, scale := words(m, k, inputs[r])
		copy(c.A[r*aStride:], row)
		if p == backends.Int8 {
			c.Scale[r] = scale
		}
	}
	if residual {
		c.Res = copied(m, random(len(c.Dst)))
	}
	k.Mul(&c)
	for r := range rows {
		for j := range k.Cols {
			want := expected(p, inputs[r], weights[j], bias[j])
			if residual {
				want += c.Res[r*dstStride+j]
			}
			if got := c.Dst[r*dstStride+j]; p == backends.Int8 && got != want || !near(got, want, 2e-6*math.Sqrt(float64(in))) {
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

// expected is the definition of one output.
func expected(p backends.Precision, x, w []float32, bias float32) float32 {
	a, sa := operands(x, p)
	b, sb := operands(w, p)
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
	m := memory{t}
	for rows := 1; rows <= 9; rows++ {
		for cols := 1; cols <= k.Cols; cols++ {
			stride := cols + 2
			src := copied(m, random((rows-1)*stride+cols))
			columns := make([][]float32, cols)
			for j := range columns {
				for r := range rows {
					columns[j] = append(columns[j], src[r*stride+j])
				}
			}
			want, _ := packed(m, k, columns)
			got := guarded[uint32](m, k.PanelWords(rows))
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

func peak(t *testing.T, k host.Kernels, p backends.Precision) {
	one, _ := k.Peak(p, 1)
	many, _ := k.Peak(p, 100)
	if one <= 0 || many != 100*one {
		t.Errorf("%v operations in a round, %v in a hundred", one, many)
	}
}

func softmax(t *testing.T, k, twin host.Kernels) {
	m := memory{t}
	for n := 1; n <= most; n++ {
		for _, spread := range []float32{1, 20, 1e4} {
			x := random(n)
			for i := range x {
				x[i] *= spread
			}
			got, want := copied(m, x), copied(m, x)
			a, b := k.Softmax(got, 0.125), twin.Softmax(want, 0.125)
			if !near(a/b, 1, 1e-6) {
				t.Errorf("%d elements: sum %v, want %v", n, a, b)
			}
			for i := range got {
				if !near(got[i], want[i], 4e-7) {
					t.Errorf("%d elements times %v: %v becomes %v, want %v", n, spread, x[i], got[i], want[i])
				}
			}
		}
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			x := copied(m, random(n))
			x[n/2] = float32(bad)
			if sum := k.Softmax(x, 1); sum == sum {
				t.Errorf("%d elements, one %v: sum %v, want NaN", n, bad, sum)
			}
		}
	}
}

// gelu is held to the error function in float64. Its own rounding is that of
// 1+erf, which x multiplies.
func gelu(t *testing.T, k host.Kernels) {
	m := memory{t}
	for cols := 1; cols <= most; cols++ {
		const rows = 3
		stride := cols + 4
		x := random((rows-1)*stride + cols)
		for i := range x {
			x[i] *= 3
		}
		copy(x[:cols], []float32{0, 1e-30, 5, -5, 100, -100, 1e30, float32(math.NaN()), float32(math.Inf(1))})
		got := copied(m, x)
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
	m := memory{t}
	for n := 1; n <= most; n++ {
		for _, around := range []float32{0, 1000} { // rows of small variance around a large mean
			x, gamma, beta := random(n), copied(m, random(n)), copied(m, random(n + 1)[1:])
			for i := range x {
				x[i] = around + x[i]
			}
			got, want := guarded[float32](m, n), make([]float32, n)
			k.Norm(got, copied(m, x), gamma, beta, 1e-6)
			twin.Norm(want, x, gamma, beta, 1e-6)
			in := copied(m, x)
			k.Norm(in, in, gamma, beta, 1e-6)
			for i := range got {
				if !near(got[i], want[i], 2e-4) || around == 0 && !near(got[i], want[i], 3e-6) || in[i] != got[i] {
					t.Errorf("%d elements around %v: %v and in place %v, want %v", n, around, got[i], in[i], want[i])
				}
			}
		}
	}
}

func scale(t *testing.T, k host.Kernels) {
	m := memory{t}
	for n := 1; n <= most; n++ {
		src, dst := copied(m, random(n)), guarded[float32](m, n)
		k.Scale(dst, src, 1.7)
		for i, v := range src {
			if dst[i] != v*1.7 {
				t.Errorf("%d elements: %v times 1.7 is %v", n, v, dst[i])
			}
		}
	}
}

func allocations(t *testing.T, k host.Kernels) {
	x, y := random(64), random(64)
	w := make([]uint32, 64)
	if n := testing.AllocsPerRun(10, func() {
		k.Softmax(x, 1)
		k.GELU(x, 8, 8, 8)
		k.Norm(y, x, x, x, 1e-6)
		k.Scale(y, x, 2)
		for _, p := range k.Precisions {
			if convert := k.Products[p].Convert; convert != nil {
				convert(w[:k.Products[p].Words(64)], x)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
