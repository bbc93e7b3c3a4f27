package cuda

import (
	"fmt"
	"slices"
	"testing"

	"dynvit/backends"
	"dynvit/backends/cuda/device"
	"dynvit/vit"
)

// ledger is a device that computes nothing: it notes the kernels that are started.
type ledger struct {
	next     device.Address
	kernels  []string // by device.Kernel less one
	started  []string
	captured []string // of the last capture
	noGraphs bool
}

func (l *ledger) Facts() device.Facts {
	return device.Facts{Name: "ledger", Major: 8, Minor: 7, Driver: 12060, Memory: 8e9}
}
func (l *ledger) Load(string) error { return nil }
func (l *ledger) Kernel(name string) (device.Kernel, error) {
	l.kernels = append(l.kernels, name)
	return device.Kernel(len(l.kernels)), nil
}

func (l *ledger) Alloc(bytes int) (device.Address, error) {
	at := l.next + 0x1000
	l.next = at + device.Address(bytes+255)/256*256
	return at, nil
}
func (l *ledger) Host(bytes int) ([]byte, error)            { return make([]byte, bytes), nil }
func (l *ledger) CopyIn(device.Address, []byte) error       { return nil }
func (l *ledger) CopyOut(to []byte, _ device.Address) error { clear(to); return nil }
func (l *ledger) Clear(device.Address, int) error           { return nil }
func (l *ledger) Wait() error                               { return nil }
func (l *ledger) FreeGraph(device.Graph) error              { return nil }
func (l *ledger) Close() error                              { return nil }
func (l *ledger) Launch(k device.Kernel, _, _ device.Size, _ []uint64) error {
	l.started = append(l.started, l.kernels[k-1])
	return nil
}

func (l *ledger) Capture(do func()) (device.Graph, error) {
	if l.noGraphs {
		return 0, &device.Error{Call: "cuStreamBeginCapture", Code: 801, Text: "not supported"}
	}
	before := l.started
	l.started = nil
	do()
	l.captured, l.started = l.started, before
	return 1, nil
}

func (l *ledger) Replay(device.Graph) error {
	l.started = append(l.started, l.captured...)
	return nil
}

// small is a backend on a ledger with tensors to work on.
type small struct {
	*ledger
	be         *backend
	x, y, z, w backends.Tensor // [6, 8]
	gamma      backends.Tensor
	square     backends.Weight // of f32
	bytes      backends.Weight // of int8
}

