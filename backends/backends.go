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
//   - Load-time methods (Pack, Alloc, AllocIndex, Fuser.Reserve, Recorder.Record)
//     may allocate, and may fail. Per-frame methods never allocate, may be
//     asynchronous, and run in the order they were called. The first failure
//     surfaces at the next Download or DownloadIndex, which also waits for
//     everything before it.
//   - A shape that does not fit is a mistake of the programmer: it panics with
//     a message "<backend>: <Method>: <what>".
//   - A Tensor, Index or Weight is only valid on the Backend that made it.
//   - The zero Tensor stands for "none" where a parameter is optional.
package backends

import "errors"

// ErrUnavailable is wrapped by the error of an Open that cannot serve on this
// machine; the message says what is missing ("cpu lacks avx512vnni").
var ErrUnavailable = errors.New("unavailable")

// ErrNoMemory is wrapped by the error of a load-time method for which the device has no
// memory left.
var ErrNoMemory = errors.New("out of memory")

// ErrLost is wrapped by the error of a Download after which nothing more comes of the
// Backend: each further Download returns it. It is to be closed; another may be opened.
var ErrLost = errors.New("device lost")

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
	QuickGELU // x/(1+exp(-1.702·x))
	TanhGELU  // x/2·(1+tanh(√(2/π)·(x+0.044715·x³)))
)

// Score says which importance of the patches Attention leaves behind
// (docs/method.md, "Scorers").
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
	// Facts says what was opened. It does not change; the caller owns the slice.
	Facts() Facts
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
	// sizes, if not none, is [n, 1] and says how many tokens each row stands for, each more
	// than 0: query i's logit for row j gets log(sizes_j) added. Only a [Merger] takes it.
	// score, if not none, is [n-1, 1] and gets the importance of each row but the
	// first as by says, or, by Received, [n, 1] and gets that of each; Received
	// needs m == n.
	Attention(dst, qkv, sizes Tensor, heads int, p Precision, score Tensor, by Score)
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

// Settler is the optional ability to lay weights out better once all of a model's are there.
type Settler interface {
	// Settle belongs to loading, and is its end: it takes milliseconds. Weights stay what they are.
	Settle()
}

// Prober is the optional ability to measure the processor's own limit.
type Prober interface {
	// Peak measures, in about 50 ms, how many operations a second (2 a
	// multiply-add) all of the Backend's threads together reach with operands in
	// registers, in the instructions that carry p. It is the yardstick of
	// `bench gemm`, not a promise.
	Peak(p Precision) float64
}

// Block is the size of a transformer block at its largest: tokens (CLS included),
// width of a token, hidden width of the MLP, heads that share the width; and the precision of
// its MLP's weights. One of another precision may allocate the first time, but of a few tokens
// (those that a head reads).
type Block struct {
	Tokens, Width, Hidden, Heads int

	Precision Precision
}

// Fuser is the optional ability to do operations that follow each other in a block as
// one: what lies between them need not be a Tensor.
type Fuser interface {
	// Reserve sets aside what SelfAttention and MLP, and Attention beside them, need in
	// blocks up to this size, so that they allocate nothing. It belongs to loading.
	Reserve(Block) error
	// SelfAttention is Attention, without scores, of what Linear makes of x [n, c]
	// and the weight qkv [3c, c], and of sizes.
	SelfAttention(dst, x Tensor, qkv Weight, sizes Tensor, heads int, p Precision)
	// MLP adds to dst [n, c] what Linear, with GELU, makes of x [n, c] and the weight
	// fc1 [h, c], and then Linear of that and fc2 [c, h].
	MLP(dst, x Tensor, fc1, fc2 Weight)
}

// Merger is the optional ability to let a patch live on in one that is like it, instead
// of dropping it (docs/method.md, "Merging"). A Merger's Attention takes sizes, and so does its
// SelfAttention, if it is a Fuser.
type Merger interface {
	// Match says which of n patches stay, and where the others go. Of the n-m that
	// don't stay, m being kept.N-1, the drop lowest by score [n, 1] are dropped; the others
	// go where the keys of qkv [n, 3c], as Attention takes it, are most alike.
	//
	// Of those that are not dropped the half, rounded down, that is highest by column turn of
	// order [n, t], 0 <= turn < t, are targets, the others sources. A patch's key is the mean over
	// its heads' keys; how alike two patches are is the cosine of theirs, 0 where a key is 0. A
	// source's target is the one most like it. As many sources as are to go do so, those that cost least: how much they are
	// apart from their target, 1 less how alike they are but no less than 1e-6, times the
	// root of what they are worth: their score, or its exponential where scores are logs.
	//
	// kept[0] is 0 and kept[1+i] is 1 and the row of the i-th that stays, ascending, as TopK
	// writes it. groups [n] is the place among those, from 0 on, of the patch that stays
	// and that the row's goes to, its own if it stays; -1 if it is dropped. Ties
	// go to the lower row, among scores, orders, targets and sources; NaN ranks last.
	// 1 <= m <= n, 0 <= drop <= n-m, and (n-drop)/2 <= m: no more go than there are sources.
	Match(kept, groups Index, qkv Tensor, heads int, score Tensor, logs bool, drop int, order Tensor, turn int)
	// Merge writes to row g of dst [m, c] the mean of the rows i of x [n, c] where groups[i],
	// of n, is g, each weighted by sizes [n, 1], and to total [m, 1] the sum of their
	// sizes. Without sizes each is 1. A row alone stays as it is, to the bit; where
	// there is none, dst and total are 0. dst and total may share no memory with x and sizes.
	// Numbers from m on are an error at Download, those below 0 are left out.
	Merge(dst, total, x, sizes Tensor, groups Index)
}

// Recorder is the optional ability to take a sequence of operations down once and
// then do it as a whole, as a GPU launches a captured graph.
type Recorder interface {
	// Record returns the operations that do calls, for Replay to do. do calls per-frame
	// methods alone, none that uploads or downloads, and whenever it is called the
	// same ones on the same operands. It stays valid: the Backend may call it now
	// and in any Replay, as to load kernels before it captures them, or
	// each time where it cannot capture. After Record what do would write
	// holds anything. What an operation writes, and a later one of the recording
	// writes again from the same first row on, a Replay need not have written.
	Record(do func()) Recording
}

// Recording is a sequence of operations on the Backend that made it.
type Recording interface {
	// Replay does the operations, in order with the calls before and after it, as if
	// each were called; failures surface at the next Download. After the first time
	// it allocates nothing.
	Replay()
	// Close frees the recording, which is not used again. The Backend's own Close
	// frees those that are left.
	Close()
}

// Facts are what an open Backend says of itself.
type Facts struct {
	Name       string      // what a user writes after --backend
	Precisions []Precision // what Pack takes, the fastest on this machine first
	Why        string      // one line on what was picked and why, "bf16 by FMA: no AVX512_BF16"; "": there was no choice
	HalfSums   bool        // F16's sums are DotHalves'
	HalfWords  bool        // weights in BF16 take half of F32's memory where F32 is faster, and a layer of them takes no longer
	Threaded   bool        // Options.Threads has a say in how fast it is
	Device     string      // what computes, with its driver and memory; "": this machine's processor
}

// Options are the same for every backend.
type Options struct {
	Threads int      // worker threads; 0 = all usable cores
	Disable []string // CPU features to leave unused, cpuid's names in lower case
}
