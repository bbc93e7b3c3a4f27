// Package ref is the oracle: every operation of a backend in the plainest Go,
// summed in float64, on one goroutine, slow on purpose. It defines what the
// other backends must compute, precision by precision: the operands of a product
// are rounded first, then nothing is rounded until the result. Products are
// wrapped in conversions where fusing them with an addition would change bits, so
// that the results are the same on every GOARCH.
package ref

import (
	"dynvit/backends"
)

// Open returns the oracle. It serves everywhere; the options are ignored.
func Open(backends.Options) (backends.Backend, error) { return &ref{}, nil }

// OpenHalfSums returns the oracle of backends whose sums in f16 are backends.DotHalves.
func OpenHalfSums(backends.Options) (backends.Backend, error) { return &ref{halfSums: true}, nil }

// ref implements backends.Backend.
type ref struct {
	err      error // first failure since the last download
	halfSums bool
}

// Facts: without rounding is the fastest, by a little.
func (r *ref) Facts() backends.Facts {
	return backends.Facts{
		HalfSums:   r.halfSums,
		Name:       backends.Ref,
		Precisions: []backends.Precision{backends.F32, backends.BF16, backends.F16, backends.Int8},
	}
}

func (*ref) Close() error { return nil }

// need panics where a shape does not fit.
func need(method string, ok bool, what string) {
	if !ok {
		panic("ref: " + method + ": " + what)
	}
}

func (r *ref) Alloc(rows, cols int) (backends.Tensor, error) {
	need("Alloc", rows >= 0 && cols >= 0, "negative size")
	return backends.Tensor{Rows: rows, Cols: cols, Host: make([]float32, rows*cols)}, nil
}

func (r *ref) AllocIndex(n int) (backends.Index, error) {
	need("AllocIndex", n >= 0, "negative size")
	return backends.Index{N: n, Host: make([]int32, n)}, nil
}

// row is row i of t.
func row(t backends.Tensor, i int) []float32 { return t.Host[i*t.Cols : (i+1)*t.Cols] }

func (r *ref) Upload(dst backends.Tensor, src []float32) {
	need("Upload", len(src) == len(dst.Host), "length differs")
	copy(dst.Host, src)
}

func (r *ref) UploadIndex(dst backends.Index, src []int32) {
	need("UploadIndex", len(src) == dst.N, "length differs")
	copy(dst.Host, src)
}

func (r *ref) Download(dst []float32, src backends.Tensor) error {
	need("Download", len(dst) == len(src.Host), "length differs")
	copy(dst, src.Host)
	return r.takeError()
}

func (r *ref) DownloadIndex(dst []int32, src backends.Index) error {
	need("DownloadIndex", len(dst) == src.N, "length differs")
	copy(dst, src.Host)
	return r.takeError()
}

// takeError returns the first failure since it was last called.
func (r *ref) takeError() error {
	err := r.err
	r.err = nil
	return err
}
