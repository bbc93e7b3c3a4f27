package backendtest

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"dynvit/backends"
)

func (s suite) facts(t *testing.T) {
	be := s.pair(t).got
	facts := be.Facts()
	if !slices.Contains(backends.Names(), facts.Name) {
		t.Errorf("name %q is none of %v", facts.Name, backends.Names())
	}
	seen := map[backends.Precision]bool{}
	for _, p := range facts.Precisions {
		if seen[p] {
			t.Errorf("precision %v is listed twice", p)
		}
		seen[p] = true
	}
	if !seen[backends.F32] {
		t.Error("no f32, which heads and predictors need")
	}
	if strings.Contains(facts.Why+facts.Device, "\n") {
		t.Errorf("why %q, device %q: want one line", facts.Why, facts.Device)
	}
	facts.Precisions[0] = 99
	if be.Facts().Precisions[0] == 99 {
		t.Error("Facts hands out the backend's own slice")
	}
}

func (s suite) allocations(t *testing.T) {
	precisions := s.precisions(t)
	be, err := s.open(backends.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	for _, p := range precisions {
		f := newFrame(t, be, p)
		if n := testing.AllocsPerRun(5, f.run); n != 0 {
			t.Errorf("%v: %v allocations", p, n)
		}
	}
}

// firstFrame: Alloc and Reserve set aside all that a frame needs, so that the first
// allocates nothing either. The runtime itself allocates now and then, as
// where a goroutine sleeps: one of a few fresh backends must do without.
func (s suite) firstFrame(t *testing.T) {
	const tries = 10
	for _, p := range s.precisions(t) {
		least := ^uint64(0)
		for range tries {
			least = min(least, s.mallocs(t, p))
		}
		if least != 0 {
			t.Errorf("%v: the first frame allocates %d times", p, least)
		}
	}
}

// precisions are the backend's; the test is skipped where it may allocate.
func (s suite) precisions(t *testing.T) []backends.Precision {
	t.Helper()
	facts := s.pair(t).got.Facts()
	if facts.Name == backends.Ref {
		t.Skip("the oracle may allocate")
	}
	return facts.Precisions
}

// mallocs counts the allocations of a fresh backend's first frame.
func (s suite) mallocs(t *testing.T, p backends.Precision) uint64 {
	t.Helper()
	be, err := s.open(backends.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	f := newFrame(t, be, p)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f.run()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// recorder: a recording does what its operations do one by one, as often as it is
// replayed, on what the tensors hold then; two don't get in each other's way.
func (s suite) recorder(t *testing.T) {
	be := s.pair(t).got
	recorder, ok := be.(backends.Recorder)
	if !ok {
		t.Skip("the backend records nothing")
	}
	for _, p := range be.Facts().Precisions {
		f := newFrame(t, be, p)
		whole, part := recorder.Record(f.compute), recorder.Record(func() { be.MaxRows(f.top, f.x) })
		for range s.times() {
			want := f.outcome(t, f.compute)
			if got := f.outcome(t, whole.Replay); !slices.Equal(got, want) {
				t.Errorf("%v: a replay gives other bits than its operations", p)
			}
			wantTop := f.outcome(t, func() { be.MaxRows(f.top, f.x) })
			if got := f.outcome(t, part.Replay); !slices.Equal(got, wantTop) {
				t.Errorf("%v: the second recording gives other bits than its operation", p)
			}
			f.host[3] += 5 // the next frame is another
		}
		whole.Close()
		f.outcome(t, part.Replay) // survives the other's end
		part.Close()
	}
}

// times is how often a recording is replayed, on another frame each time.
func (s suite) times() int {
	if s.few {
		return 2
	}
	return 3
}

// frame runs every per-frame operation once.
type frame struct {
	be                       backends.Backend
	x, qkv, att, dst, score  backends.Tensor
	gamma, picked, top, cols backends.Tensor
	kept, groups             backends.Index
	sizes, few, total        backends.Tensor
	qkvW, projW              backends.Weight
	attention                backends.Precision
	host                     []float32
	rows                     []int32
}

const frameRows, frameCols, frameKept = 50, 64, 21

func newFrame(t *testing.T, be backends.Backend, p backends.Precision) *frame {
	t.Helper()
	const n, c = frameRows, frameCols
	f := &frame{be: be, host: make([]float32, n*c), rows: make([]int32, frameKept)}
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		return x
	}
	copy(f.host, random(n*c))
	var err error
	alloc := func(t2 *backends.Tensor, rows, cols int) {
		if err == nil {
			*t2, err = be.Alloc(rows, cols)
		}
	}
	alloc(&f.x, n, c)
	alloc(&f.qkv, n, 3*c)
	alloc(&f.att, n, c)
	alloc(&f.dst, n, c)
	alloc(&f.score, n-1, 1)
	alloc(&f.gamma, 1, c)
	alloc(&f.picked, frameKept, c)
	alloc(&f.top, 1, c)
	alloc(&f.cols, 49, 9*c)
	alloc(&f.sizes, n, 1)
	alloc(&f.few, frameKept-1, c)
	alloc(&f.total, frameKept-1, 1)
	if err == nil {
		f.kept, err = be.AllocIndex(n)
	}
	if err == nil {
		f.groups, err = be.AllocIndex(n - 1)
	}
	if err == nil {
		f.qkvW, err = be.Pack(random(3*c*c), 3*c, c, random(3*c), p)
	}
	if err == nil {
		f.projW, err = be.Pack(random(c*c), c, c, nil, p)
	}
	if err == nil {
		be.Upload(f.sizes, slices.Repeat([]float32{3}, n))
	}
	if fuser, ok := be.(backends.Fuser); ok && err == nil {
		err = fuser.Reserve(backends.Block{Tokens: n, Width: c, Hidden: c, Heads: 2, Precision: p})
	}
	if err != nil {
		t.Fatal(err)
	}
	if p != backends.Int8 {
		f.attention = p
	}
	return f
}

// run runs all, uploads and downloads included.
func (f *frame) run() {
	be := f.be
	be.Upload(f.x, f.host)
	f.compute()
	kept := f.kept.First(frameKept)
	be.UploadIndex(kept, f.rows)
	if err := be.DownloadIndex(f.rows, kept); err != nil {
		panic(err)
	}
	if err := be.Download(f.host, f.x); err != nil {
		panic(err)
	}
}

// compute runs what lies between.
func (f *frame) compute() {
	be := f.be
	be.LayerNorm(f.dst, f.x, f.gamma, f.gamma, 1e-6)
	be.Linear(f.qkv, f.x, f.qkvW, backends.None, backends.Tensor{})
	if fuser, ok := be.(backends.Fuser); ok {
		fuser.SelfAttention(f.att, f.x, f.qkvW, backends.Tensor{}, 2, f.attention)
		fuser.MLP(f.att, f.x, f.projW, f.projW)
	}
	be.Attention(f.att, f.qkv, backends.Tensor{}, 2, f.attention, f.score, backends.Received)
	be.Linear(f.dst, f.att, f.projW, backends.GELU, f.x)
	be.MeanHalf(f.dst)
	kept := f.kept.First(frameKept)
	be.TopK(kept, f.score)
	be.Gather(f.picked, f.dst, kept)
	be.MaxRows(f.top, f.picked)
	f.merge()
	be.Unfold(f.cols, f.x.View(0, 49), backends.Conv{H: 7, W: 7, Kernel: 3, Stride: 1, Pad: 1}, 0)
}

// merge runs what Mergers alone have.
func (f *frame) merge() {
	merger, ok := f.be.(backends.Merger)
	if !ok {
		return
	}
	kept, patches := f.kept.First(frameKept), f.x.View(1, frameRows)
	merger.Match(kept, f.groups, f.qkv.View(1, frameRows), 2, f.score, false, 9, patches, 1)
	merger.Merge(f.few, f.total, patches, backends.Tensor{}, f.groups)
	merger.Merge(f.few, f.total, patches, f.sizes.View(1, frameRows), f.groups)
	f.be.Attention(f.att, f.qkv, f.sizes, 2, f.attention, f.score, backends.Received)
	if fuser, ok := f.be.(backends.Fuser); ok {
		fuser.SelfAttention(f.att, f.x, f.qkvW, f.sizes, 2, f.attention)
	}
}

// outcome uploads the frame, has do compute, and returns all that it left.
func (f *frame) outcome(t *testing.T, do func()) []float32 {
	t.Helper()
	f.be.Upload(f.x, f.host)
	do()
	var all []float32
	for _, x := range []backends.Tensor{f.att, f.dst, f.score, f.picked, f.top, f.cols, f.few, f.total} {
		part := make([]float32, x.Rows*x.Cols)
		if err := f.be.Download(part, x); err != nil {
			t.Fatal(err)
		}
		all = append(all, part...)
	}
	return all
}
