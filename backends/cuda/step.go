package cuda

import (
	"math"
	"slices"

	"dynvit/backends"
	"dynvit/backends/cuda/device"
	"dynvit/backends/cuda/kernels"
)

// entry is a kernel by its place in names.
type entry uint8

const (
	gemmF32 entry = iota // in the order of backends.Precision
	gemmBF16
	gemmF16
	gemmInt8
	attentionF32
	attentionBF16
	attentionF16
	attentionScores
	layerNorm
	meanHalf
	maxRows
	topK
	gather
	unfold
	resizeFirst
	resizeSecond
	halve
	aim
	regroup
	merge
	entries
)

// names are the kernels' in the PTX.
var names = [entries]string{
	"gemm_f32", "gemm_bf16", "gemm_f16", "gemm_int8", "attention_f32", "attention_bf16", "attention_f16", "attention_scores",
	"layernorm", "mean_half", "max_rows", "topk", "gather", "unfold", "resize_first", "resize_second",
	"halve", "aim", "regroup", "merge",
}

// needs reports whether a target has the kernel: those for bf16 where it carries that.
func (e entry) needs(t kernels.Target) bool {
	return e != gemmBF16 && e != attentionBF16 || slices.Contains(t.Precisions, backends.BF16)
}

// gemm and attention are the kernels for a precision.
func gemm(p backends.Precision) entry      { return gemmF32 + entry(p) }
func attention(p backends.Precision) entry { return attentionF32 + entry(p) }

// span is a piece of the device's memory.
type span struct {
	at    device.Address
	bytes int
}

func spanOf(t backends.Tensor) span {
	return span{device.Address(t.Dev), t.Rows * t.Cols * elementBytes}
}

func (s span) overlaps(o span) bool {
	return s.bytes > 0 && o.bytes > 0 && s.at < o.at+device.Address(o.bytes) && o.at < s.at+device.Address(s.bytes)
}

// step is the start of a kernel.
type step struct {
	kernel entry
	grid   device.Size
	block  int
	count  int // of args
	args   [device.MostArguments]uint64
	reads  [4]span // what may change while a recording is replayed: tensors and scratch, not weights
	writes [3]span
}

// begin returns the backend's one step, of which do is to be told before the next begins:
// what a device is handed lies on the heap.
func (b *backend) begin(kernel entry, grid device.Size, block int) *step {
	b.next = step{kernel: kernel, grid: grid, block: block}
	return &b.next
}

// add appends arguments.
func (s *step) add(args ...uint64) { s.count += copy(s.args[s.count:], args) }

// Arguments in their slots.
func tensor(t backends.Tensor) uint64 { return t.Dev }
func at(a device.Address) uint64      { return uint64(a) }
func number(n int) uint64             { return uint64(uint32(int32(n))) }
func real(x float32) uint64           { return uint64(math.Float32bits(x)) }

func flag(on bool) uint64 {
	if on {
		return 1
	}
	return 0
}

// parts is how many pieces of a size cover n.
func parts(n, size int) int { return (n + size - 1) / size }

// do starts a kernel, or takes it down where a recording is made.
func (b *backend) do(s *step) {
	switch {
	case b.lost != nil, s.grid[0]*s.grid[1]*s.grid[2] == 0:
	case b.tape != nil:
		b.tape.steps = append(b.tape.steps, *s)
	default:
		b.launch(s)
	}
}

func (b *backend) launch(s *step) {
	b.queued(b.dev.Launch(b.entries[s.kernel], s.grid, device.Size{s.block, 1, 1}, s.args[:s.count]))
}
