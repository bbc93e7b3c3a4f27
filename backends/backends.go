// Package backends is the border between the model and the machine: the
// operations of a token-pruned vision transformer on row-major float32
// matrices, implemented once per kind of processor.
//
// A [Backend] owns the instructions, its caller owns the memory. Activations
// are float32 at every border; a precision belongs to a packed [Weight], so
// that "int8" or "bf16" never shows in a signature but [Backend.Pack]'s and
// [Backend.Attention]'s. The package backends/ref is the definition of every
// operation and precision; backendtest holds every other backend to it.
//
// # Rules for every method
//
//   - One goroutine uses a Backend at a time.
//   - Load-time methods (Pack, Alloc, AllocIndex) may allocate and may fail.
//     Per-frame methods never allocate, may be asynchronous, and run in the
//     order they were called. The first failure surfaces at the next Download
//     or DownloadIndex, which also waits for everything before it.
//   - A shape that does not fit is a mistake of the programmer: it panics with
//     a message "<backend>: <Method>: <what>".
//   - A Tensor, Index or Weight is only valid on the Backend that made it.
//   - The zero Tensor stands for "none" where a parameter is optional.
package backends

import (
	"errors"
	"fmt"
)

// ErrUnavailable is wrapped by the error of an Open that cannot serve on this
// machine; the message says what is missing ("cpu lacks avx512vnni").
var ErrUnavailable = errors.New("unavailable")

// Tensor is a dense row-major float32 matrix [Rows, Cols]. Exactly one of Host
// and Dev is set; Host has Rows*Cols elements. It is a value: copying it does
// not copy the elements, and a view shares them.
type Tensor struct {
	Rows, Cols int
	Host       []float32 // memory of this process, or nil
	Dev        uint64    // address on a device, or 0
}

// IsZero reports whether t is the zero Tensor, "none".
func (t Tensor) IsZero() bool { return t.Host == nil && t.Dev == 0 }

// Index is a list of N row numbers.
type Index struct {
	N    int
	Host []int32
	Dev  uint64
}

// First returns the first n entries of x as an Index that shares its memory.
// It allocates nothing; n is 0..x.N.
func (x Index) First(n int) Index {
	if n < 0 || n > x.N {
		panic(fmt.Sprintf("backends: Index.First: %d of %d entries", n, x.N))
	}
	if x.Host != nil {
		x.Host = x.Host[:n]
	}
	x.N = n
	return x
}

// Weight is a matrix [out, in] with its bias, packed by one Backend.
type Weight interface {
	Dims() (out, in int)
	Precision() Precision
}

// Act is the function that Linear applies after the bias, before the residual.
type Act uint8

const (
	None Act = iota
	GELU     // x/2·(1+erf(x/√2)), the exact form
	ReLU
)

// Score says which importance of the patches Attention leaves behind
// (DYNAMICVIT.md, "Without training").
type Score uint8

const (
	NoScore  Score = iota
	CLS            // attention of the CLS query to the patch, mean over heads (EViT)
	Received       // mean over heads of (mean over all queries of the attention received)·‖v‖
)

// Conv is the geometry of a convolution over an image of H×W pixels: square
// kernel, equal stride and zero padding on both axes.
type Conv struct {
	H, W, Kernel, Stride, Pad int
}

// Out returns the height and width of the convolution's output.
func (c Conv) Out() (h, w int) {
	return (c.H+2*c.Pad-c.Kernel)/c.Stride + 1, (c.W+2*c.Pad-c.Kernel)/c.Stride + 1
}

