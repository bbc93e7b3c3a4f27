package vit

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"dynvit/backends"
	"dynvit/backends/all"
	"dynvit/backends/backendtest"
)

// small are two models of 16 patches, one of each kind; the last stage drops in the last block.
var small = map[string]Config{
	"deit": {Architecture: "vit", ImageSize: 64, PatchSize: 16, Width: 64, Depth: 5, Heads: 2, Hidden: 96, Classes: 3, Eps: 1e-6, SkipLam: 1,
		QKVBias: true, Predictors: true, PruneAt: []int{1, 2, 4}, Resize: 64, Interpolation: "bicubic", Std: [3]float32{1, 1, 1}},
	"lvvit": {Architecture: "vit", ImageSize: 64, PatchSize: 16, Width: 64, Depth: 5, Heads: 2, Hidden: 96, Classes: 3, Eps: 1e-5, SkipLam: 2,
		ConvStem: 8, AuxHead: true, Predictors: true, PruneAt: []int{1, 2, 4}, Resize: 64, Interpolation: "bicubic", Std: [3]float32{1, 1, 1}},
}

// plans drop at none, one, two and three of the stages.
var plans = []Plan{{[]int{16, 16, 16}}, {[]int{16, 16, 9}}, {[]int{16, 12, 8}}, {[]int{12, 8, 5}}, {[]int{12, 12, 12}}}

// wave is an input that is another for each frame.
func wave(c Config, frame int) []float32 {
	input := make([]float32, c.InputLen())
	for i := range input {
		input[i] = float32(math.Sin(float64(i) / (7 + float64(frame))))
	}
	return input
}

// eachSmall runs a test on each small model, by each scorer, on a backend that fuses
// operations and on one that doesn't.
func eachSmall(t *testing.T, test func(t *testing.T, be backends.Backend, c Config, scorer Scorer)) {
	for _, name := range []string{backends.Portable, backends.Ref} {
		for model, c := range small {
			for _, scorer := range []Scorer{Predictor, Attention, CLSAttention, Merge, PredictorMerge} {
				t.Run(fmt.Sprintf("%s %s %v", name, model, scorer), func(t *testing.T) {
					test(t, openBackend(t, name), c, scorer)
				})
			}
		}
	}
}

func openBackend(t *testing.T, name string) backends.Backend {
	t.Helper()
	be, _, err := backends.Pick(all.List(), name, backends.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { be.Close() })
	return be
}

func session(t *testing.T, be backends.Backend, c Config, scorer Scorer) *Session {
	t.Helper()
	return sessionOf(t, be, c, Random{Config: c, Seed: 3}, backends.F32, scorer)
}