func newSmall(t *testing.T) *small {
	t.Helper()
	s := &small{ledger: &ledger{}}
	be, err := New(s.ledger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { be.Close() })
	s.be = be.(*backend)
	for _, a := range []*backends.Tensor{&s.x, &s.y, &s.z, &s.w} {
		if *a, err = be.Alloc(6, 8); err != nil {
			t.Fatal(err)
		}
	}
	if s.gamma, err = be.Alloc(1, 8); err != nil {
		t.Fatal(err)
	}
	for p, w := range map[backends.Precision]*backends.Weight{backends.F32: &s.square, backends.Int8: &s.bytes} {
		if *w, err = be.Pack(make([]float32, 64), 8, 8, nil, p); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *small) norm(dst, x backends.Tensor) { s.be.LayerNorm(dst, x, s.gamma, s.gamma, 1e-6) }
func (s *small) linear(dst, x, res backends.Tensor) {
	s.be.Linear(dst, x, s.square, backends.None, res)
}

// TestFold: a LayerNorm is left out where products alone read it before it is overwritten,
// and nowhere else.
func TestFold(t *testing.T) {
	none := backends.Tensor{}
	for _, c := range []struct {
		name string
		do   func(s *small)
		want string
	}{
		{"a product", func(s *small) { s.norm(s.y, s.x); s.linear(s.z, s.y, none); s.norm(s.y, s.z) }, "[gemm_f32 layernorm]"},
		{"two products", func(s *small) {
			s.norm(s.y, s.x)
			s.linear(s.z, s.y, none)
			s.linear(s.w.View(0, 2), s.y.View(0, 2), none)
			s.norm(s.y, s.z)
		}, "[gemm_f32 gemm_f32 layernorm]"},
		{"rows of it", func(s *small) { s.norm(s.y, s.x); s.linear(s.z.View(0, 2), s.y.View(3, 5), none); s.norm(s.y, s.z) }, "[gemm_f32 layernorm]"},
		{"fewer rows overwrite it", func(s *small) { s.norm(s.y, s.x); s.linear(s.z, s.y, none); s.norm(s.y.View(0, 3), s.z.View(0, 3)) }, "[gemm_f32 layernorm]"},
		{"a residual that is its input", func(s *small) { s.norm(s.y, s.x); s.linear(s.z, s.y, s.x); s.norm(s.y, s.z) }, "[gemm_f32 layernorm]"},

		{"it is left at the end", func(s *small) { s.norm(s.y, s.x); s.linear(s.z, s.y, none) }, "[layernorm gemm_f32]"},
		{"its end is overwritten", func(s *small) {
			s.norm(s.y, s.x)
			s.linear(s.z, s.y, none)
			s.norm(s.y.View(3, 6), s.z.View(3, 6))
		}, "[layernorm gemm_f32 layernorm]"},
		{"something else reads it", func(s *small) { s.norm(s.y, s.x); s.be.MaxRows(s.z.View(0, 1), s.y); s.norm(s.y, s.w) }, "[layernorm max_rows layernorm]"},
		{"it is the residual", func(s *small) { s.norm(s.y, s.x); s.linear(s.z, s.y, s.y); s.norm(s.y, s.w) }, "[layernorm gemm_f32 layernorm]"},
		{"its input is overwritten", func(s *small) {
			s.norm(s.y, s.x)
			s.linear(s.x, s.w, none)
			s.linear(s.z, s.y, none)
			s.norm(s.y, s.w)
		}, "[layernorm gemm_f32 gemm_f32 layernorm]"},
		{"the product overwrites its input", func(s *small) { s.norm(s.y, s.x); s.linear(s.x, s.y, none); s.norm(s.y, s.w) }, "[layernorm gemm_f32 layernorm]"},
		{"in place", func(s *small) { s.norm(s.x, s.x); s.linear(s.z, s.x, none); s.norm(s.x, s.z) }, "[layernorm gemm_f32 layernorm]"},
		{"rows that are cut otherwise", func(s *small) {
			s.norm(s.y, s.x)
			s.be.Unfold(s.z.Reshape(3, 4), s.y.Reshape(6, 4), backends.Conv{H: 2, W: 3, Kernel: 1, Stride: 1}, 0)
			s.norm(s.y, s.z)
		}, "[layernorm unfold layernorm]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSmall(t)
			recorded := s.be.Record(func() { c.do(s) })
			s.started = nil
			recorded.Replay()
			if got := fmt.Sprint(s.started); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if err := s.be.Download(make([]float32, 48), s.x); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFoldRanges: attention hands the ranges of its rows to an int8 product that comes next.
func TestFoldRanges(t *testing.T) {
	s := newSmall(t)
	qkv, err := s.be.Alloc(6, 24)
	if err != nil {
		t.Fatal(err)
	}
	attend := func() {
		s.be.Attention(s.y, qkv, backends.Tensor{}, 2, backends.F32, backends.Tensor{}, backends.NoScore)
	}
	for name, c := range map[string]struct {
		do   func()
		want bool
	}{
		"next":       {func() { attend(); s.be.Linear(s.z, s.y, s.bytes, backends.None, backends.Tensor{}) }, true},
		"f32":        {func() { attend(); s.linear(s.z, s.y, backends.Tensor{}) }, false},
		"other rows": {func() { attend(); s.be.Linear(s.z, s.x, s.bytes, backends.None, backends.Tensor{}) }, false},
		"some rows": {func() {
			attend()
			s.be.Linear(s.z.View(0, 2), s.y.View(0, 2), s.bytes, backends.None, backends.Tensor{})
		}, false},
	} {
		r := s.be.Record(c.do).(*recording)
		left, taken := r.steps[0].args[argLeft], uint64(0)
		if r.steps[1].kernel == gemmInt8 {
			taken = r.steps[1].args[argRanges]
		}
		if (left != 0) != c.want || c.want && (taken != left || r.steps[1].args[argParts] != 2) {
			t.Errorf("%s: left %x, taken %x", name, left, taken)
		}
		r.Close()
	}
}

// TestWithoutGraphs: a device that does not capture has its kernels started one by one, and
// the first download says why.
func TestWithoutGraphs(t *testing.T) {
	s := newSmall(t)
	s.noGraphs = true
	recorded := s.be.Record(func() { s.linear(s.z, s.x, backends.Tensor{}) })
	defer recorded.Close()
	out := make([]float32, 48)
	if err := s.be.Download(out, s.z); err == nil {
		t.Error("nothing is said")
	}
	s.started = nil
	recorded.Replay()
	if err := s.be.Download(out, s.z); err != nil || !slices.Equal(s.started, []string{"gemm_f32"}) {
		t.Error(s.started, err)
	}
}

// TestKernelsOfABlock: DeiT-S takes five kernels a block, whatever its precision, and seven
// more at each of the predictor's stages; a frame is one graph of them. The last block
// takes a sixth: nothing overwrites what its second LayerNorm writes.
func TestKernelsOfABlock(t *testing.T) {
	for _, p := range []backends.Precision{backends.F32, backends.F16, backends.Int8} {
		l := &ledger{}
		be, err := New(l)
		if err != nil {
			t.Fatal(err)
		}
		defer be.Close()
		config, err := vit.Named("deit_small")
		if err != nil {
			t.Fatal(err)
		}
		w, err := vit.Load(be, config, vit.Random{Config: config, Seed: 1}, p)
		if err != nil {
			t.Fatal(err)
		}
		s, err := vit.NewSession(be, w, vit.Predictor)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := vit.PlanFor(0.7, config.Patches(), len(config.PruneAt))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(make([]float32, config.InputLen()), plan, new(vit.Result)); err != nil {
			t.Fatal(err)
		}
		const embed, block, last, stage, head = 1, 5, 1, 7, 2
		if want := embed + config.Depth*block + last + len(config.PruneAt)*stage + head; len(l.captured) != want {
			t.Errorf("%v: %d kernels, want %d: %v", p, len(l.captured), want, l.captured)
		}
	}
}
