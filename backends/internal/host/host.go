// Package host is the driver of the CPU backends: packed weights, tiles, a fixed
// pool of workers, and the kernels in plain Go that make the backend "portable".
// Memory for intermediate values grows to what the largest call needed and stays;
// after the first frame nothing is allocated.
package host

import (
	"fmt"
	"math"

	"dynvit/backends"
)

// portable implements backends.Backend in plain Go. The task fields are the
// calls in progress: kept here so that handing one to the pool allocates nothing.
type portable struct {
	pool    *pool
	threads int
	err     error // first failure since the last download

	linear    linear
	quant     quantiser
	round     rounder
	operands  []float32 // scratch of round
	attention attention
	norm      norm
	unfold    unfold
	keys      []uint32 // scratch of TopK
}

func (*portable) Name() string { return "portable" }

// Precisions: f32 first, which is exact and the fastest. DeiT-T dense, one thread of a
// Zen 3 at a time, model p50: f32 395 ms, int8 544 ms; bf16 and f16 are f32
// after rounding, a few per cent more.
func (*portable) Precisions() []backends.Precision {
	return []backends.Precision{backends.F32, backends.BF16, backends.F16, backends.Int8}
}

func (b *portable) Close() error {
	b.pool.close()
	return nil
}

// Why implements backends.Explainer.
func (b *portable) Why() string {
	return fmt.Sprintf("plain Go, %d threads", b.threads)
}

// need panics where a shape does not fit.
func need(method string, ok bool, what string) {
	if !ok {
		panic("portable: " + method + ": " + what)
	}
}

func (b *portable) Alloc(rows, cols int) (backends.Tensor, error) {
	return backends.Tensor{Rows: rows, Cols: cols, Host: make([]float32, rows*cols)}, nil
}

func (b *portable) AllocIndex(n int) (backends.Index, error) {
	return backends.Index{N: n, Host: make([]int32, n)}, nil
}

func (b *portable) View(t backends.Tensor, from, to int) backends.Tensor {
	need("View", from >= 0 && from <= to && to <= t.Rows, "rows outside the tensor")
	return backends.Tensor{Rows: to - from, Cols: t.Cols, Host: t.Host[from*t.Cols : to*t.Cols]}
}

func (b *portable) Upload(dst backends.Tensor, src []float32) {
	need("Upload", len(src) == len(dst.Host), "length differs")
	copy(dst.Host, src)
}

func (b *portable) UploadIndex(dst backends.Index, src []int32) {
	need("UploadIndex", len(src) == dst.N, "length differs")
	copy(dst.Host, src)
}

func (b *portable) Download(dst []float32, src backends.Tensor) error {
	need("Download", len(dst) == len(src.Host), "length differs")
	copy(dst, src.Host)
	return b.taken()
}

func (b *portable) DownloadIndex(dst []int32, src backends.Index) error {
	need("DownloadIndex", len(dst) == src.N, "length differs")
	copy(dst, src.Host)
	return b.taken()
}

func (b *portable) taken() error {
	err := b.err
	b.err = nil
	return err
}

// normBlock rows make one part of a LayerNorm.
const normBlock = 16

type norm struct {
	dst, x, gamma, beta backends.Tensor
	eps                 float32
}

func (b *portable) LayerNorm(dst, x, gamma, beta backends.Tensor, eps float32) {
	need("LayerNorm", dst.Rows == x.Rows && dst.Cols == x.Cols && gamma.Cols == x.Cols && beta.Cols == x.Cols, "shapes differ")
	b.norm = norm{dst, x, gamma, beta, eps}
	b.pool.run(&b.norm, (x.Rows+normBlock-1)/normBlock)
}

func (n *norm) part(i int) {
	c := n.x.Cols
	for r := i * normBlock; r < min((i+1)*normBlock, n.x.Rows); r++ {
		normalise(n.dst.Host[r*c:(r+1)*c], n.x.Host[r*c:(r+1)*c], n.gamma.Host, n.beta.Host, n.eps)
	}
}

