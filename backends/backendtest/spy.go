package backendtest

import (
	"fmt"
	"unsafe"

	"dynvit/backends"
)

// Spy stands between a caller and a backend that does the work. It notes each
// per-frame operation with the place and size of its operands and, where it was asked
// to, is a backends.Recorder as a GPU is one: what is called while it records is
// kept, not done, and an upload or download then is a mistake that panics.
type Spy struct {
	backends.Backend
	// Log has a line for each operation that the caller had done at once.
	Log []string
	// Recordings are all that were made, in order.
	Recordings []*Tape
	taking     *Tape // what is being recorded, or nil
}

// Tape is a backends.Recording.
type Tape struct {
	Log     []string // a line for each operation
	Replays int
	Closed  bool
	do      []func()
}

// NewSpy puts a spy in front of be and returns it with the backend to hand to the
// caller: a Fuser if be is one, a Recorder if records says so.
func NewSpy(be backends.Backend, records bool) (*Spy, backends.Backend) {
	s := &Spy{Backend: be}
	fuser, fuses := be.(backends.Fuser)
	switch {
	case fuses && records:
		return s, struct {
			*Spy
			fusing
			recording
		}{s, fusing{fuser, s}, recording{s}}
	case fuses:
		return s, struct {
			*Spy
			fusing
		}{s, fusing{fuser, s}}
	case records:
		return s, struct {
			*Spy
			recording
		}{s, recording{s}}
	}
	return s, s
}

// recording implements backends.Recorder.
type recording struct{ spy *Spy }

func (r recording) Record(do func()) backends.Recording {
	if r.spy.taking != nil {
		panic("backendtest: Record while recording")
	}
	tape := &Tape{}
	r.spy.Recordings = append(r.spy.Recordings, tape)
	r.spy.taking = tape
	defer func() { r.spy.taking = nil }()
	do()
	return tape
}

// Replay implements backends.Recording.
func (t *Tape) Replay() {
	if t.Closed {
		panic("backendtest: Replay after Close")
	}
	t.Replays++
	for _, do := range t.do {
		do()
	}
}

// Close implements backends.Recording.
func (t *Tape) Close() { t.Closed = true }

// operation does an operation now, or keeps it.
func (s *Spy) operation(name string, operands []any, do func()) {
	line := name
	for _, o := range operands {
		line += " " + place(o)
	}
	if s.taking != nil {
		s.taking.Log, s.taking.do = append(s.taking.Log, line), append(s.taking.do, do)
		return
	}
	s.Log = append(s.Log, line)
	do()
}

// transfer is an operation that waits, or reads the caller's memory.
func (s *Spy) transfer(name string, operand any) {
	if s.taking != nil {
		panic("backendtest: " + name + " while recording")
	}
	s.Log = append(s.Log, name+" "+place(operand))
}

// place says where an operand lies and how large it is; what is no memory it prints.
func place(operand any) string {
	switch x := operand.(type) {
	case backends.Tensor:
		return fmt.Sprintf("[%d %d]@%p+%x", x.Rows, x.Cols, unsafe.SliceData(x.Host), x.Dev)
	case backends.Index:
		return fmt.Sprintf("[%d]@%p+%x", x.N, unsafe.SliceData(x.Host), x.Dev)
	case backends.Weight:
		return fmt.Sprintf("%p", x)
	}
	return fmt.Sprint(operand)
}

func (s *Spy) Pack(w []float32, out, in int, bias []float32, p backends.Precision) (backends.Weight, error) {
	s.load("Pack")
	return s.Backend.Pack(w, out, in, bias, p)
}

func (s *Spy) Alloc(rows, cols int) (backends.Tensor, error) {
	s.load("Alloc")
	return s.Backend.Alloc(rows, cols)
}

func (s *Spy) AllocIndex(n int) (backends.Index, error) {
	s.load("AllocIndex")
	return s.Backend.AllocIndex(n)
}

// load panics where a load-time method is called while recording.
func (s *Spy) load(name string) {
	if s.taking != nil {
		panic("backendtest: " + name + " while recording")
	}
}