// Backend computes. See the package comment for the rules that hold for all
// methods; n below counts tokens, row 0 being CLS.
type Backend interface {
	// Name is the name a user writes after --backend.
	Name() string
	// Precisions lists what Pack takes, the fastest on this machine first.
	Precisions() []Precision
	// Close frees workers and device memory; it may be called twice.
	Close() error

	// Pack copies a weight w [out, in] (row-major, as PyTorch keeps it) and an
	// optional bias [out] (nil: none) into the layout that Linear wants. w and
	// bias may be reused or unmapped afterwards. NaN or Inf in w is an error.
	Pack(w []float32, out, in int, bias []float32, p Precision) (Weight, error)
	// Alloc returns a zeroed matrix.
	Alloc(rows, cols int) (Tensor, error)
	// AllocIndex returns a zeroed list of n row numbers.
	AllocIndex(n int) (Index, error)

	// View returns rows from..to-1 of t, sharing its memory. from == to is legal.
	View(t Tensor, from, to int) Tensor
	// Upload copies src (dst.Rows*dst.Cols elements) into dst. src may be
	// reused after the next Download.
	Upload(dst Tensor, src []float32)
	// UploadIndex copies src (dst.N elements) into dst; likewise.
	UploadIndex(dst Index, src []int32)
	// Linear computes dst = act(x·Wᵀ + b) + res.
	// x [n, in], dst [n, out], res [n, out] or none. dst may be res; x may
	// share no memory with dst.
	Linear(dst, x Tensor, w Weight, act Act, res Tensor)
	// LayerNorm normalises each row of x [n, c] to mean 0 and variance 1
	// (biased, eps added to the variance), times gamma [1, c] plus beta [1, c].
	// dst may be x.
	LayerNorm(dst, x, gamma, beta Tensor, eps float32)
	// Attention is multi-head self-attention of qkv [n, 3c] (q, k, v of all
	// heads side by side, as PyTorch's qkv Linear leaves them), for the first
	// dst.Rows queries: dst [m, c], m <= n. Scale is (c/heads)^-1/2. p is the
	// precision of the two products: F32, BF16 or F16.
	// score, if not none, is [n-1, 1] and gets the importance of each patch
	// row as by says; Received needs m == n.
	Attention(dst, qkv Tensor, heads int, p Precision, score Tensor, by Score)
	// MeanHalf replaces columns c/2… of x [n, c] by their mean over the rows
	// (the global half of DynamicViT's predictor). c is even.
	MeanHalf(x Tensor)
	// TopK writes kept[0] = 0 (CLS) and then 1+i of the kept.N-1 highest rows i
	// of score [n-1, 1], ascending. Ties go to the lower row; NaN ranks last.
	// 1 <= kept.N <= n.
	TopK(kept Index, score Tensor)
	// Gather copies row kept[i] of x to row i of dst [kept.N, c]. dst may
	// share no memory with x. Row numbers out of range are an error at Download.
	Gather(dst, x Tensor, kept Index)
	// Unfold writes rows from… of the im2col matrix of g: row (y*outW+x) holds
	// the kernel·kernel·c inputs under the output pixel (y, x), kernel rows
	// first, then kernel columns, then channels; zero outside the image.
	// src [H*W, c] (channels last), dst [m, kernel*kernel*c].
	Unfold(dst, src Tensor, g Conv, from int)
	// MaxRows writes the largest value of each column of x [n, c], n >= 1,
	// to dst [1, c]; NaN wins.
	MaxRows(dst, x Tensor)
	// Download waits for all calls before it, reports the first failure since
	// the last Download or DownloadIndex, and copies src into dst.
	Download(dst []float32, src Tensor) error
	// DownloadIndex is the same for a list of row numbers.
	DownloadIndex(dst []int32, src Index) error
}

// Prober is the optional ability to measure the processor's own limit.
type Prober interface {
	// Peak measures, in about 50 ms, how many operations a second (2 a
	// multiply-add) all of the Backend's threads together reach with operands in
	// registers, in the instructions that carry p. It is the yardstick of
	// `bench gemm`, not a promise.
	Peak(p Precision) float64
}

// Fuser is the optional ability to do operations that follow each other in a block as
// one: what lies between them need not be a Tensor. It is set aside, so that a frame
// allocates nothing, where Alloc made a Tensor of its size.
type Fuser interface {
	// SelfAttention is Attention, without scores, of what Linear makes of x [n, c]
	// and the weight qkv [3c, c].
	SelfAttention(dst, x Tensor, qkv Weight, heads int, p Precision)
	// MLP adds to dst [n, c] what Linear, with GELU, makes of x [n, c] and the weight
	// fc1 [h, c], and then Linear of that and fc2 [c, h].
	MLP(dst, x Tensor, fc1, fc2 Weight)
}

// Explainer is the optional ability to say what was picked and why.
type Explainer interface {
	// Why returns one line for `devices` and the info topic, such as
	// "bf16 by FMA: VDPBF16PS measured at half its rate".
	Why() string
}

// Options are the same for every backend.
type Options struct {
	Threads int      // worker threads; 0 = all usable cores
	Disable []string // CPU features to leave unused, cpuid's names in lower case
}

// Candidate is one entry of the ordered list in backends/all.
type Candidate struct {
	Name string
	// Open returns a Backend or an error that wraps ErrUnavailable.
	Open func(Options) (Backend, error)
	// Auto is false for backends that only serve when named (ref).
	Auto bool
}
