// Package host is the driver of every CPU backend. It owns what does not depend on
// the processor: packed weights, the cutting of each operation into parts, the
// threads that share them, and scratch memory. What does depend on it comes as a
// table of [Kernels]; [Portable] is that table in plain Go and makes the
// backend "portable", other packages hand [Open] theirs.
//
// Weights are cut into panels of a few outputs, interleaved by input, once at load
// time (weight.go). An operation is a task of numbered parts, such as 48 rows by
// 48 outputs of a Linear, that the threads take one by one (pool.go); how the
// parts are cut never depends on the number of threads, so neither do the bits
// of a result. Scratch memory is set aside when the caller allocates
// tensors or says how large its blocks are (scratch.go), so that a frame allocates
// nothing.
package host

import (
	"fmt"
	"runtime"
	"slices"

	"dynvit/backends"
)

// driver implements backends.Backend. The tasks are fields so that handing one
// to the pool allocates nothing.
type driver struct {
	name, why string
	k         Kernels
	pool      *pool
	scratch   scratch
	packed    []span // of weights, until Settle
	settled   bool
	err       error // first failure since the last download

	linear     linear
	conversion conversion
	layerNorm  layerNorm
	attention  attention
	matching   matching
	unfold     unfold
}

// Open starts the threads of a backend that works by the table k: o.Threads of
// them, or as many as Go runs at once. why says what the table is, for
// backends.Facts. The caller closes the backend.
func Open(name string, k Kernels, why string, o backends.Options) (backends.Backend, error) {
	threads := o.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0) // the cores that affinity and cgroup leave
	}
	b := &driver{name: name, why: why, k: k, pool: newPool(threads)}
	b.scratch.open(&b.k, threads)
	return b, nil
}

func (b *driver) Facts() backends.Facts {
	return backends.Facts{
		Name:       b.name,
		Precisions: slices.Clone(b.k.Precisions),
		Why:        fmt.Sprintf("%s, %d threads", b.why, b.pool.threads()),
		HalfSums:   b.k.Products[backends.F16].HalfSums,
		HalfWords:  b.k.Products[backends.BF16].Kept != nil,
		Threaded:   true,
	}
}

func (b *driver) Close() error {
	b.pool.close()
	return nil
}

// need panics where a shape does not fit.
func (b *driver) need(method string, ok bool, what string) {
	if !ok {
		panic(b.name + ": " + method + ": " + what)
	}
}

func (b *driver) Alloc(rows, cols int) (backends.Tensor, error) {
	b.need("Alloc", rows >= 0 && cols >= 0, "negative size")
	b.scratch.reserve(rows, cols)
	return backends.Tensor{Rows: rows, Cols: cols, Host: make([]float32, rows*cols)}, nil
}

// Reserve implements backends.Fuser.
func (b *driver) Reserve(s backends.Block) error {
	b.need("Reserve", s.Tokens > 0 && s.Width > 0 && s.Hidden > 0 && s.Heads > 0 && s.Width%s.Heads == 0, "no size of a block")
	b.scratch.reserveBlock(&b.k, s)
	return nil
}

func (b *driver) AllocIndex(n int) (backends.Index, error) {
	b.need("AllocIndex", n >= 0, "negative size")
	return backends.Index{N: n, Host: make([]int32, n)}, nil
}

func (b *driver) Upload(dst backends.Tensor, src []float32) {
	b.need("Upload", len(src) == len(dst.Host), "length differs")
	copy(dst.Host, src)
}

func (b *driver) UploadIndex(dst backends.Index, src []int32) {
	b.need("UploadIndex", len(src) == dst.N, "length differs")
	copy(dst.Host, src)
}

func (b *driver) Download(dst []float32, src backends.Tensor) error {
	b.need("Download", len(dst) == len(src.Host), "length differs")
	copy(dst, src.Host)
	return b.takeError()
}

func (b *driver) DownloadIndex(dst []int32, src backends.Index) error {
	b.need("DownloadIndex", len(dst) == src.N, "length differs")
	copy(dst, src.Host)
	return b.takeError()
}

// takeError returns the first failure since it was last called.
func (b *driver) takeError() error {
	err := b.err
	b.err = nil
	return err
}