func sessionOf(t *testing.T, be backends.Backend, c Config, src Tensors, p backends.Precision, scorer Scorer) *Session {
	t.Helper()
	w, err := Load(be, c, src, p)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSession(be, w, scorer)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t *testing.T, s *Session, input []float32, p Plan) Result {
	t.Helper()
	r := Result{WantKept: true}
	if err := s.Run(input, p, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFrameBeginsAlike: a plan's operations are on the same memory in every frame, whatever
// was run before, as a captured sequence must find them.
func TestFrameBeginsAlike(t *testing.T) {
	eachSmall(t, func(t *testing.T, be backends.Backend, c Config, scorer Scorer) {
		spy, spied := backendtest.NewSpy(be, false)
		s := session(t, spied, c, scorer)
		logs := map[string][]string{}
		for frame := range 3 * len(plans) {
			p := plans[frame*2%len(plans)]
			spy.Log = nil
			run(t, s, wave(c, frame), p)
			if first, known := logs[p.String()]; !known {
				logs[p.String()] = spy.Log
			} else if !slices.Equal(spy.Log, first) {
				t.Errorf("frame %d, keep %v: operations on other memory than at first:\n%s\n%s", frame, p,
					strings.Join(spy.Log, "\n"), strings.Join(first, "\n"))
			}
		}
		if len(logs) != len(plans) || len(logs[plans[0].String()]) < 20 {
			t.Errorf("%d plans were seen, %d operations of the first", len(logs), len(logs[plans[0].String()]))
		}
	})
}

// TestRecordings: a plan is recorded at its first frame and replayed at every frame, to the
// bit what a session without recordings makes; only uploads and downloads
// are done outside.
func TestRecordings(t *testing.T) {
	eachSmall(t, func(t *testing.T, be backends.Backend, c Config, scorer Scorer) {
		spy, recorder := backendtest.NewSpy(be, true)
		recorded, eager := session(t, recorder, c, scorer), session(t, be, c, scorer)
		spy.Log = nil // of loading
		order := []int{0, 0, 3, 0, 1, 3, 2, 3, 4, 1, 0}
		replays := map[string]int{}
		for frame, which := range order {
			p := Plan{slices.Clone(plans[which].Keep)}
			got, want := run(t, recorded, wave(c, frame), p), run(t, eager, wave(c, frame), p)
			if !slices.Equal(got.Logits, want.Logits) || !slices.Equal(got.Tokens, want.Tokens) || !slices.EqualFunc(got.Kept, want.Kept, slices.Equal) {
				t.Errorf("frame %d, keep %v: %v, want %v", frame, p, got, want)
			}
			replays[p.String()]++
			clear(p.Keep) // the caller's to change
		}
		if len(spy.Recordings) != len(plans) {
			t.Fatalf("%d recordings of %d plans", len(spy.Recordings), len(plans))
		}
		for i, which := range []int{0, 3, 1, 2, 4} { // in the order of their first frames
			tape, p := spy.Recordings[i], plans[which]
			if tape.Replays != replays[p.String()] || tape.Closed {
				t.Errorf("keep %v: replayed %d times, want %d, closed %v", p, tape.Replays, replays[p.String()], tape.Closed)
			}
			checkLeaves(t, tape.Log, p)
		}
		for _, line := range spy.Log {
			if name, _, _ := strings.Cut(line, " "); name != "Upload" && name != "Download" && name != "DownloadIndex" {
				t.Errorf("outside of a recording: %s", line)
			}
		}
	})
}

// checkLeaves: a recording is its plan's: it drops or merges where, and to what, the plan says.
func checkLeaves(t *testing.T, log []string, p Plan) {
	t.Helper()
	var want, got []int
	alive := 16
	for _, keep := range p.Keep {
		if keep < alive {
			want = append(want, keep)
		}
		alive = keep
	}
	for _, line := range log {
		var rows int
		if _, err := fmt.Sscanf(line, "Merge [%d 64]", &rows); err == nil {
			got = append(got, rows)
		}
		if _, err := fmt.Sscanf(line, "Gather [%d 64]", &rows); err == nil && rows > 1 { // 1: CLS, beside a Merge
			got = append(got, rows-1)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("keep %v: recorded %v, want %v", p, got, want)
	}
}

// TestRecordingsAreBounded: of many plans those used last stay recorded, the rest are freed
// and recorded anew when they come back.
func TestRecordingsAreBounded(t *testing.T) {
	c := small["deit"]
	spy, recorder := backendtest.NewSpy(openBackend(t, backends.Portable), true)
	s := session(t, recorder, c, Predictor)
	const others = mostRecordings + 4
	other := func(i int) Plan { return Plan{[]int{16, 15 - i/10, 1 + i%10}} }
	first := run(t, s, wave(c, 0), other(0))
	for i := range others {
		run(t, s, wave(c, i), plans[0]) // in use throughout
		run(t, s, wave(c, i), other(i))
	}
	if len(spy.Recordings) != others+1 {
		t.Errorf("%d recordings of %d plans", len(spy.Recordings), others+1)
	}
	var closed []int
	for i, tape := range spy.Recordings {
		if tape.Closed {
			closed = append(closed, i)
		}
	}
	if want := []int{0, 2, 3, 4, 5}; !slices.Equal(closed, want) { // number 1 is the one in use
		t.Errorf("freed are %v, want %v", closed, want)
	}
	again := run(t, s, wave(c, 0), other(0))
	if len(spy.Recordings) != others+2 || !slices.Equal(again.Logits, first.Logits) {
		t.Errorf("%d recordings after one came back; logits %v, want %v", len(spy.Recordings), again.Logits, first.Logits)
	}
}

// lazy is a Recorder that captures nothing: every Replay calls what Record was given.
type lazy struct {
	backends.Backend
	backends.Fuser
}

type call struct{ do func() }

func (l lazy) Record(do func()) backends.Recording { return call{do} }
func (c call) Replay()                             { c.do() }
func (c call) Close()                              {}

// TestReplaysDoNotAllocate: after a plan's first frame the session allocates nothing, and
// what it gave to be recorded does the same whenever it is called.
func TestReplaysDoNotAllocate(t *testing.T) {
	c, be := small["deit"], openBackend(t, backends.Portable)
	eager := session(t, be, c, Predictor)
	s := session(t, lazy{be, be.(backends.Fuser)}, c, Predictor)
	inputs := [][]float32{wave(c, 0), wave(c, 1)}
	var r Result
	frames := func() {
		for i, p := range plans {
			if err := s.Run(inputs[i%2], p, &r); err != nil {
				t.Fatal(err)
			}
		}
	}
	frames()
	if n := testing.AllocsPerRun(3, frames); n != 0 {
		t.Errorf("%v allocations", n)
	}
	last := len(plans) - 1
	if want := run(t, eager, inputs[last%2], plans[last]); !slices.Equal(r.Logits, want.Logits) {
		t.Errorf("logits %v, want %v", r.Logits, want.Logits)
	}
}