func (s *Spy) Upload(dst backends.Tensor, src []float32) {
	s.transfer("Upload", dst)
	s.Backend.Upload(dst, src)
}

func (s *Spy) UploadIndex(dst backends.Index, src []int32) {
	s.transfer("UploadIndex", dst)
	s.Backend.UploadIndex(dst, src)
}

func (s *Spy) Download(dst []float32, src backends.Tensor) error {
	s.transfer("Download", src)
	return s.Backend.Download(dst, src)
}

func (s *Spy) DownloadIndex(dst []int32, src backends.Index) error {
	s.transfer("DownloadIndex", src)
	return s.Backend.DownloadIndex(dst, src)
}

func (s *Spy) Linear(dst, x backends.Tensor, w backends.Weight, act backends.Act, res backends.Tensor) {
	s.operation("Linear", []any{dst, x, w, act, res}, func() { s.Backend.Linear(dst, x, w, act, res) })
}

func (s *Spy) LayerNorm(dst, x, gamma, beta backends.Tensor, eps float32) {
	s.operation("LayerNorm", []any{dst, x, gamma, beta, eps}, func() { s.Backend.LayerNorm(dst, x, gamma, beta, eps) })
}

func (s *Spy) Attention(dst, qkv, sizes backends.Tensor, heads int, p backends.Precision, score backends.Tensor, by backends.Score) {
	s.operation("Attention", []any{dst, qkv, sizes, heads, p, score, by}, func() { s.Backend.Attention(dst, qkv, sizes, heads, p, score, by) })
}

func (s *Spy) MeanHalf(x backends.Tensor) {
	s.operation("MeanHalf", []any{x}, func() { s.Backend.MeanHalf(x) })
}

func (s *Spy) TopK(kept backends.Index, score backends.Tensor) {
	s.operation("TopK", []any{kept, score}, func() { s.Backend.TopK(kept, score) })
}

func (s *Spy) Gather(dst, x backends.Tensor, kept backends.Index) {
	s.operation("Gather", []any{dst, x, kept}, func() { s.Backend.Gather(dst, x, kept) })
}

// Match implements backends.Merger, as Merge does, for a backend that is one.
func (s *Spy) Match(kept, groups backends.Index, qkv backends.Tensor, heads int, score backends.Tensor, logs bool, drop int, order backends.Tensor, turn int) {
	s.operation("Match", []any{kept, groups, qkv, heads, score, logs, drop, order, turn}, func() {
		s.Backend.(backends.Merger).Match(kept, groups, qkv, heads, score, logs, drop, order, turn)
	})
}

func (s *Spy) Merge(dst, total, x, sizes backends.Tensor, groups backends.Index) {
	s.operation("Merge", []any{dst, total, x, sizes, groups}, func() {
		s.Backend.(backends.Merger).Merge(dst, total, x, sizes, groups)
	})
}

func (s *Spy) Unfold(dst, src backends.Tensor, g backends.Conv, from int) {
	s.operation("Unfold", []any{dst, src, g, from}, func() { s.Backend.Unfold(dst, src, g, from) })
}

func (s *Spy) MaxRows(dst, x backends.Tensor) {
	s.operation("MaxRows", []any{dst, x}, func() { s.Backend.MaxRows(dst, x) })
}

// fusing implements backends.Fuser.
type fusing struct {
	fuser backends.Fuser
	spy   *Spy
}

func (f fusing) Reserve(b backends.Block) error {
	f.spy.load("Reserve")
	return f.fuser.Reserve(b)
}

func (f fusing) SelfAttention(dst, x backends.Tensor, qkv backends.Weight, sizes backends.Tensor, heads int, p backends.Precision) {
	f.spy.operation("SelfAttention", []any{dst, x, qkv, sizes, heads, p}, func() { f.fuser.SelfAttention(dst, x, qkv, sizes, heads, p) })
}

func (f fusing) MLP(dst, x backends.Tensor, fc1, fc2 backends.Weight) {
	f.spy.operation("MLP", []any{dst, x, fc1, fc2}, func() { f.fuser.MLP(dst, x, fc1, fc2) })
}