func normalise(dst, row, gamma, beta []float32, eps float32) {
	sum := 0.0
	for _, v := range row {
		sum += float64(v)
	}
	mean := sum / float64(len(row))
	squares := 0.0
	for _, v := range row {
		d := float64(v) - mean
		squares += d * d
	}
	inverse := 1 / math.Sqrt(squares/float64(len(row))+float64(eps))
	for j, v := range row {
		dst[j] = float32((float64(v)-mean)*inverse)*gamma[j] + beta[j]
	}
}

func (b *portable) MeanHalf(x backends.Tensor) {
	need("MeanHalf", x.Cols%2 == 0, "odd number of columns")
	for j := x.Cols / 2; j < x.Cols; j++ {
		sum := 0.0
		for i := range x.Rows {
			sum += float64(x.Host[i*x.Cols+j])
		}
		mean := float32(sum / float64(x.Rows))
		for i := range x.Rows {
			x.Host[i*x.Cols+j] = mean
		}
	}
}

func (b *portable) Gather(dst, x backends.Tensor, kept backends.Index) {
	need("Gather", dst.Rows == kept.N && dst.Cols == x.Cols, "shapes differ")
	for i, row := range kept.Host {
		if row < 0 || int(row) >= x.Rows {
			if b.err == nil {
				b.err = fmt.Errorf("portable: Gather: row %d of %d", row, x.Rows)
			}
			continue
		}
		copy(dst.Host[i*x.Cols:(i+1)*x.Cols], x.Host[int(row)*x.Cols:])
	}
}

func (b *portable) MaxRows(dst, x backends.Tensor) {
	need("MaxRows", dst.Rows == 1 && dst.Cols == x.Cols && x.Rows >= 1, "shapes differ")
	copy(dst.Host, x.Host[:x.Cols])
	for i := 1; i < x.Rows; i++ {
		for j, v := range x.Host[i*x.Cols : (i+1)*x.Cols] {
			dst.Host[j] = max(dst.Host[j], v)
		}
	}
}

// unfoldBlock rows make one part of an Unfold.
const unfoldBlock = 64

type unfold struct {
	dst, src backends.Tensor
	g        backends.Conv
	from     int
}

func (b *portable) Unfold(dst, src backends.Tensor, g backends.Conv, from int) {
	h, w := g.Out()
	need("Unfold", src.Rows == g.H*g.W && dst.Cols == g.Kernel*g.Kernel*src.Cols && from >= 0 && from+dst.Rows <= h*w, "shapes differ")
	b.unfold = unfold{dst, src, g, from}
	b.pool.run(&b.unfold, (dst.Rows+unfoldBlock-1)/unfoldBlock)
}

func (u *unfold) part(i int) {
	_, w := u.g.Out()
	for r := i * unfoldBlock; r < min((i+1)*unfoldBlock, u.dst.Rows); r++ {
		y, x := (u.from+r)/w, (u.from+r)%w
		u.pixel(u.dst.Host[r*u.dst.Cols:(r+1)*u.dst.Cols], y*u.g.Stride-u.g.Pad, x*u.g.Stride-u.g.Pad)
	}
}

// pixel copies the inputs under one output; y, x is the kernel's corner.
func (u *unfold) pixel(dst []float32, y, x int) {
	g, c := u.g, u.src.Cols
	line := g.Kernel * c
	for k := range g.Kernel {
		part := dst[k*line : (k+1)*line]
		left, right := max(0, -x), min(g.Kernel, g.W-x)
		if y+k < 0 || y+k >= g.H || left >= right {
			clear(part)
			continue
		}
		clear(part[:left*c])
		copy(part[left*c:right*c], u.src.Host[((y+k)*g.W+x+left)*c:])
		clear(part[right*c:])
	}
}
